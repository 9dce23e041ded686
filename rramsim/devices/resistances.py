"""The resistances that a written weight leaves in its two devices.

A 2T2R synapse stores +1 as (LRS, HRS) on (BL, BLb), -1 as (HRS, LRS) and 0 as (HRS, HRS);
LRS/LRS is unused (Laborieux et al. 2020, arXiv 2005.01973). The two devices of a pair are taken as
independent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.devices.marginals import LogNormal, Marginal
from rramsim.exceptions import InputError

__all__ = ["WRITTEN", "LogNormal", "ResistanceModel"]

WRITTEN = (-1, 0, 1)
"""The weights that can be written, in the order of every array indexed by `written`."""


@dataclass(frozen=True, kw_only=True)
class ResistanceModel:
    """The low- and high-resistance states of one programming condition."""

    lrs: Marginal
    hrs: Marginal

    def __post_init__(self) -> None:
        if not self.lrs.median_ohm < self.hrs.median_ohm:
            raise InputError(
                f"lrs_median_ohm = {self.lrs.median_ohm:g} must lie below "
                f"hrs_median_ohm = {self.hrs.median_ohm:g}"
            )

    def draw(
        self, written: int, samples: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw the pairs (r_bl_ohm, r_blb_ohm), each of shape (samples,), for a written weight.

        >>> state = LogNormal(median_ohm=1e4, sigma_ln=0), LogNormal(median_ohm=1e6, sigma_ln=0)
        >>> model = ResistanceModel(lrs=state[0], hrs=state[1])
        >>> [r.item() for r in model.draw(-1, 1, np.random.default_rng(0))]
        [1000000.0, 10000.0]
        """
        if written not in WRITTEN:
            raise InputError(f"written = {written}: a weight is -1, 0 or +1")
        on_bl = self.lrs if written == 1 else self.hrs
        on_blb = self.lrs if written == -1 else self.hrs
        return on_bl.draw(samples, rng), on_blb.draw(samples, rng)

    def nominal(self, written: int) -> tuple[float, float]:
        """The medians (r_bl_ohm, r_blb_ohm) of a written weight."""
        low, high = self.lrs.median_ohm, self.hrs.median_ohm
        return (low if written == 1 else high), (low if written == -1 else high)
