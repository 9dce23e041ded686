"""Find a data set by its name and the path that the user gives."""

from pathlib import Path

from rramsim.caches import cache_folder
from rramsim.exceptions import InputError
from rramsim.learning.cifar_official import (
    ARCHIVE_NAME,
    FOLDER_NAME,
    load_official_archive,
    load_official_folder,
)
from rramsim.learning.digits import digits
from rramsim.learning.image_data import ImageData
from rramsim.learning.image_folders import archive_name, load_image_archive, load_image_folder

__all__ = ["DATA_SETS", "load_images"]

DATA_SETS = ("digits", "cifar10")
_FORMS = f"{ARCHIVE_NAME}, {FOLDER_NAME}/, an archive cifar10*.tar.* or train/<class>/*.jpg"


def load_images(name: str = "digits", *, path: Path | None = None) -> ImageData:
    """Load a data set: "digits" (scikit-learn's, no path needed) or "cifar10".

    For "cifar10", `path` is the official archive `cifar-10-python.tar.gz`, the folder
    `cifar-10-batches-py` it unpacks to, an archive or folder of image files
    (train/<class>/<n>.jpg and test/<class>/<n>.jpg), or a folder that holds one of these. Archives
    are read in memory; nothing is unpacked to disk. Raises `InputError` of one line if there is no
    such data set, or if it is damaged or not to be trusted.
    """
    if name == "digits":
        return digits()
    if name != "cifar10":
        raise InputError(f"data = {name!r}: must be one of {', '.join(DATA_SETS)}")
    if path is None:
        raise InputError(
            "data = 'cifar10': no path given; set RRAMSIM_DATA to the folder that holds "
            f"{ARCHIVE_NAME}, or fetch it with download_cifar10"
        )
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; it must be or hold {_FORMS}")
    if path.is_file():
        return _load_file(path)
    return _load_folder(path)


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
    archives = sorted(p for p in path.glob("cifar10*") if p.is_file() and archive_name(p))
    if archives:
        return load_image_archive(archives[0], cache=cache_folder())
    raise InputError(f"{path}: holds no CIFAR-10; it must be or hold {_FORMS}")
