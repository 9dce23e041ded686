"""How a network is trained."""

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from rramsim.numbers import LARGEST_SEED, check_limits, limited

Schedule = Literal["cosine", "linear", "constant"]

TUNING_BATCH = 64
"""Images of a step of fine-tuning on a chip."""
_MOST_TUNING_IMAGES = 6400
_LATER = {"later": True}


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of one training run.

    AdamW whose learning rate rises linearly over `warmup` (a share of all steps) to
    `learning_rate` and then falls as `schedule` says. AdamW's own decay is
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

    epochs: int = limited(10, low=1, high=100_000)
    """Passes over the training images."""
    batch: int = limited(64, low=2, high=1_000_000)
    learning_rate: float = limited(0.01, low=0, high=10, above=True)
    warmup: float = limited(0.2, low=0, high=1)
    """Share of the steps in which the learning rate rises (Goyal et al. 2017, arXiv 1706.02677)."""
    schedule: Schedule = field(default="cosine", metadata=_LATER)
    """How the learning rate then falls to zero: cosine (Loshchilov and Hutter 2017, arXiv
    1608.03983), linear (Li et al. 2020, arXiv 1905.04753), or constant: not at all."""
    weight_decay: float = limited(2.0, low=0, high=1e6)
    """Normalised weight decay, as in the released code of Laborieux et al. 2020 (arXiv
    2005.01973): AdamW decays by it times the root of batch / (images * epochs)."""
    label_smoothing: float = limited(0.1, low=0, high=0.9)
    """Share of the target spread over all classes (Szegedy et al. 2016, arXiv 1512.00567)."""
    cutout_pixels: int = limited(0, low=0, high=4096, marks=_LATER)
    """Side of a square, anywhere on each training image, that takes the set's mean colour (DeVries
    and Taylor 2017, arXiv 1708.04552); 0 for none."""
    average: float = limited(0.0, low=0, high=0.9999999, marks=_LATER)
    """Share of the past in a running mean of latent weights over steps, which is what is tested
    and saved (Polyak and Juditsky 1992; exponential as in arXiv 1703.01780); 0 for none."""
    distillation: float = limited(0.0, low=0, high=1, marks=_LATER)
    """Share of the loss that follows a full-precision network of the same form, trained first in
    the same way (Hinton et al. 2015, arXiv 1503.02531); 0 for none."""
    distillation_temperature: float = limited(4.0, low=0.1, high=100, marks=_LATER)
    """By which the scores of both are divided for that share."""
    second_moment: float = limited(0.99, low=0, high=0.9999999)
    norm_momentum: float = limited(0.1, low=0, high=1, above=True)
    augment: bool = True
    bfloat16: bool = False
    """Whether to train in bfloat16; 9 times slower on a processor without its instructions."""
    device: str = "cpu"
    """PyTorch's device, such as cpu or cuda."""
    seed: int = limited(0, low=0, high=LARGEST_SEED)
    """Of the weights' start and the order of images."""

    def __post_init__(self) -> None:
        check_limits(self)

    def adamw_decay(self, train_images: int) -> float:
        """Return AdamW's weight decay for this many training images."""
        return self.weight_decay * math.sqrt(self.batch / (train_images * self.epochs))

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of step `step` (0 to steps - 1)."""
        rising = self.warmup * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        done = (step - rising) / max(1.0, steps - rising)
        left = {"cosine": 0.5 * (1.0 + math.cos(math.pi * done)), "linear": 1.0 - done}
        return self.learning_rate * left.get(self.schedule, 1.0)


def deciding(settings: Any) -> dict[str, Any]:
    """The settings (a dataclass) that decide a training's result, as its identity holds them.

    The device is left out, since a run may move; so are settings that came later and are as before
    they came, which keeps the identity of older runs.
    """
    values: dict[str, Any] = asdict(settings)
    values.pop("device", None)
    for one in fields(settings):
        if one.metadata.get("later") and values[one.name] == one.default:
            del values[one.name]
    return values


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What a network does on each chip before it is used there.

    >>> Adaptation(recalibrate=1000, fine_tune=20).inferences
    2280
    """

    recalibrate: int = limited(0, low=0, high=2**31)
    """Training images, unlabelled, on which each chip measures batch-norm anew; 0 for none."""
    fine_tune: int = limited(0, low=0, high=100_000)
    """Steps of fine-tuning each chip's batch-norm by gradient on 64 labelled training images; the
    weights, which are in its devices, stay."""

    def __post_init__(self) -> None:
        check_limits(self)

    def __bool__(self) -> bool:
        return bool(self.recalibrate or self.fine_tune)

    @property
    def inferences(self) -> int:
        """Forward passes on the chip that it costs, an image each."""
        return self.recalibrate + TUNING_BATCH * self.fine_tune

    @property
    def images(self) -> int:
        """Training images that it takes; many steps of fine-tuning see theirs again."""
        return max(self.recalibrate, min(TUNING_BATCH * self.fine_tune, _MOST_TUNING_IMAGES))
