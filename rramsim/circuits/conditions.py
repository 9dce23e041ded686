"""The conditions under which a weight is read, and the column that a synapse sits in: what loads
its bit lines, and the clocking of a read.
"""

import re
from dataclasses import asdict, dataclass

from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited


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

    rows: int = limited(32, low=1, high=4096)
    """Synapses on a pair of bit lines."""
    c_row_f: float = limited(2.5e-15, low=0, above=True)
    """Capacitance that each row adds to a bit line."""
    c_periphery_f: float = limited(320e-15, low=0, above=True)
    """Capacitance of write drivers and multiplexer on a bit line."""
    c_source_line_f: float = limited(1e-15, low=0, above=True)
    """Capacitance that each row adds to the source line."""
    c_out_f: float = limited(60e-15, low=0, above=True)
    """Load of each output of the amplifier."""
    precharge_s: float = limited(300e-9, low=0, above=True)
    """Precharge before a sense, and recharge after it."""
    edge_s: float = limited(0.1e-9, low=0, above=True)
    """Rise and fall of SEN and of the word line."""
    wl_setup_s: float = limited(2e-9, low=0, above=True)
    """How long the word line is on before SEN."""
    threshold: float = limited(0.5, low=0, high=1, above=True, below=True)
    """Where the gates behind the outputs switch, as a share of the supply."""
    r_row_ohm: float = limited(0.0, low=0, high=1e4)
    """Wire resistance of one row's piece of bit line; 0 for none."""
    selected_row: int | None = None
    """The row that is read, 1 next to the amplifier. Left out: the last."""
    leakage: bool = False
    """Whether the other rows' access transistors leak."""
    neighbour_ohm: float = limited(10e3, low=0, above=True)
    """Resistance of the other rows' devices; the LRS is the worst."""

    def __post_init__(self) -> None:
        check_limits(self)
        if self.selected_row is not None and not 1 <= self.selected_row <= self.rows:
            raise InputError(
                f"selected_row = {self.selected_row}: the column has rows 1 to {self.rows}"
            )
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
