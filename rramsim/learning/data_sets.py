"""Find a data set by its name and the user's path; scikit-learn's digits among them."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rramsim.caches import cache_folder
from rramsim.exceptions import InputError
from rramsim.learning.cifar_official import (
    ARCHIVE_NAME,
    FOLDER_NAME,
    load_official_archive,
    load_official_folder,
)
from rramsim.learning.image_data import ImageData
from rramsim.learning.image_folders import archive_name, load_image_archive, load_image_folder
from rramsim.learning.published import detected

__all__ = ["DATA_SETS", "digits", "load_images"]

_TEST_IMAGES = 450
_SPLIT_SEED = 20200831


def digits() -> ImageData:
    """Return the digits, 1,347 to train on and 450 to test on, each class in the same share.

    The split is drawn once from a fixed seed: every figure from it has the same test images. Grey
    levels 0 to 16 become 0 to 255.

    >>> digits().train_images.shape
    (1347, 1, 8, 8)
    """
    bunch = load_digits()
    images = np.round(bunch.images * (255.0 / 16.0)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=_TEST_IMAGES, random_state=_SPLIT_SEED, stratify=labels
    )
    return ImageData(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(str(digit) for digit in range(10)),
        label="scikit-learn digits",
        source={"file": "sklearn.datasets.load_digits", "split_seed": str(_SPLIT_SEED)},
    )


DATA_SETS = ("digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "imagenet32", "images")
_LABELS = {
    "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST", "imagenet32": "ImageNet32",
}  # fmt: skip
_FORMS = (
    f"{ARCHIVE_NAME}, {FOLDER_NAME}/, cifar-100-python.tar.gz, MNIST's idx files, ImageNet32's "
    "batches, an .npz file, an archive *.tar.* or folder of train/<class>/* and test/<class>/*"
)


def load_images(name: str = "digits", *, path: Path | None = None) -> ImageData:
    """Load a data set: "digits" (scikit-learn's, no path needed) or another of `DATA_SETS`.

    `path` is a file or folder in the form in which the set is published, an archive or folder of
    image files (train/<class>/<n>.jpg and test/<class>/<n>.jpg, any one size, grey or colour), an
    `.npz`, or a folder that holds one of these; "images" takes whatever lies there. Archives are
    read in memory; nothing is unpacked to disk. Raises `InputError` of one line if there is no such
    data set, if it is another one, or if it is damaged or not to be trusted.
    """
    if name == "digits":
        return digits()
    if name not in DATA_SETS:
        raise InputError(f"data = {name!r}: must be one of {', '.join(DATA_SETS)}")
    if path is None:
        raise InputError(
            f"data = {name!r}: no path given; set RRAMSIM_DATA to the folder that holds it"
            + (f", {ARCHIVE_NAME}, or fetch it with download_cifar10" if name == "cifar10" else "")
        )
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; it must be or hold {_FORMS}")
    found = detected(path)
    data = found() if found else _load_file(path) if path.is_file() else _load_folder(path)
    wanted = _LABELS.get(name)
    # "CIFAR-10 (altered)" is CIFAR-10, CIFAR-100 is not.
    if wanted is not None and data.label.partition(" (")[0].partition(",")[0] != wanted:
        raise InputError(
            f"{path}: holds {data.label} ({', '.join(data.classes[:4])}, ...), not {wanted}; "
            "use data = 'images'"
        )
    return data


def _load_file(path: Path) -> ImageData:
    if path.name == ARCHIVE_NAME:
        return load_official_archive(path)
    if archive_name(path):
        return load_image_archive(path, cache=cache_folder())
    raise InputError(f"{path}: not a data set; must be {_FORMS}")


def _load_folder(path: Path) -> ImageData:
    if path.name == FOLDER_NAME or (path / "data_batch_1").is_file():
        return load_official_folder(path)
    if (path / FOLDER_NAME).is_dir():
        return load_official_folder(path / FOLDER_NAME)
    if (path / ARCHIVE_NAME).is_file():
        return load_official_archive(path / ARCHIVE_NAME)
    if (path / "train").is_dir() and (path / "test").is_dir():
        return load_image_folder(path)
    if (path / "train").is_dir() or (path / "test").is_dir():
        raise InputError(f"{path}: has no {'test' if (path / 'train').is_dir() else 'train'}/ part")
    archives = sorted(p for p in path.iterdir() if p.is_file() and archive_name(p))
    if len(archives) > 1:
        archives = [p for p in archives if p.name.startswith("cifar10")][:1] or archives
    if len(archives) == 1:
        return load_image_archive(archives[0], cache=cache_folder())
    if archives:
        raise InputError(f"{path}: holds {len(archives)} archives; name one of them")
    raise InputError(f"{path}: holds no data set; it must be or hold {_FORMS}")
