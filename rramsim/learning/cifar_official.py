"""CIFAR-10 as its authors publish it: the archive, or the folder it unpacks to."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from rramsim.exceptions import InputError
from rramsim.learning.archives import archive_members
from rramsim.learning.image_data import ImageData
from rramsim.learning.safe_pickle import read_batch

__all__ = [
    "ARCHIVE_MD5",
    "ARCHIVE_NAME",
    "CIFAR10_CLASSES",
    "FOLDER_NAME",
    "content_digest",
    "file_digest",
    "load_official_archive",
    "load_official_folder",
]

ARCHIVE_NAME = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER_NAME = "cifar-10-batches-py"
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_BATCH_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
_CONTENT_SHA256 = "32e5966899bde482c0ef7d076bf69809b4b1488c806f657a814cfca4646ec493"
"""`content_digest` of the published set. Taken from lossless copies of its images: their means and
deviations in each channel are the published ones to all digits."""
_MAX_BATCH_BYTES = 1 << 26


def file_digest(path: Path, algorithm: str) -> str:
    """Return the hexadecimal digest of a file; `InputError` if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def load_official_archive(path: Path, *, md5: str = ARCHIVE_MD5) -> ImageData:
    """Read `cifar-10-python.tar.gz` in memory, after checking that its md5 is the published one."""
    found = file_digest(path, "md5")
    if found != md5:
        raise InputError(
            f"{path}: md5 {found}, the official archive has {md5}; cut short or altered, "
            "fetch it again"
        )
    members = archive_members(path, max_member_bytes=_MAX_BATCH_BYTES)
    return _assembled(members, path, {"file": path.name, "md5": found}, label="CIFAR-10")


def load_official_folder(path: Path) -> ImageData:
    """Read the batches of an extracted `cifar-10-batches-py`.

    The set is called "CIFAR-10" if every file has its published md5, or holds the published images
    and labels though it was written anew; else "CIFAR-10 (altered)".
    """

    def members() -> Iterator[tuple[str, bytes]]:
        for name in _BATCH_MD5:
            file = path / name
            try:
                if file.stat().st_size > _MAX_BATCH_BYTES:
                    raise InputError(f"{file}: larger than {_MAX_BATCH_BYTES} bytes")
                yield name, file.read_bytes()
            except OSError as error:
                raise InputError(f"{file}: cannot be read ({error.strerror})") from error

    contents = list(members())
    digests = {name: hashlib.md5(content).hexdigest() for name, content in contents}
    together = hashlib.sha256("".join(digests.values()).encode()).hexdigest()
    source = {"file": path.name, "sha256_of_md5s": together}
    data = _assembled(iter(contents), path, source, label="CIFAR-10")
    if digests == _BATCH_MD5 or content_digest(data) == _CONTENT_SHA256:
        return data
    return replace(data, label="CIFAR-10 (altered)")


def content_digest(data: ImageData) -> str:
    """Return the sha256 of all images and labels, whatever the files that held them."""
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(array.astype(np.uint8).tobytes())
    return digest.hexdigest()


def _assembled(
    members: Iterator[tuple[str, bytes]], path: Path, source: dict[str, str], *, label: str
) -> ImageData:
    batches = {}
    for name, content in members:
        base = PurePosixPath(name).name
        if base in _BATCH_MD5:
            batches[base] = read_batch(content, f"{path}: {base}")
    missing = sorted(set(_BATCH_MD5) - set(batches))
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; not the CIFAR-10 archive")
    training = [batches[name] for name in sorted(batches) if name != "test_batch"]
    return ImageData(
        train_images=np.concatenate([images for images, _ in training]),
        train_labels=np.concatenate([labels for _, labels in training]),
        test_images=batches["test_batch"][0],
        test_labels=batches["test_batch"][1],
        classes=CIFAR10_CLASSES,
        label=label,
        source=source,
        crop_pixels=4,
        flip=True,
    )
