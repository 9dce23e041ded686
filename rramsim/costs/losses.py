"""A network's mean accuracy over draws of read errors, and what they take from it.

The loss is paired on the same images. Errors turn few images, so the difference of two accuracies
on the same images is known far better than either: a network of 60 % on 10,000 images has +-1 %,
its loss a tenth of that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rramsim.exceptions import InputError

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class AccuracyLoss:
    """Mean loss of accuracy over draws of read errors, a share 0 to 1 (below 0: a gain).

    `deviation`: between draws, NaN for a single one. `image_error`: standard error that the choice
    of test images leaves on average.

    >>> loss = AccuracyLoss(value=0.002, deviation=0.001, image_error=0.0005, draws=4)
    >>> round(loss.low, 4), round(loss.high, 4)
    (0.0001, 0.0039)
    """

    value: float
    deviation: float
    image_error: float
    draws: int

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise InputError(f"draws = {self.draws}: a loss needs at least one draw")

    def half_width(self, confidence: float = _CONFIDENCE) -> float:
        """Half the two-sided interval of the mean: draws (Student) and images in squares."""
        images = float(stats.norm.ppf(0.5 + confidence / 2)) * self.image_error
        if self.draws < 2:
            return images
        quantile = float(stats.t.ppf(0.5 + confidence / 2, self.draws - 1))
        return math.hypot(images, quantile * self.deviation / math.sqrt(self.draws))

    @property
    def low(self) -> float:
        """Lower end of the two-sided 95 % interval of the mean loss."""
        return self.value - self.half_width()

    @property
    def high(self) -> float:
        """Upper end of the two-sided 95 % interval of the mean loss."""
        return self.value + self.half_width()

    def high_for_share(self, share: float, confidence: float = _CONFIDENCE) -> float:
        """The loss that at least `share` of chips stay below, with 95 % confidence.

        The one-sided tolerance limit of a normal distribution (Hahn and Meeker, Statistical
        Intervals, 1991, ch. 4: mean + k SD, k from the noncentral t) of which the draws are
        a sample, each draw one chip; the images' part is added in squares. Infinite for a single
        draw. Raises `InputError` for a share outside 0.5 to 1.

        >>> loss = AccuracyLoss(value=0.0, deviation=1.0, image_error=0.0, draws=10)
        >>> round(loss.high_for_share(0.90), 3)  # the tables' k for n = 10
        2.355
        """
        if not 0.5 <= share < 1:
            raise InputError(f"yield = {share:g}: must be 0.5 or above, and below 1")
        if self.draws < 2:
            return math.inf
        root = math.sqrt(self.draws)
        shift = float(stats.norm.ppf(share)) * root
        factor = float(stats.nct.ppf(confidence, self.draws - 1, shift)) / root
        images = float(stats.norm.ppf(confidence)) * self.image_error
        return self.value + math.hypot(images, factor * self.deviation)


def _image_error(lost: NDArray[np.float64]) -> float:
    """What images leave open beside the draws, from losses (draws, images).

    Never below that of one image that changed in one draw: none changed is not none will.
    """
    draws, images = lost.shape
    variance = float(lost.mean(axis=0).var(ddof=1))
    if draws > 1:
        variance -= float(lost.var(axis=0, ddof=1).mean()) / draws
    return max(math.sqrt(max(variance, 0.0) / images), 1 / (draws * images))


def accuracy_loss(clean: NDArray[np.bool_], noisy: NDArray[np.bool_]) -> AccuracyLoss:
    """The loss from which images are right without errors, (images,), and with, (draws, images).

    The images' standard error is that of the loss per image, averaged over draws, without what an
    image and a draw do together: that is in the draws' deviation already (two-way analysis of
    variance). Raises `InputError` for shapes that do not fit.

    >>> clean = np.array([True] * 8 + [False] * 2)
    >>> accuracy_loss(clean, np.array([clean, [True] * 7 + [False] * 3])).value
    0.05
    """
    if clean.ndim != 1 or noisy.ndim != 2 or noisy.shape[1:] != clean.shape or not clean.size:
        raise InputError(
            f"an accuracy loss needs images without errors, {clean.shape}, and the same with, "
            f"{noisy.shape}"
        )
    lost = clean.astype(float) - noisy.astype(float)
    per_draw = lost.mean(axis=1)
    images, draws = clean.size, len(noisy)
    return AccuracyLoss(
        value=float(lost.mean()),
        deviation=float(per_draw.std(ddof=1)) if draws > 1 else math.nan,
        image_error=_image_error(lost) if images > 1 else math.inf,
        draws=draws,
    )


@dataclass(frozen=True, kw_only=True)
class MeanAccuracy:
    """Mean accuracy over error draws with its 95 % interval, all shares 0 to 1."""

    value: float
    low: float
    high: float
    draws: int


def mean_accuracy(correct: Sequence[int], *, images: int) -> MeanAccuracy:
    """Mean over draws of read errors, each tested on the same images.

    The interval adds in squares what two things leave open: the draws (Student's t over them) and
    the choice of test images (Wilson's interval of a binomial, which is none of width 0 where no
    image, or every one, is right). It does not hold the spread between training seeds. Raises
    `InputError` without a draw or an image.

    >>> mean_accuracy([900, 900], images=1000).value
    0.9
    >>> round(mean_accuracy([0, 0], images=100).high, 3)
    0.037
    """
    if not correct or images < 1:
        raise InputError("an accuracy needs at least one draw and one image")
    shares = np.asarray(correct) / images
    mean = float(shares.mean())
    squared = float(stats.norm.ppf(0.975)) ** 2 / images
    middle = (mean + squared / 2) / (1 + squared)
    test = math.sqrt(squared * (mean * (1 - mean) + squared / 4)) / (1 + squared)
    drawn = 0.0
    if len(shares) > 1:
        quantile = stats.t.ppf(0.975, len(shares) - 1)
        drawn = float(quantile * shares.std(ddof=1) / math.sqrt(len(shares)))
    low, high = (mean - math.hypot(mean - middle + test, drawn),
                 mean + math.hypot(middle + test - mean, drawn))  # fmt: skip
    return MeanAccuracy(value=mean, low=max(0.0, low), high=min(1.0, high), draws=len(shares))
