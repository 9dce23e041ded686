"""What trainings by any rule share: their images, the epochs behind them, and whose those are."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from rramsim.exceptions import InputError
from rramsim.learning.augmentation import BatchSource
from rramsim.learning.checkpoints import read_tensors, write_tensors
from rramsim.learning.evaluation import Accuracy
from rramsim.learning.image_data import ImageData
from rramsim.learning.settings import deciding
from rramsim.networks import WeightErrors

__all__ = [
    "EpochMetrics",
    "Progress",
    "batch_source",
    "bfloat16_remark",
    "followed",
    "has_bfloat16",
    "read_progress",
    "require_images",
    "run_identity",
    "torch_device",
    "write_progress",
]


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """One epoch. Accuracies are shares, 0 to 1; `train_accuracy` is over augmented images while
    the weights still move; `learning_rate` is that of the epoch's last step."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands: its epochs, the accuracy after the last one, the tensors to go on
    from."""

    rows: tuple[EpochMetrics, ...]
    test: Accuracy
    state: dict[str, Any]


class _Spec(Protocol):
    """A network that takes images."""

    @property
    def name(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int: ...


def require_images(spec: _Spec, data: ImageData) -> None:
    """Raise `InputError` if the network does not take these images."""
    if spec.input_shape != data.input_shape or spec.classes != len(data.classes):
        raise InputError(
            f"{spec.name} takes images {spec.input_shape} of {spec.classes} classes, "
            f"{data.label} has {data.input_shape} of {len(data.classes)}"
        )


def torch_device(name: str) -> torch.device:
    """Return the device of that name; `InputError` if PyTorch has none here."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device = {name!r}: PyTorch has no such device here; 'cpu' always works"
        ) from error
    return device


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def bfloat16_remark(*, bfloat16: bool, device: str) -> str:
    """What must be known of a training in bfloat16 here; empty where there is nothing."""
    if not bfloat16 or torch.device(device).type != "cpu" or has_bfloat16():
        return ""
    return (
        "bfloat16 = true: this processor has no instructions for it, so PyTorch emulates them; a "
        "step takes about 9 times as long as with bfloat16 = false"
    )


def batch_source(
    data: ImageData, *, augment: bool, device: torch.device, cutout_pixels: int = 0
) -> BatchSource:
    """Put all training images on the device, to be served in batches."""
    return BatchSource(
        torch.from_numpy(data.train_images).to(device),
        torch.from_numpy(data.train_labels).to(device),
        crop_pixels=data.crop_pixels if augment else 0,
        flip=data.flip and augment,
        cutout_pixels=cutout_pixels,
    )


_Batch = TypeVar("_Batch")
_TELL_EVERY = 20
"""Steps between words about an epoch under way."""


def followed(
    batches: Iterable[_Batch], under_way: Callable[[float], None] | None, *, epoch: int, steps: int
) -> Iterator[_Batch]:
    """The batches of an epoch of so many steps; `under_way` is told how many epochs are done."""
    for index, batch in enumerate(batches):
        if under_way is not None and index and index % _TELL_EVERY == 0:
            under_way(epoch - 1 + index / steps)
        yield batch


def run_identity(spec: Any, data: ImageData, settings: Any, errors: WeightErrors | None) -> str:
    """All that decides a training's result, as text; `spec` and `settings` are dataclasses.

    Of the settings those that decide (`deciding`).
    """
    digest = hashlib.sha256()
    for values in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(np.ascontiguousarray(values).data)
    return json.dumps(
        {
            "network": asdict(spec),
            "settings": deciding(settings),
            "data": digest.hexdigest(),
            "errors": None if errors is None else errors.describe(),
        },
        sort_keys=True,
    )


def write_progress(path: Path, progress: Progress, *, kind: str, identity: str) -> None:
    """Write a checkpoint, whole or not at all; `kind` is the format's name."""
    write_tensors(
        path,
        {
            "format": kind,
            "identity": identity,
            **progress.state,
            "rows": json.dumps([asdict(row) for row in progress.rows]),
            "test": json.dumps(asdict(progress.test)),
        },
    )


def read_progress(path: Path, *, kind: str, identity: str) -> Progress:
    """Read a checkpoint; `InputError` if it is damaged or another run's."""
    values = read_tensors(path, wanted=kind)
    found = values.get("identity")
    if found != identity:
        raise InputError(
            f"{path}: the checkpoint of another run ({_difference(found, identity)}); "
            "remove it or name another file"
        )
    try:
        return Progress(
            rows=tuple(EpochMetrics(**row) for row in json.loads(values["rows"])),
            test=Accuracy(**json.loads(values["test"])),
            state=values,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a whole rramsim checkpoint ({error})") from error


def _difference(found: object, wanted: str) -> str:
    """Name the first thing in which two identities differ."""
    try:
        one, other = json.loads(str(found)), json.loads(wanted)
    except ValueError:
        return "it does not say of which"
    for part in ("network", "settings"):
        for key, value in other[part].items():
            if one[part].get(key) != value:
                return f"its {key} = {one[part].get(key)!r}, here {value!r}"
    return "its data set differs" if one["data"] != other["data"] else "its read errors differ"
