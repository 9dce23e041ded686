"""How a network is trained."""

import math
from dataclasses import dataclass

from rramsim.exceptions import InputError

__all__ = ["TrainingSettings"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of one training run.

    AdamW whose learning rate rises linearly over `warmup` (a share of all steps) to
    `learning_rate` and falls along a cosine to zero. `weight_decay` is the normalised decay of
    Laborieux et al. 2020 (released code): AdamW's own decay is
    weight_decay * sqrt(batch / (training images * epochs)).
    `second_moment` is the decay rate of AdamW's second moment. A channel whose few non-zero weights
    give it almost no variance in a batch gets, through batch-norm, a gradient hundreds of times the
    usual; with a memory of 1,000 steps (0.999) such a step moves latent weights by several times
    the learning rate, and small networks lose what they learned (digits, VGG of width 8, 40 epochs
    at 0.005: 76.7 % against 96.4 % with 0.99; CIFAR-10, width 16, 3 epochs: 62.5 % against 63.1 %;
    one seed each). `norm_momentum` is the weight of a new batch in the running statistics of
    batch-norm. `augment` shifts and mirrors training images as
    far as the data set allows. Raises `InputError` for a value out of range.

    >>> settings = TrainingSettings(epochs=100, batch=128, weight_decay=2.0)
    >>> round(settings.adamw_decay(50_000), 5)
    0.01012
    """

    epochs: int = 10
    """Passes over the training images."""
    batch: int = 64
    learning_rate: float = 0.01
    warmup: float = 0.2
    weight_decay: float = 2.0
    label_smoothing: float = 0.1
    second_moment: float = 0.99
    norm_momentum: float = 0.1
    augment: bool = True
    bfloat16: bool = False
    """Whether to train in bfloat16; 9 times slower on a processor without its instructions."""
    device: str = "cpu"
    """PyTorch's device, such as cpu or cuda."""
    seed: int = 0
    """Of the weights' start and the order of images."""

    def __post_init__(self) -> None:
        _whole("epochs", self.epochs, 1, 100_000)
        _whole("batch", self.batch, 2, 1_000_000)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _number("learning_rate", self.learning_rate, 0.0, 10.0, above=True)
        _number("warmup", self.warmup, 0.0, 1.0)
        _number("weight_decay", self.weight_decay, 0.0, 1e6)
        _number("label_smoothing", self.label_smoothing, 0.0, 0.9)
        _number("second_moment", self.second_moment, 0.0, 0.9999999)
        _number("norm_momentum", self.norm_momentum, 0.0, 1.0, above=True)

    def adamw_decay(self, train_images: int) -> float:
        """Return AdamW's weight decay for this many training images."""
        return self.weight_decay * math.sqrt(self.batch / (train_images * self.epochs))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of step `step` (0 to steps - 1)."""
        rising = self.warmup * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        done = (step - rising) / max(1.0, steps - rising)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def _whole(key: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{key} = {value!r}: must be a whole number from {low} to {high}")


def _number(key: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    inside = math.isfinite(value) and (low < value if above else low <= value) and value <= high
    if not inside:
        floor = f"above {low:g}" if above else f"at least {low:g}"
        raise InputError(f"{key} = {value!r}: must be {floor} and at most {high:g}")
