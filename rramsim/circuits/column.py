"""The column that a synapse sits in: what loads its bit lines, and the clocking of a read."""

import math
from dataclasses import asdict, dataclass

from rramsim.exceptions import InputError

__all__ = ["Column"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """Loads and timing of a read; the defaults are the design point (docs/circuit.md).

    The bit line's capacitance is rows * c_row_f + c_periphery_f: 400 fF for 32 rows. Three things
    are off unless they are given (docs/readouts.md):

    * `r_row_ohm`, the wire resistance of one row's piece of bit line, between the amplifier and
      `selected_row` (1 is next to the amplifier; None the last row, the worst);
    * `leakage`, the current of the other rows' access transistors through devices of
      `neighbour_ohm` each, the LRS being the worst;
    * a `threshold` of the gates that take the outputs, as a share of the supply, other than half.

    >>> round(Column(rows=32).c_bit_line_f * 1e15)
    400
    """

    rows: int = 32
    """Synapses on a pair of bit lines."""
    c_row_f: float = 2.5e-15
    """Capacitance that each row adds to a bit line."""
    c_periphery_f: float = 320e-15
    """Capacitance of write drivers and multiplexer on a bit line."""
    c_source_line_f: float = 1e-15
    """Capacitance that each row adds to the source line."""
    c_out_f: float = 60e-15
    """Load of each output of the amplifier."""
    precharge_s: float = 300e-9
    """Precharge before a sense, and recharge after it."""
    edge_s: float = 0.1e-9
    """Rise and fall of SEN and of the word line."""
    wl_setup_s: float = 2e-9
    """How long the word line is on before SEN."""
    threshold: float = 0.5
    """Where the gates behind the outputs switch, as a share of the supply."""
    r_row_ohm: float = 0.0
    """Wire resistance of one row's piece of bit line; 0 for none."""
    selected_row: int | None = None
    """The row that is read, 1 next to the amplifier. Left out: the last."""
    leakage: bool = False
    """Whether the other rows' access transistors leak."""
    neighbour_ohm: float = 10e3
    """Resistance of the other rows' devices; the LRS is the worst."""

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 4096:
            raise InputError(f"rows = {self.rows}: a column has 1 to 4096 rows")
        if not 0 < self.threshold < 1:
            raise InputError(
                f"threshold = {self.threshold:g}: must lie between 0 and 1 (share of the supply)"
            )
        if self.selected_row is not None and not 1 <= self.selected_row <= self.rows:
            raise InputError(
                f"selected_row = {self.selected_row}: the column has rows 1 to {self.rows}"
            )
        if not (math.isfinite(self.r_row_ohm) and 0 <= self.r_row_ohm <= 1e4):
            raise InputError(f"r_row_ohm = {self.r_row_ohm:g}: must be between 0 and 10k ohm")
        for name, value in asdict(self).items():
            if isinstance(value, float):  # a plain one: a numpy number's repr is none in a deck
                object.__setattr__(self, name, float(value))
            if name in ("r_row_ohm", "selected_row", "leakage"):
                continue
            if not (math.isfinite(value) and value > 0):
                unit = {"f": "F", "s": "s", "ohm": "ohm"}.get(name.rsplit("_", 1)[-1], "")
                raise InputError(f"{name} = {value:g}: must be above 0 {unit}".rstrip())
        if self.precharge_s < 10 * self.wl_setup_s:
            raise InputError(
                f"precharge_s = {self.precharge_s:g}: must be at least ten times "
                f"wl_setup_s = {self.wl_setup_s:g}"
            )

    @property
    def row(self) -> int:
        """The selected row, counted from the amplifier."""
        return self.rows if self.selected_row is None else self.selected_row

    @property
    def parameters(self) -> dict[str, float]:
        """What the netlists may use by name."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("threshold", "selected_row", "leakage")
        }

    @property
    def c_bit_line_f(self) -> float:
        """Capacitance of one bit line in farad."""
        return self.rows * self.c_row_f + self.c_periphery_f
