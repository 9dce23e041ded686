"""The column that a synapse sits in: what loads its bit lines, and the clocking of a read."""

import math
from dataclasses import asdict, dataclass

from rramsim.exceptions import InputError

__all__ = ["Column"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """Loads and timing of a read; the defaults are the design point (docs/circuit.md).

    The bit line's capacitance is rows * c_row_f + c_periphery_f: 400 fF for 32 rows.

    >>> round(Column(rows=32).c_bit_line_f * 1e15)
    400
    """

    rows: int = 32
    c_row_f: float = 2.5e-15
    c_periphery_f: float = 320e-15
    c_source_line_f: float = 1e-15
    c_out_f: float = 60e-15
    precharge_s: float = 300e-9
    edge_s: float = 0.1e-9
    wl_setup_s: float = 2e-9

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 4096:
            raise InputError(f"rows = {self.rows}: a column has 1 to 4096 rows")
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value > 0):
                unit = {"f": "F", "s": "s"}.get(name.rsplit("_", 1)[-1], "")
                raise InputError(f"{name} = {value:g}: must be above 0 {unit}".rstrip())
        if self.precharge_s < 10 * self.wl_setup_s:
            raise InputError(
                f"precharge_s = {self.precharge_s:g}: must be at least ten times "
                f"wl_setup_s = {self.wl_setup_s:g}"
            )

    @property
    def c_bit_line_f(self) -> float:
        """Capacitance of one bit line in farad."""
        return self.rows * self.c_row_f + self.c_periphery_f
