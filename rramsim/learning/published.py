"""Data sets in the files in which they are published, and arrays of one's own.

MNIST and Fashion-MNIST (idx files), CIFAR-100 and ImageNet32 (pickled batches, read without running
anything), `.npz`, and pairs of arrays or tensors from Python.
"""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.learning.cifar_official import read_batch
from rramsim.learning.image_data import ImageData, archive_members

CIFAR100_ARCHIVE, CIFAR100_FOLDER = "cifar-100-python.tar.gz", "cifar-100-python"
IDX_FILES = {
    "train_images": "train-images-idx3-ubyte", "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte", "test_labels": "t10k-labels-idx1-ubyte",
}  # fmt: skip
_MEAN_PIXEL = {"MNIST": 33.3184, "Fashion-MNIST": 72.9404}
"""Of the published training images: both sets have the same file names."""
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_MAX_BYTES = 1 << 30
_NPZ_KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)


def load_idx(folder: Path) -> ImageData:
    """MNIST or Fashion-MNIST from its four idx files, distinguished by their pixels.

    Another set in such files is called by its folder's name.
    """
    arrays, digest = {}, hashlib.sha256()
    for key, name in IDX_FILES.items():
        found = [p for p in (folder / name, folder / f"{name}.gz") if p.is_file()]
        if not found:
            raise InputError(f"{folder}: has no {name}, gzipped or not")
        content = _read(found[0])
        digest.update(content)
        arrays[key] = _idx(content, found[0])
    mean = float(arrays["train_images"].mean())
    label = next((n for n, m in _MEAN_PIXEL.items() if abs(mean - m) < 1e-3), folder.name)
    digits = label != "Fashion-MNIST"
    return images_of(
        (arrays["train_images"], arrays["train_labels"]),
        (arrays["test_images"], arrays["test_labels"]),
        label=label,
        classes=tuple(str(i) for i in range(10)) if digits else _FASHION,
        source={"file": folder.name, "sha256": digest.hexdigest()},
        crop_pixels=2,
        flip=not digits,
    )


def _idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    axes = content[3] if len(content) > 4 and content[:3] == b"\0\0\x08" else 0
    shape = tuple(np.frombuffer(content[4 : 4 + 4 * axes], dtype=">u4").astype(int).tolist())
    if axes not in (1, 3) or len(shape) != axes or len(content) != 4 + 4 * axes + np.prod(shape):
        raise InputError(f"{path}: not a whole idx file of bytes; fetch it again")
    return np.frombuffer(content[4 + 4 * axes :], dtype=np.uint8).reshape(shape).copy()


