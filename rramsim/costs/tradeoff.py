"""The mean accuracy over draws of read errors, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rramsim.exceptions import InputError

__all__ = ["MeanAccuracy", "mean_accuracy"]


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
    the choice of test images (normal approximation of the binomial). It does not hold the spread
    between training seeds. Raises `InputError` without a draw or an image.

    >>> mean_accuracy([900, 900], images=1000).value
    0.9
    """
    if not correct or images < 1:
        raise InputError("an accuracy needs at least one draw and one image")
    shares = np.asarray(correct) / images
    mean = float(shares.mean())
    test = stats.norm.ppf(0.975) * math.sqrt(mean * (1 - mean) / images)
    drawn = 0.0
    if len(shares) > 1:
        quantile = stats.t.ppf(0.975, len(shares) - 1)
        drawn = float(quantile * shares.std(ddof=1) / math.sqrt(len(shares)))
    half = math.hypot(test, drawn)
    return MeanAccuracy(
        value=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), draws=len(shares)
    )
