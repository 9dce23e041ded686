"""Current against voltage of a device that is read: linear, or a hyperbolic sine.

The published circuit simulations use linear resistors. SKY130's open ReRAM model (SkyWater,
Apache-2.0) conducts as I = I_k exp(-gap / gap_ref) sinh(V / V_ref) with V_ref = 0.43 V: the
resistance measured at 0.1 V is 2.9 times that seen at 1.2 V.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.exceptions import InputError

__all__ = ["LinearRead", "ReadCharacteristic", "SinhRead"]


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

    v_ref_v: float = 0.43
    measured_at_v: float = 0.1

    def __post_init__(self) -> None:
        for name in ("v_ref_v", "measured_at_v"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} = {value:g}: must be above 0 V")

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
