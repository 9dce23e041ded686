"""The resistances that a written weight leaves in its two devices.

A 2T2R synapse stores +1 as (LRS, HRS) on (BL, BLb), -1 as (HRS, LRS) and 0 as (HRS, HRS); LRS/LRS
is unused (Laborieux et al. 2020, arXiv 2005.01973). The two devices of a pair are taken as
independent.

Current against voltage of a device is linear, or a hyperbolic sine: the published circuit
simulations use linear resistors. SKY130's open ReRAM model (SkyWater, Apache-2.0) conducts as I =
I_k exp(-gap / gap_ref) sinh(V / V_ref) with V_ref = 0.43 V: the resistance measured at 0.1 V is 2.9
times that seen at 1.2 V.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.devices.marginals import LogNormal, Marginal
from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

WRITTEN = (-1, 0, 1)
"""The weights that can be written, in the order of every array indexed by `written`."""

DEFAULT_LRS = LogNormal(median_ohm=10e3, sigma_ln=0.22)
DEFAULT_HRS = LogNormal(median_ohm=630e3, sigma_ln=1.0)


LRS_WEIGHTS = (1, -1)
"""The weight for which the device on BL, and the one on BLb, is in the low-resistance state."""


def lrs_device(written: int) -> int | None:
    """Which device of the pair is in the low-resistance state: 0 on BL, 1 on BLb, None for neither.

    Raises `InputError` for a weight that is not -1, 0 or +1.

    >>> lrs_device(1), lrs_device(-1), lrs_device(0)
    (0, 1, None)
    """
    if written not in WRITTEN:
        raise InputError(f"written = {written}: a weight is -1, 0 or +1")
    return LRS_WEIGHTS.index(written) if written in LRS_WEIGHTS else None


@dataclass(frozen=True, kw_only=True)
class ResistanceModel:
    """The low- and high-resistance states of one programming condition."""

    lrs: Marginal = DEFAULT_LRS
    hrs: Marginal = DEFAULT_HRS

    def __post_init__(self) -> None:
        if not self.lrs.median_ohm < self.hrs.median_ohm:
            raise InputError(
                f"lrs_median_ohm = {self.lrs.median_ohm:g} must lie below "
                f"hrs_median_ohm = {self.hrs.median_ohm:g}"
            )

    @staticmethod
    def lognormal(
        *,
        lrs_median_ohm: float | None = None,
        lrs_sigma_ln: float | None = None,
        hrs_median_ohm: float | None = None,
        hrs_sigma_ln: float | None = None,
    ) -> "ResistanceModel":
        """Two log-normal states; what is left out is as in `DEFAULT_LRS` and `DEFAULT_HRS`.

        >>> ResistanceModel.lognormal(hrs_median_ohm=350e3).hrs
        LogNormal(median_ohm=350000.0, sigma_ln=1.0)
        """

        def state(given: LogNormal, median_ohm: float | None, sigma_ln: float | None) -> LogNormal:
            return LogNormal(
                median_ohm=given.median_ohm if median_ohm is None else median_ohm,
                sigma_ln=given.sigma_ln if sigma_ln is None else sigma_ln,
            )

        return ResistanceModel(
            lrs=state(DEFAULT_LRS, lrs_median_ohm, lrs_sigma_ln),
            hrs=state(DEFAULT_HRS, hrs_median_ohm, hrs_sigma_ln),
        )

    def states(self, written: int) -> tuple[Marginal, Marginal]:
        """The states of the devices on BL and on BLb that hold a written weight.

        >>> model = ResistanceModel()
        >>> model.states(-1) == (model.hrs, model.lrs)
        True
        """
        low = lrs_device(written)
        return (self.lrs if low == 0 else self.hrs), (self.lrs if low == 1 else self.hrs)

    def draw(
        self, written: int, samples: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw the pairs (r_bl_ohm, r_blb_ohm), each of shape (samples,), for a written weight.

        >>> state = LogNormal(median_ohm=1e4, sigma_ln=0), LogNormal(median_ohm=1e6, sigma_ln=0)
        >>> model = ResistanceModel(lrs=state[0], hrs=state[1])
        >>> [r.item() for r in model.draw(-1, 1, np.random.default_rng(0))]
        [1000000.0, 10000.0]
        """
        on_bl, on_blb = self.states(written)
        return on_bl.draw(samples, rng), on_blb.draw(samples, rng)

    def nominal(self, written: int) -> tuple[float, float]:
        """The medians (r_bl_ohm, r_blb_ohm) of a written weight."""
        on_bl, on_blb = self.states(written)
        return on_bl.median_ohm, on_blb.median_ohm


class ReadCharacteristic(Protocol):
    """Current of a device with a given measured resistance."""

    def current_a(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Current (A) at a voltage (V); shapes broadcast."""
        ...

    def seen_ohm(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """V / I at a voltage: the linear resistor that draws the same current there."""
        ...


@dataclass(frozen=True, kw_only=True)
class LinearRead:
    """A resistor."""

    def current_a(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Current (A) at a voltage (V); shapes broadcast."""
        return np.asarray(np.asarray(voltage_v) / np.asarray(resistance_ohm), dtype=np.float64)

    def seen_ohm(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """The resistance itself."""
        return np.asarray(np.asarray(resistance_ohm) + 0.0 * np.asarray(voltage_v))


@dataclass(frozen=True, kw_only=True)
class SinhRead:
    """I proportional to sinh(V / v_ref_v), for resistances measured at `measured_at_v`.

    >>> seen = SinhRead().seen_ohm(100e3, [0.1, 1.2])
    >>> seen.round(-2)
    array([100000.,  34700.])
    """

    v_ref_v: float = limited(0.43, low=0, above=True)
    measured_at_v: float = limited(0.1, low=0, above=True)

    def __post_init__(self) -> None:
        check_limits(self)

    def current_a(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Current (A) at a voltage (V); shapes broadcast."""
        unit = self.measured_at_v / math.sinh(self.measured_at_v / self.v_ref_v)
        bent = np.sinh(np.asarray(voltage_v, dtype=np.float64) / self.v_ref_v)
        return np.asarray(unit * bent / np.asarray(resistance_ohm))

    def seen_ohm(self, resistance_ohm: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """V / I at a voltage; at 0 V its limit."""
        x = np.asarray(voltage_v, dtype=np.float64) / self.v_ref_v
        x0 = self.measured_at_v / self.v_ref_v
        with np.errstate(invalid="ignore"):
            ratio = np.where(x == 0, 1.0, x / np.where(x == 0, 1.0, np.sinh(x)))
        return np.asarray(np.asarray(resistance_ohm) * ratio * (math.sinh(x0) / x0))
