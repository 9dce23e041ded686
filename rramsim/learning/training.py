"""Training by back-propagation with straight-through gradients, resumable to the same bits.

On a GPU a step is recorded once as a graph and replayed: at width 16 it is some two hundred short
kernels, and launching them one by one takes longer than running them.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.learning.evaluation import Accuracy, accuracy
from rramsim.learning.image_data import ImageData
from rramsim.learning.progress import (
    BatchSource,
    EpochMetrics,
    Progress,
    batch_source,
    followed,
    load_state,
    read_progress,
    require_images,
    run_identity,
    torch_device,
    within_thread_limit,
    write_progress,
)
from rramsim.learning.settings import TrainingSettings
from rramsim.networks import (
    ModuleSpec,
    NetworkSpec,
    Standardise,
    WeightErrors,
    quantised_layers,
    set_weight_errors,
)

_WARM_UP = 3
"""Steps taken before the recording, so that every library has chosen its algorithms."""


@contextmanager
def _fastest_algorithms() -> Iterator[None]:
    """Let cuDNN time its algorithms for each new size, and keep to the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class GraphedStep:
    """Takes the steps of one training, by the graph where the batch has the recorded size.

    `step` takes (images, labels), both on the device, and returns tensors; it must not wait for
    the device. Weights, the optimiser's state and the errors' generators stay where they are, so
    replayed steps and plain ones may follow each other; the learning rate must be a tensor.
    """

    def __init__(self, step: Step, network: nn.Module) -> None:
        self._step = step
        self._network = network
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, Tensor] | None = None
        self._outputs: tuple[Tensor, Tensor] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step; return what `step` returns, as tensors of their own."""
        if self._inputs is not None and images.shape != self._inputs[0].shape:
            return self._step(images, labels)  # the short last batch of an epoch
        if self._taken < _WARM_UP:
            self._taken += 1
            return self._beside(images, labels)
        if self._graph is None:
            self._record(images, labels)
        assert self._graph is not None and self._inputs is not None and self._outputs is not None
        self._inputs[0].copy_(images)
        self._inputs[1].copy_(labels)
        self._graph.replay()
        return self._outputs[0].clone(), self._outputs[1].clone()

    def _beside(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take a plain step on a stream of its own, as a recording demands of those before it."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), _fastest_algorithms():
            result = self._step(images, labels)
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self, images: Tensor, labels: Tensor) -> None:
        graph = torch.cuda.CUDAGraph()
        for layer in quantised_layers(self._network).values():
            if layer.draws_errors:
                graph.register_generator_state(layer.error_generator())
        self._inputs = (images.clone(), labels.clone())
        with torch.cuda.graph(graph), _fastest_algorithms():
            self._outputs = self._step(*self._inputs)
        self._graph = graph


_FORMAT = "rramsim training 1"
_CHECK_EVERY = 50
"""Steps between looks at the loss; each look makes a GPU wait."""


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A trained network, in evaluation mode, with the read errors it was trained with removed.

    `test` is measured after the last epoch with those errors acting, as during training.
    """

    spec: NetworkSpec | ModuleSpec
    settings: TrainingSettings
    network: nn.Module
    rows: tuple[EpochMetrics, ...]
    test: Accuracy
    label: str

    @property
    def seconds(self) -> float:
        """Wall-clock time of all epochs, tests included."""
        return sum(row.seconds for row in self.rows)


