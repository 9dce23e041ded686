"""The conditions under which a weight is read."""

import math
import re
from dataclasses import dataclass

from rramsim.exceptions import InputError

__all__ = ["SenseConditions"]

# (lowest, highest, unit, why): what any process may have; its own rating is checked with it.
_LIMITS = {
    "vdd_v": (0.1, 100.0, "V", "no transistor of a sense amplifier works outside"),
    "temperature_c": (-55.0, 150.0, "degrees Celsius", "the models' range"),
    "window_s": (1e-9, 1e-3, "s", "longer than the clock edges"),
}


@dataclass(frozen=True, kw_only=True, order=True)
class SenseConditions:
    """Supply (V), temperature (degrees Celsius), process corner and sense window (s).

    >>> SenseConditions(vdd_v=1.2).window_s
    5e-08
    """

    vdd_v: float
    temperature_c: float = 27.0
    """Temperature."""
    corner: str = "tt"
    """Corner of the process; SKY130 and GF180MCU have tt, ss, ff, sf, fs."""
    window_s: float = 50e-9
    """Time from SEN to the strobe."""

    def __post_init__(self) -> None:
        for name, (low, high, unit, why) in _LIMITS.items():
            # A plain number whatever it came as: a numpy number's repr is no number to a simulator.
            value = float(getattr(self, name))
            object.__setattr__(self, name, value)
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"{name} = {value:g}: must lie between {low:g} and {high:g} {unit} ({why})"
                )
        if not re.fullmatch(r"[a-z]\w*", self.corner, re.ASCII):
            raise InputError(f"corner = {self.corner!r}: must be the name of a process corner")

    @property
    def label(self) -> str:
        """A short text for tables and figures."""
        return (
            f"{self.vdd_v:g} V, {self.temperature_c:g} °C, {self.corner}, "
            f"{self.window_s * 1e9:g} ns"
        )
