"""The conditions under which a weight is read."""

import re
from dataclasses import dataclass

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

__all__ = ["SenseConditions"]


@dataclass(frozen=True, kw_only=True, order=True)
class SenseConditions:
    """Supply (V), temperature (degrees Celsius), process corner and sense window (s).

    >>> SenseConditions(vdd_v=1.2).window_s
    5e-08
    """

    # What any process may have; its own rating is checked with it.
    vdd_v: float = limited(
        low=0.1, high=100, why="no transistor of a sense amplifier works outside"
    )
    """Supply."""
    temperature_c: float = limited(27.0, low=-55, high=150, why="the models' range")
    """Temperature."""
    corner: str = "tt"
    """Corner of the process; SKY130 and GF180MCU have tt, ss, ff, sf, fs."""
    window_s: float = limited(50e-9, low=1e-9, high=1e-3, why="longer than the clock edges")
    """Time from SEN to the strobe."""

    def __post_init__(self) -> None:
        check_limits(self)
        if not re.fullmatch(r"[a-z]\w*", self.corner, re.ASCII):
            raise InputError(f"corner = {self.corner!r}: must be the name of a process corner")

    @property
    def label(self) -> str:
        """A short text for tables and figures."""
        return (
            f"{self.vdd_v:g} V, {self.temperature_c:g} °C, {self.corner}, "
            f"{self.window_s * 1e9:g} ns"
        )
