"""Energy of one sense, by what was written, from the transients that gave the errors."""

import math
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from rramsim.circuits import SenseConditions
from rramsim.counting.dataset import point
from rramsim.devices import WRITTEN
from rramsim.exceptions import InputError

__all__ = ["SenseEnergy", "sense_energy_at"]


@dataclass(frozen=True, kw_only=True)
class SenseEnergy:
    """Mean energy of a full sense cycle and its standard error, in joule, by written value.

    Dictionaries over -1, 0 and +1; `clock_j` and `word_line_j` are the parts of the mean that the
    drivers of SEN and of the word line give.
    """

    mean_j: dict[int, float]
    standard_error_j: dict[int, float]
    clock_j: dict[int, float] = field(default_factory=lambda: dict.fromkeys(WRITTEN, 0.0))
    word_line_j: dict[int, float] = field(default_factory=lambda: dict.fromkeys(WRITTEN, 0.0))

    def __post_init__(self) -> None:
        for written in WRITTEN:
            value = self.mean_j.get(written, math.nan)
            if not (math.isfinite(value) and value > 0):
                raise InputError(
                    f"energy of a sense of written {written} = {value:g} J: must be above 0; "
                    "were there converged senses?"
                )


def sense_energy_at(dataset: xr.Dataset, conditions: SenseConditions) -> SenseEnergy:
    """The sense energies of a sweep's dataset under one set of conditions."""
    at = point(dataset, conditions)

    def by_written(name: str) -> dict[int, float]:
        return {w: float(at[name].sel(written=w)) for w in WRITTEN}

    errors = {w: 0.0 if np.isnan(e) else e for w, e in by_written("energy_se_j").items()}
    return SenseEnergy(
        mean_j=by_written("energy_j"),
        standard_error_j=errors,
        clock_j=by_written("clock_energy_j"),
        word_line_j=by_written("word_line_energy_j"),
    )
