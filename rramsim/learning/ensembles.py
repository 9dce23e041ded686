"""The accuracy of many chips as a distribution: mean, low percentile, yield, with intervals."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks import IntegerNetwork

__all__ = ["EnsembleAccuracy", "ensemble_accuracy"]


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
