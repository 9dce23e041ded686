"""What trainings by any rule share: batches, threads, the epochs behind them, and files.

Images are shifted, mirrored and cut out a batch at a time. Networks and half-finished trainings on
disk are tensors and plain values, never pickled code.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.learning.evaluation import Accuracy
from rramsim.learning.image_data import ImageData
from rramsim.learning.settings import deciding
from rramsim.networks import RECIPES, ModuleSpec, NetworkSpec, WeightErrors

_FORMAT = "rramsim network 1"


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values, whole or not at all."""
    with atomic_path(path) as temporary:
        torch.save(values, temporary)


def read_tensors(path: Path, *, wanted: str) -> dict[str, Any]:
    """Read what `write_tensors` wrote, on the CPU; `wanted` is its "format" entry.

    Raises `InputError` of one line if the file is missing, cut short, holds anything but tensors
    and plain values, or is of another format.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # torch's restricted unpickler raises whatever the bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{path}: not a whole rramsim checkpoint ({reason})") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != wanted:
        raise InputError(f"{path}: its format is {found!r}, must be {wanted!r}")
    return values


def save_network(path: Path, spec: NetworkSpec | ModuleSpec, network: nn.Module) -> None:
    """Write a network and what it is, whole or not at all.

    Raises `InputError` if a weight is not a finite number or the path cannot be written.
    """
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: not written, {name} holds values that are not finite")
    cpu = {name: tensor.detach().cpu() for name, tensor in state.items()}
    write_tensors(path, {"format": _FORMAT, "spec": json.dumps(asdict(spec)), "state": cpu})


def load_network(
    path: Path, *, expected: NetworkSpec | ModuleSpec | None = None
) -> tuple[NetworkSpec | ModuleSpec, nn.Module]:
    """Read a network written by `save_network`, in evaluation mode on the CPU.

    Raises `InputError` of one line if the file is missing or cut short, or if it holds another
    network than `expected`. One of a user's own Python (`ModuleSpec`) is read only if it is
    expected: a file alone never has code imported.
    """
    path = Path(path)
    values = read_tensors(path, wanted=_FORMAT)
    try:
        fields = json.loads(values["spec"])
        fields["input_shape"] = tuple(fields["input_shape"])
        # A file that names no thresholds is older than they are.
        spec: NetworkSpec | ModuleSpec = (
            ModuleSpec(**fields)
            if "module" in fields
            else NetworkSpec(**(RECIPES["published"] | fields))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not say which network it holds ({error})") from error
    if isinstance(spec, ModuleSpec) and not isinstance(expected, ModuleSpec):
        raise InputError(
            f"{path}: holds weights of {spec.module!r}, somebody's own Python; it is read only by "
            "the experiment that names it"
        )
    if expected is not None and spec != expected:
        difference = ", ".join(
            f"{key} = {asdict(spec).get(key)!r}, wanted {value!r}"
            for key, value in asdict(expected).items()
            if asdict(spec).get(key) != value
        )
        raise InputError(f"{path}: holds another network ({difference})")
    network = (expected or spec).build(seed=0)
    load_state(network, values.get("state"), path)
    return spec, network.eval()


def load_state(network: nn.Module, state: object, path: Path) -> None:
    """Copy a state dictionary read from `path` into `network`; `InputError` if it does not fit."""
    try:
        if not isinstance(state, dict):
            raise RuntimeError("no weights")
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path}: its weights do not fit the network it names ({reason})"
        ) from error
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: {name} holds values that are not finite")


class BatchSource:
    """All training images, resident on one device, served in shuffled and augmented batches.

    The images are kept once, edge-padded, channels last. A batch is one gather from them: row and
    column indices carry the shift and the mirroring of each image, so augmentation costs what
    copying the batch costs.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, *, crop_pixels: int, flip: bool,
        cutout_pixels: int = 0,
    ) -> None:  # fmt: skip
        """Take uint8 images (N, C, H, W) and labels (N,) that lie on the device to train on.

        `cutout_pixels`: side of a square around a random pixel of each image (what lies outside is
        lost) that takes the mean colour of all images, as a byte: what `Standardise` makes zero.
        """
        self._size = (images.shape[2], images.shape[3])
        self._crop = crop_pixels
        self._flip = flip
        self._labels = labels
        self._cutout = cutout_pixels
        mean = images.double().mean(dim=(0, 2, 3))
        self._mean = (mean if images.is_floating_point() else mean.round()).to(images.dtype)
        self._images = _edge_padded(images.permute(0, 2, 3, 1), crop_pixels).contiguous()

    def __len__(self) -> int:
        return len(self._labels)

    def epoch(self, batch: int, *, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch of (images (B, C, H, W) uint8, labels (B,)), in an order of its own.

        `generator` lives on the CPU, so an epoch is the same on every device. A last batch of one
        image is left out: batch-norm cannot use it.
        """
        count = len(self._labels)
        order = torch.randperm(count, generator=generator)
        shifts = torch.randint(0, 2 * self._crop + 1, (count, 2), generator=generator)
        mirrored = torch.rand(count, generator=generator) < (0.5 if self._flip else 0.0)
        device = self._images.device
        if self._cutout:
            corners = torch.stack(
                [torch.randint(0, side, (count,), generator=generator) for side in self._size]
            )
            corners = (corners - self._cutout // 2).to(device)
        order, shifts, mirrored = (t.to(device) for t in (order, shifts, mirrored))
        height, width = self._size
        rows = torch.arange(height, device=device)
        columns = torch.arange(width, device=device)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            if len(chosen) < 2 <= count:
                return
            shift = shifts[start : start + batch]
            mirror = mirrored[start : start + batch, None]
            row = shift[:, :1] + rows
            column = shift[:, 1:] + torch.where(mirror, width - 1 - columns, columns)
            images = self._images[chosen[:, None, None], row[:, :, None], column[:, None, :]]
            if self._cutout:
                top, left = (corner[start : start + batch, None] for corner in corners)
                hole_rows = (rows >= top) & (rows < top + self._cutout)
                hole_columns = (columns >= left) & (columns < left + self._cutout)
                hole = hole_rows[:, :, None] & hole_columns[:, None, :]
                images = torch.where(hole[..., None], self._mean, images)
            yield images.permute(0, 3, 1, 2), self._labels[chosen]


def _edge_padded(images: Tensor, pixels: int) -> Tensor:
    """Repeat the edge of (N, H, W, C) images outwards; torch's own padding refuses uint8."""
    if pixels == 0:
        return images
    height, width = images.shape[1:3]
    rows = torch.arange(-pixels, height + pixels, device=images.device).clamp(0, height - 1)
    columns = torch.arange(-pixels, width + pixels, device=images.device).clamp(0, width - 1)
    return images[:, rows][:, :, columns]


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


@contextmanager
def within_thread_limit() -> Iterator[None]:
    """Let PyTorch use no more threads than `OMP_THREAD_LIMIT` allows, for the time of a training.

    PyTorch counts the cores and does not read that variable; OpenMP does, and starts fewer threads
    than PyTorch then waits for. The gradient of a convolution waits forever (PyTorch 2.13 on a
    processor). A value that OpenMP would not accept is left to it.
    """
    limit, before = os.environ.get("OMP_THREAD_LIMIT", "").strip(), torch.get_num_threads()
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit) < before):
        yield
        return
    torch.set_num_threads(int(limit))
    try:
        yield
    finally:
        torch.set_num_threads(before)