@within_thread_limit()
def train(
    network_spec: NetworkSpec | ModuleSpec,
    data: ImageData,
    settings: TrainingSettings,
    *,
    errors: WeightErrors | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[EpochMetrics], None] | None = None,
    under_way: Callable[[float], None] | None = None,
) -> TrainingResult:
    """Train a network on `data`, with read errors drawn anew at every forward pass if given.

    The test accuracy of every epoch is measured with the same errors acting. With `checkpoint`, the
    state after each epoch is written there, and a run that finds it goes on from it; on the CPU the
    result is the same bit for bit as without the interruption, since every random number of an
    epoch derives from the seed and the epoch. On another number of threads or another processor
    sums are rounded in another order: the last digits differ, and in time the accuracy. `progress`
    is called after each epoch, `under_way` within it with the number of epochs done, as 1.4.

    Raises `InputError` if the network does not take these images, if the checkpoint belongs to
    another run, or if the loss stops being finite (nothing is written then).
    """
    require_images(network_spec, data)
    device = torch_device(settings.device)
    teacher = _teacher(network_spec, data, settings, checkpoint)
    network = network_spec.build(seed=settings.seed)
    _set_statistics(network, data, settings.norm_momentum)
    network.to(device)
    set_weight_errors(network, errors, seed=settings.seed)
    optimiser = _optimiser(network, settings, len(data.train_labels), device)
    source = batch_source(
        data, augment=settings.augment, device=device, cutout_pixels=settings.cutout_pixels
    )
    test_images = torch.from_numpy(data.test_images).to(device)
    test_labels = torch.from_numpy(data.test_labels).to(device)
    identity = run_identity(network_spec, data, settings, errors)
    step: Step = partial(
        training_step,
        network,
        optimiser,
        label_smoothing=settings.label_smoothing,
        bfloat16=settings.bfloat16,
        teacher=teacher,
        distillation=settings.distillation,
        temperature=settings.distillation_temperature,
    )
    average = _Average(network, settings.average) if settings.average else None
    if device.type == "cuda":
        step = GraphedStep(step, network)
    rows: list[EpochMetrics] = []
    test: Accuracy | None = None
    if checkpoint is not None and Path(checkpoint).exists():
        found = read_progress(Path(checkpoint), kind=_FORMAT, identity=identity)
        _resume(Path(checkpoint), found.state, network, optimiser, average)
        rows, test = list(found.rows), found.test
    for epoch in range(len(rows) + 1, settings.epochs + 1):
        started = time.perf_counter()
        loss, share = _epoch(
            network, optimiser, step, source, settings, errors, epoch, average, under_way
        )
        with average.used() if average else nullcontext():
            test = accuracy(network, test_images, test_labels)
        row = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=share,
            test_accuracy=test.value,
            seconds=time.perf_counter() - started,
            learning_rate=float(optimiser.param_groups[0]["lr"]),
        )
        rows.append(row)
        if checkpoint is not None:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict()}
            if average:
                state["average"] = average.values
            done = Progress(rows=tuple(rows), test=test, state=state)
            write_progress(Path(checkpoint), done, kind=_FORMAT, identity=identity)
        if progress is not None:
            progress(row)
    assert test is not None
    set_weight_errors(network, None)
    if average:
        average.exchange()
    return TrainingResult(
        spec=network_spec,
        settings=settings,
        network=network.eval(),
        rows=tuple(rows),
        test=test,
        label=data.label,
    )


def finished(
    spec: ModuleSpec, data: ImageData, settings: TrainingSettings
) -> tuple[nn.Module, EpochMetrics]:
    """A network whose weights are finished, in evaluation mode, and its accuracy as "epoch 0".

    Only the input's mean and deviation are measured on the training images, where the spec says
    so. Raises `InputError` if the network does not take these images.
    """
    require_images(spec, data)
    network = spec.build(seed=settings.seed)
    _set_statistics(network, data, settings.norm_momentum)
    network.to(torch_device(settings.device))
    started = time.perf_counter()
    test = accuracy(network, data.test_images, data.test_labels)
    row = EpochMetrics(
        epoch=0, train_loss=math.nan, train_accuracy=math.nan, test_accuracy=test.value,
        seconds=time.perf_counter() - started, learning_rate=math.nan,
    )  # fmt: skip
    return network.eval(), row


class _Average:
    """A running mean of a network's weights and statistics.

    The share of the past starts at a tenth and grows with the steps to `most`, so that the first
    weights are forgotten in a short training too.
    """

    def __init__(self, network: nn.Module, most: float) -> None:
        self._most = most
        self._live = {k: v for k, v in network.state_dict().items() if v.is_floating_point()}
        self.values = {k: v.clone() for k, v in self._live.items()}

    def update(self, step: int) -> None:
        """Take in the weights after a step (0, 1, ...)."""
        past = min(self._most, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self._live.values()), 1 - past)

    def exchange(self) -> None:
        """Put the mean into the network, and what the network held into the mean."""
        for name, live in self._live.items():
            kept = live.clone()
            live.copy_(self.values[name])
            self.values[name].copy_(kept)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside the block the network holds the mean."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()


def _teacher(
    spec: NetworkSpec | ModuleSpec, data: ImageData, settings: TrainingSettings,
    checkpoint: Path | None,
) -> nn.Module | None:  # fmt: skip
    """The full-precision network that is followed, trained first (or found in its checkpoint)."""
    if not settings.distillation:
        return None
    if not isinstance(spec, NetworkSpec):
        raise InputError(
            f"distillation = {settings.distillation:g}: goes with a built-in network, whose "
            f"full-precision form it follows; {spec.name} must have 0"
        )
    path = None if checkpoint is None else Path(f"{checkpoint}.teacher")
    return train(
        replace(spec, weights="full", activations="full"), data,
        replace(settings, distillation=0.0), checkpoint=path,
    ).network  # fmt: skip