def _read(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as stream:
            content = stream.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if len(content) > _MAX_BYTES:
        raise InputError(f"{path}: unpacks to more than {_MAX_BYTES} bytes")
    return content


def load_cifar100(path: Path) -> ImageData:
    """CIFAR-100, its hundred fine classes, from the official archive or folder."""
    content = dict(_members(path, ("train", "test")))
    digest = hashlib.sha256(content["train"] + content["test"]).hexdigest()
    parts = [
        read_batch(content[name], f"{path}: {name}", labels="fine_labels", classes=100)
        for name in ("train", "test")
    ]
    return images_of(
        parts[0], parts[1], label="CIFAR-100", source={"file": path.name, "sha256": digest},
        classes=tuple(str(i) for i in range(100)), crop_pixels=4, flip=True,
    )  # fmt: skip


def load_imagenet32(folder: Path) -> ImageData:
    """ImageNet32 (Chrabaszcz et al. 2017) from train_data_batch_1 to 10 and val_data.

    Its labels run from 1 to 1000. Fewer batches make a smaller set, which its name says.
    """
    names = sorted(p.name for p in folder.glob("train_data_batch_*"))
    batches, digest = {}, hashlib.sha256()
    for name in [*names, "val_data"]:
        content = _read(folder / name)
        digest.update(content)
        batches[name] = read_batch(content, f"{folder / name}", classes=1000, first=1)
    training = [batches[name] for name in names]
    return images_of(
        (np.concatenate([x for x, _ in training]), np.concatenate([y for _, y in training])),
        batches["val_data"],
        label="ImageNet32" if len(names) == 10 else f"ImageNet32, {len(names)} of 10 batches",
        source={"file": folder.name, "sha256": digest.hexdigest()},
        classes=tuple(str(i) for i in range(1, 1001)), crop_pixels=4, flip=True,
    )  # fmt: skip


def _members(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from ((name, _read(path / name)) for name in wanted)
        return
    found = {
        PurePosixPath(name).name: content
        for name, content in archive_members(path, max_member_bytes=_MAX_BYTES)
    }
    for name in wanted:
        if name not in found:
            raise InputError(f"{path}: has no {name}; not the official archive")
        yield name, found[name]


def load_npz(path: Path) -> ImageData:
    """Images or features from x_train, y_train, x_test, y_test (or train_images, ...) of an `.npz`.

    See `images_of` for their shapes.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            keys = next((k for k in _NPZ_KEYS if set(k) <= set(stored.files)), None)
            if keys is None:
                raise InputError(
                    f"{path}: holds {', '.join(stored.files[:8])}; must hold x_train, y_train, "
                    "x_test and y_test (a data set without a test part cannot be tested)"
                )
            arrays = [stored[key] for key in keys]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable .npz file ({error})") from error
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return images_of(
        (arrays[0], arrays[1]), (arrays[2], arrays[3]), label=path.stem,
        source={"file": path.name, "sha256": digest.hexdigest()},
    )  # fmt: skip


def images_of(
    train: Any,
    test: Any,
    *,
    label: str,
    classes: Sequence[str] | None = None,
    source: dict[str, str] | None = None,
    crop_pixels: int = 0,
    flip: bool = False,
) -> ImageData:
    """A data set from Python: `train` and `test` are pairs of arrays or tensors, or a `Dataset`.

    Inputs are images (N, H, W), (N, C, H, W) or (N, H, W, C), bytes or floats, or features (N, F).
    Labels are whole numbers from 0; without `classes` there are as many as training has. Nothing is
    augmented unless asked: a mirrored digit is no digit. Raises `InputError` if the parts do not
    fit one another, a label lies outside the classes, or images are of different sizes.

    >>> set_ = images_of((np.zeros((4, 8, 8)), [0, 1, 2, 0]), (np.zeros((2, 8, 8)), [0, 2]),
    ...                  label="mine")
    >>> set_.input_shape, len(set_.classes)
    ((1, 8, 8), 3)
    """
    arrays = []
    for part, name in ((train, "training"), (test, "test")):
        inputs, labels = _pair(part, f"{label}: {name}")
        arrays.append((_laid_out(inputs, f"{label}: {name}"), _labels(labels, f"{label}: {name}")))
    if classes is None:
        highest = int(max(arrays[0][1].max(initial=0), 1))
        classes = tuple(str(i) for i in range(highest + 1))
    return ImageData(
        train_images=arrays[0][0], train_labels=arrays[0][1],
        test_images=arrays[1][0], test_labels=arrays[1][1],
        classes=tuple(classes), label=label, source=source or {},
        crop_pixels=crop_pixels, flip=flip,
    )  # fmt: skip


def _pair(part: Any, where: str) -> tuple[Any, Any]:
    if isinstance(part, tuple) and len(part) == 2:
        return part
    if not (hasattr(part, "__getitem__") and hasattr(part, "__len__")) or not len(part):
        raise InputError(f"{where}: must be a pair (inputs, labels) or a Dataset with elements")
    items = [part[index] for index in range(len(part))]
    inputs = [np.asarray(item[0]) for item in items]
    sizes = {value.shape for value in inputs}
    if len(sizes) > 1:
        first, second = sorted(sizes)[:2]
        raise InputError(f"{where}: inputs of different sizes, {first} and {second}")
    return np.stack(inputs), [int(item[1]) for item in items]


def _laid_out(inputs: Any, where: str) -> NDArray[Any]:
    """As (N, C, H, W), uint8 or float32."""
    values = np.asarray(inputs)
    if values.dtype == object or values.ndim not in (2, 3, 4) or not len(values):
        raise InputError(
            f"{where}: inputs are {values.dtype} of shape {values.shape}, must be numbers "
            "(N, H, W), (N, C, H, W), (N, H, W, C) or (N, F), all of one size"
        )
    if values.ndim == 2:
        values = values[:, None, None, :]
    elif values.ndim == 3:
        values = values[:, None]
    elif values.shape[1] not in (1, 3) and values.shape[3] in (1, 3):
        values = values.transpose(0, 3, 1, 2)
    if values.dtype != np.uint8:
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise InputError(f"{where}: inputs hold NaN or infinite values")
    return np.ascontiguousarray(values)


def _labels(labels: Any, where: str) -> NDArray[np.int64]:
    values = np.asarray(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise InputError(
            f"{where}: labels are {values.dtype} of shape {values.shape}, must be whole numbers "
            "(N,)"
        )
    return values.astype(np.int64)


def detected(path: Path) -> Callable[[], ImageData] | None:
    """The reader for the form in which files lie at a path, or None for another's to read."""
    if path.is_file():
        if path.suffix == ".npz":
            return lambda: load_npz(path)
        return (lambda: load_cifar100(path)) if path.name == CIFAR100_ARCHIVE else None
    for inside in (path, path / "MNIST" / "raw", path / "FashionMNIST" / "raw"):
        if any((inside / (IDX_FILES["train_images"] + end)).is_file() for end in ("", ".gz")):
            return lambda: load_idx(inside)
    if (path / "val_data").is_file() and any(path.glob("train_data_batch_*")):
        return lambda: load_imagenet32(path)
    for inside in (path, path / CIFAR100_FOLDER):
        if (inside / "train").is_file() and (inside / "test").is_file():
            return lambda: load_cifar100(inside)
    if (path / CIFAR100_ARCHIVE).is_file():
        return lambda: load_cifar100(path / CIFAR100_ARCHIVE)
    return None
