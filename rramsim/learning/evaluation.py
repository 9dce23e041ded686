"""The accuracy of a network with its interval, and of many chips as a distribution."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import binomtest
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.learning.adaptation import adapted, labelled, scores_of
from rramsim.learning.image_data import ImageData
from rramsim.learning.settings import Adaptation
from rramsim.networks import IntegerNetwork, WeightErrors, set_weight_errors


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """So many of so many images classified right.

    >>> Accuracy(correct=90, total=100)
    Accuracy(correct=90, total=100)
    >>> print(Accuracy(correct=90, total=100))
    90.00 % (82.56 to 94.48)
    """

    correct: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total or self.total < 1:
            raise InputError(f"correct = {self.correct} of {self.total}: must be 0 to total, >= 1")

    @property
    def value(self) -> float:
        """The share of images classified right, 0 to 1."""
        return self.correct / self.total

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval for the probability of a right answer on a new image.

        It covers the choice of test images, not the spread between training seeds or chips.
        """
        result = binomtest(self.correct, self.total).proportion_ci(confidence, method="wilson")
        return float(result.low), float(result.high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def accuracy(
    network: nn.Module,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor,
    *,
    batch: int = 250,
) -> Accuracy:
    """Classify images (N, C, H, W) and count those whose highest score is at their label.

    As `classified_right`, which says it for each image.
    """
    right = classified_right(network, images, labels, batch=batch)
    return Accuracy(correct=int(right.sum()), total=len(right))


def right_with_errors(
    network: nn.Module, data: ImageData, errors: WeightErrors | None, *, images: int, seed: int,
    draw: int, adaptation: Adaptation | None = None,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of `images` test images are right, (images,), with one draw of read errors.

    The images are drawn by `ImageData.test_part`. The errors are drawn once and stay for all images
    (a programmed array); None: no errors. With errors the network first adapts to them on
    training images, as `adaptation` says; without, it stays as it was trained.
    """
    tested = data.test_part(images)
    set_weight_errors(network, errors, seed=seed * 1_000_003 + draw, mode="frozen")
    wanted = Adaptation() if errors is None or adaptation is None else adaptation
    try:
        with adapted(network, wanted, data.train_images, data.train_labels, seed=draw):
            return classified_right(network, tested.test_images, tested.test_labels)
    finally:
        set_weight_errors(network, None)


def classified_right(
    network: nn.Module,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor,
    *,
    batch: int = 250,
) -> NDArray[np.bool_]:
    """Classify images (N, C, H, W); True, shape (N,), where the highest score is at the label.

    Read errors attached with `set_weight_errors` act: with mode "redrawn" they are drawn anew for
    every batch. The network is put in evaluation mode and back. Raises `InputError` if there are
    no images or not as many as labels, if labels are no classes of the network, or if it gives no
    scores.
    """
    pictures, answers, highest = labelled(images, labels)
    if batch < 1:
        raise InputError(f"batch = {batch}: must be 1 or above")
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    right = torch.zeros(len(answers), dtype=torch.bool, device=device)
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for start in range(0, len(answers), batch):
                scores = scores_of(network, pictures[start : start + batch].to(device), highest)
                wanted = answers[start : start + batch].to(device)
                right[start : start + batch] = scores.argmax(dim=1) == wanted
    finally:
        network.train(training)
    return right.cpu().numpy()


@dataclass(frozen=True, kw_only=True, eq=False)
class EnsembleAccuracy:
    """How many of `images` each chip classifies right: `correct` (chips,).

    All chips see the same test images, so intervals here are about other chips on those images;
    what other images would give is `rramsim.learning.Accuracy`'s interval.

    >>> chips = EnsembleAccuracy(correct=np.arange(60, 100), images=100)
    >>> round(chips.mean, 3), [round(v, 3) for v in chips.mean_interval()]
    (0.795, [0.758, 0.832])
    """

    correct: NDArray[np.int64]
    images: int

    def __post_init__(self) -> None:
        correct = np.asarray(self.correct, dtype=np.int64)
        if correct.ndim != 1 or len(correct) < 2:
            raise InputError(f"{correct.size} chips: an ensemble has 2 or more")
        if self.images < 1 or correct.min() < 0 or correct.max() > self.images:
            raise InputError(
                f"correct = {correct.min()} to {correct.max()} of {self.images} images"
            )
        object.__setattr__(self, "correct", correct)

    @property
    def values(self) -> NDArray[np.float64]:
        """Each chip's accuracy, 0 to 1."""
        return self.correct / self.images

    @property
    def mean(self) -> float:
        """The mean accuracy of chips."""
        return float(self.values.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation from chip to chip."""
        return float(self.values.std(ddof=1))

    def mean_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Student's interval for the mean over all chips."""
        n = len(self.values)
        half = stats.t.ppf(0.5 + confidence / 2, n - 1) * self.deviation / math.sqrt(n)
        return self.mean - float(half), self.mean + float(half)

    def percentile(self, share: float = 0.01) -> float:
        """The accuracy that only this share of chips falls short of (interpolated)."""
        return float(np.quantile(self.values, share))

    def percentile_interval(
        self, share: float = 0.01, confidence: float = 0.95
    ) -> tuple[float | None, float | None]:
        """An interval for that percentile from order statistics, whatever the distribution.

        The k-th lowest of n chips lies above the percentile with the binomial probability that
        fewer than k chips fall below it. An end that n chips cannot bound is None: the low end of
        the 1st percentile needs 368 chips at 95 %.
        """
        ordered, n = np.sort(self.values), len(self.values)
        tail = (1 - confidence) / 2
        below = stats.binom.cdf(np.arange(n + 1) - 1, n, share)  # P(fewer than k below), k = 0..n
        low = [k for k in range(1, n + 1) if below[k] <= tail]
        high = [k for k in range(1, n + 1) if below[k] >= 1 - tail]
        return (
            float(ordered[max(low) - 1]) if low else None,
            float(ordered[min(high) - 1]) if high else None,
        )

    def bootstrap_percentile_interval(
        self, share: float = 0.01, confidence: float = 0.95, *, resamples: int = 4000, seed: int = 0
    ) -> tuple[float, float]:
        """A bootstrap interval for the percentile; too narrow below where chips were seen."""
        rng = np.random.default_rng(seed)
        drawn = rng.choice(self.values, (resamples, len(self.values)))
        found = np.quantile(drawn, share, axis=1)
        tail = (1 - confidence) / 2
        low, high = np.quantile(found, (tail, 1 - tail))
        return float(low), float(high)

    def chip_yield(self, target: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """The share of chips at or above an accuracy, and its exact (Clopper-Pearson) interval."""
        good = int((self.values >= target - 1e-12).sum())
        result = stats.binomtest(good, len(self.values)).proportion_ci(confidence, method="exact")
        return good / len(self.values), float(result.low), float(result.high)


def ensemble_accuracy(
    network: nn.Module,
    reads: Iterable[Mapping[str, NDArray[np.int8]]],
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    threads: int = 1,
) -> Iterator[int]:
    """Yield for each chip's read weights how many images the network then classifies right.

    Runs bit-true; raises `InputError` as `IntegerNetwork` does.
    """
    packed = IntegerNetwork.of(network)
    for read in reads:
        found = packed.with_weights(read).predict(images, threads=threads)
        yield int((found == labels).sum())