def training_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    bfloat16: bool = False,
    teacher: nn.Module | None = None,
    distillation: float = 0.0,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Take one step on a batch; return the mean loss and the number of right answers.

    Both stay on the device, detached. With a `teacher` the share `distillation` of the loss is the
    divergence of the scores from the teacher's, both divided by `temperature`, times its square,
    so that gradients of both shares are of one size (Hinton et al. 2015, arXiv 1503.02531).
    """
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        scores = network(images)
    scores = scores if scores.dtype == torch.float64 else scores.float()
    loss = nn.functional.cross_entropy(scores, labels, label_smoothing=label_smoothing)
    if teacher is not None:
        with torch.no_grad():
            taught = nn.functional.log_softmax(teacher(images) / temperature, dim=1)
        learnt = nn.functional.log_softmax(scores / temperature, dim=1)
        apart = nn.functional.kl_div(learnt, taught, reduction="batchmean", log_target=True)
        loss = (1 - distillation) * loss + distillation * temperature**2 * apart
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        return loss.detach(), (scores.argmax(dim=1) == labels).sum()


def _epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: Step,
    source: BatchSource,
    settings: TrainingSettings,
    errors: WeightErrors | None,
    epoch: int,
    average: "_Average | None",
    under_way: Callable[[float], None] | None,
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss and the share of right answers."""
    # Every generator starts anew from (seed, epoch): an epoch is the same resumed or not.
    first, second = np.random.SeedSequence([settings.seed, epoch]).generate_state(2, np.uint32)
    generator = torch.Generator().manual_seed(int(first))
    set_weight_errors(network, errors, seed=int(second))
    network.train()
    per_epoch = -(-len(source) // settings.batch)
    losses: list[Tensor] = []
    right: list[Tensor] = []
    seen = 0
    batches = source.epoch(settings.batch, generator=generator)
    batches = followed(batches, under_way, epoch=epoch, steps=per_epoch)
    for index, (images, labels) in enumerate(batches):
        rate = settings.learning_rate_at(
            (epoch - 1) * per_epoch + index, settings.epochs * per_epoch
        )
        for group in optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        loss, correct = step(images, labels)
        if average is not None:
            average.update((epoch - 1) * per_epoch + index)
        losses.append(loss)
        right.append(correct)
        seen += len(labels)
        if index % _CHECK_EVERY == 0:
            _check_finite(loss, epoch, settings)
    mean = torch.stack(losses).mean()
    _check_finite(mean, epoch, settings)
    for parameter in network.parameters():
        _check_finite(parameter.detach().sum(), epoch, settings)
    return float(mean), float(torch.stack(right).sum()) / seen


def _check_finite(value: Tensor, epoch: int, settings: TrainingSettings) -> None:
    if not bool(torch.isfinite(value)):
        raise InputError(
            f"training diverged in epoch {epoch} (the loss is {float(value)}): "
            f"learning_rate = {settings.learning_rate:g} is too high; nothing was saved from it"
        )


def _set_statistics(network: nn.Module, data: ImageData, norm_momentum: float) -> None:
    """Set the input's mean and deviation, per channel, from the training images."""
    pixels = data.train_images
    for module in network.modules():
        if isinstance(module, Standardise) and module.measured:
            mean = pixels.mean(axis=(0, 2, 3))
            least = 1.0 if pixels.dtype == np.uint8 else 1e-6  # a channel of one value alone
            deviation = pixels.std(axis=(0, 2, 3)).clip(min=least)
            module.mean.copy_(torch.from_numpy(mean))
            module.deviation.copy_(torch.from_numpy(deviation))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = norm_momentum


def _optimiser(
    network: nn.Module, settings: TrainingSettings, train_images: int, device: torch.device
) -> torch.optim.Optimizer:
    recorded = device.type == "cuda"  # a CUDA graph reads the rate from where it was recorded
    rate = torch.tensor(settings.learning_rate, device=device) if recorded else None
    return torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate if rate is None else rate,
        capturable=recorded,
        weight_decay=settings.adamw_decay(train_images),
        betas=(0.9, settings.second_moment),
        fused=True,  # one pass over all parameters; at width 16 worth a tenth of a step
    )


def _resume(
    path: Path, state: dict[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer,
    average: "_Average | None",
) -> None:  # fmt: skip
    load_state(network, state.get("network"), path)
    try:
        if average is not None:
            for name, value in average.values.items():
                value.copy_(state["average"][name])
        # A run may move between devices: how the optimiser is set up here stays as it is.
        own = [dict(group) for group in optimiser.param_groups]
        optimiser.load_state_dict(state["optimiser"])
        for group, kept in zip(optimiser.param_groups, own, strict=True):
            group.update({key: kept[key] for key in ("lr", "capturable", "fused")})
        for moments in optimiser.state.values():
            moments["step"] = moments["step"].to(next(network.parameters()).device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a whole rramsim checkpoint ({error})") from error
