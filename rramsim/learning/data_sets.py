"""Find a data set by its name and the user's path; scikit-learn's digits among them.

Image files of any size are train/<class>/<n>.jpg and test/<class>/<n>.jpg, packed or not.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rramsim.exceptions import InputError
from rramsim.files import cache_folder, file_digest
from rramsim.learning.cifar_official import (
    ARCHIVE_NAME,
    CIFAR10_CLASSES,
    FOLDER_NAME,
    load_official_archive,
    load_official_folder,
)
from rramsim.learning.image_data import ImageData, archive_members, cached_arrays, check_member_name
from rramsim.learning.published import detected

_KNOWN_COPIES = {
    "ee8535bf9439b434a5ff1ec5e080c0a72100ac8998fea7800886ed3c05aac8e0": "CIFAR-10 (JPEG copy)"
}
_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_SIDE = 1024
_MAX_IMAGE_BYTES = 1 << 24
_PARTS = ("train", "test")

_Arrays = dict[str, NDArray[np.generic]]


def load_image_archive(path: Path, *, cache: Path | None = None) -> ImageData:
    """Read an archive of image files in memory; labels are the classes in alphabetical order.

    `cache` is a folder for the decoded arrays: decoding sixty thousand JPEGs takes seconds, reading
    them back a tenth of one. A set of the ten classes of CIFAR-10 in 32 x 32 is called "CIFAR-10
    (image copy)", any other by its file's name. Raises `InputError` of one line for anything that
    is not such an archive.
    """
    sha256 = file_digest(path)

    def decode() -> _Arrays:
        return _decoded(archive_members(path, max_member_bytes=_MAX_IMAGE_BYTES), path)

    arrays = decode() if cache is None else cached_arrays(cache, f"images-{sha256}", decode)
    name = path.name.split(".")[0]
    return _image_data(
        arrays, _KNOWN_COPIES.get(sha256), name, {"file": path.name, "sha256": sha256}
    )


def load_image_folder(path: Path) -> ImageData:
    """Read a folder with train/<class>/ and test/<class>/; see `load_image_archive`."""

    def files() -> Iterator[tuple[str, bytes]]:
        for part in _PARTS:
            for file in sorted((path / part).glob("*/*")):
                try:
                    if file.stat().st_size > _MAX_IMAGE_BYTES:
                        raise InputError(f"{file}: larger than {_MAX_IMAGE_BYTES} bytes")
                    yield file.relative_to(path).as_posix(), file.read_bytes()
                except OSError as error:
                    raise InputError(f"{file}: cannot be read ({error.strerror})") from error

    return _image_data(_decoded(files(), path), None, path.name, {"file": path.name})


def _image_data(arrays: _Arrays, label: str | None, name: str, source: dict[str, str]) -> ImageData:
    classes = tuple(str(name) for name in arrays["classes"])
    side = min(arrays["train_images"].shape[2:])
    if label is None:
        cifar = classes == CIFAR10_CLASSES and arrays["train_images"].shape[1:] == (3, 32, 32)
        label = "CIFAR-10 (image copy)" if cifar else name
    return ImageData(
        train_images=arrays["train_images"].astype(np.uint8, copy=False),
        train_labels=arrays["train_labels"].astype(np.int64, copy=False),
        test_images=arrays["test_images"].astype(np.uint8, copy=False),
        test_labels=arrays["test_labels"].astype(np.int64, copy=False),
        classes=classes,
        label=label,
        source=source,
        crop_pixels=min(4, side // 8),
        flip=not all(name.isdigit() for name in classes),  # a mirrored digit is no digit
    )


def _decoded(members: Iterable[tuple[str, bytes]], path: Path) -> _Arrays:
    """Decode all images, ordered by class and then by number, which is the official order."""
    found: dict[str, list[tuple[str, int, str, NDArray[np.uint8]]]] = {part: [] for part in _PARTS}
    for name, content in members:
        place = check_member_name(name, path)
        if place.suffix.lower() not in _SUFFIXES:
            continue
        parts = tuple(part for part in place.parts if part != ".")
        if len(parts) < 3 or parts[-3] not in _PARTS:
            raise InputError(
                f"{path}: {name[:80]!r} must lie at train/<class>/<n>.jpg or test/<class>/<n>.jpg"
            )
        number = int(place.stem) if place.stem.isdecimal() and len(place.stem) < 12 else -1
        image = _image(content, f"{path}: {name[:80]}")
        found[parts[-3]].append((parts[-2], number, place.stem, image))
    classes = sorted({row[0] for row in found["train"]})
    others = sorted({row[0] for row in found["test"]})
    if not classes or classes != others:
        raise InputError(
            f"{path}: classes in train/ are {classes[:12]} and in test/ {others[:12]}; "
            "both must be there and agree"
        )
    position = {name: index for index, name in enumerate(classes)}
    arrays: _Arrays = {"classes": np.array(classes)}
    for part, rows in found.items():
        rows.sort(key=lambda row: row[:3])
        shapes = sorted({row[3].shape for row in rows})
        if len(shapes) > 1:
            raise InputError(
                f"{path}: images of different sizes in {part}/, {_size(shapes[0])} and "
                f"{_size(shapes[-1])}; all must have one"
            )
        arrays[f"{part}_images"] = np.stack([row[3] for row in rows])
        arrays[f"{part}_labels"] = np.array([position[row[0]] for row in rows], dtype=np.int64)
    return arrays


def _image(content: bytes, where: str) -> NDArray[np.uint8]:
    """Decode one image to (1 or 3, H, W); size and mode are checked before any pixel is decoded."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            if max(image.size) > _MAX_SIDE or image.mode not in ("RGB", "L"):
                raise InputError(
                    f"{where}: {image.size[0]} x {image.size[1]} pixels of mode {image.mode}, "
                    f"must be at most {_MAX_SIDE} x {_MAX_SIDE} of mode RGB or L (grey)"
                )
            pixels = np.asarray(image)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{where}: not a JPEG or PNG image") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: damaged image ({error})") from error
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels[None])
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]} pixels of {'colour' if shape[0] == 3 else 'grey'}"


def archive_name(path: Path) -> bool:
    """Whether a file's name says that it is a tar archive this module reads."""
    return path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz"))


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
