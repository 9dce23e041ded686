"""The rows of the energy-accuracy trade-off, and the file that holds them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from rramsim.exceptions import InputError

__all__ = ["TRADEOFF_COLUMNS", "MeanAccuracy", "mean_accuracy", "read_tradeoff"]

TRADEOFF_COLUMNS = (
    "network", "architecture", "width", "weights", "activations", "trained_with_errors", "data",
    "vdd_v", "temperature_c", "corner", "window_s",
    "type1", "type2", "type3", "binary",
    "accuracy", "accuracy_low", "accuracy_high", "accuracy_without_errors", "draws",
    "images", "loss", "loss_low", "loss_high", "loss_deviation", "loss_image_error",
    "energy_once_j", "energy_once_low_j", "energy_once_high_j",
    "energy_per_use_j", "energy_per_use_low_j", "energy_per_use_high_j",
)  # fmt: skip
"""Columns of `tradeoff.csv`; accuracies and rates are shares, energies joule per image."""


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


_TEXTS = ("network", "architecture", "weights", "activations", "data", "corner")


def read_tradeoff(path: Path) -> pd.DataFrame:
    """Read a `tradeoff.csv`; raises `InputError` if it is missing, damaged or outdated."""
    again = f"make it again with 'rramsim tradeoff {path.parent}'"
    try:
        table = pd.read_csv(path, dtype={"trained_with_errors": str}, keep_default_na=False,
                            na_values={name: [""] for name in TRADEOFF_COLUMNS})  # fmt: skip
    except FileNotFoundError:
        raise InputError(
            f"{path}: not there; make it with 'rramsim tradeoff {path.parent}'"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no table of a trade-off ({error}); {again}") from error
    missing = [name for name in TRADEOFF_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(f"{path}: lacks the column {missing[0]}; {again}")
    if table.empty:
        raise InputError(f"{path}: holds no row; {again}")
    for name in TRADEOFF_COLUMNS:
        if name in (*_TEXTS, "trained_with_errors"):
            continue
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise InputError(f"{path}: {name} holds {table[name].iloc[0]!r}; {again}")
    return table
