"""What reads a synapse, and what loads its bit lines: the lines of the testbench.

The read-outs: the PCSA alone; with four transistors more, which multiply by a binary input; with a
gated XNOR behind it, which multiplies by a ternary one; and the PCSA below a column of 32 rows
written out. The other rows of a column that is not written out can be given as lumped wires and as
their leakage (docs/readouts.md).
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rramsim.circuits.conditions import Column
from rramsim.exceptions import InputError

ReadOutName = Literal["pcsa", "pcsa_xnor", "gxnor", "column"]
READ_OUTS: tuple[str, ...] = get_args(ReadOutName)

ROWS = 32
"""Rows of netlists/column.spice."""

PCSA_PINS = ("q", "qb", "bl", "blb", "sl", "sen", "vdd", "vss")

_INPUTS = {"pcsa": (1,), "pcsa_xnor": (-1, 1), "gxnor": (-1, 0, 1), "column": (1,)}


@dataclass(frozen=True, kw_only=True)
class ReadOut:
    """A read-out and the input `x` that the weight is multiplied by (+1: the weight itself).

    >>> ReadOut(name="gxnor", x=0).outputs
    ('nz', 's')
    """

    name: ReadOutName = "pcsa"
    x: int = 1

    def __post_init__(self) -> None:
        if self.name not in READ_OUTS:
            raise InputError(f"circuit = {self.name!r}: must be one of {', '.join(READ_OUTS)}")
        if self.x not in _INPUTS[self.name]:
            allowed = ", ".join(f"{x:+d}" if x else "0" for x in _INPUTS[self.name])
            raise InputError(f"x = {self.x}: the read-out {self.name} takes {allowed}")

    @property
    def amplifier(self) -> str:
        """The subcircuit of the sense amplifier."""
        return "pcsa_xnor" if self.name == "pcsa_xnor" else "pcsa"

    @property
    def pins(self) -> tuple[str, ...]:
        """The pins that the amplifier must have."""
        return (*PCSA_PINS, "x", "xb") if self.name == "pcsa_xnor" else PCSA_PINS

    @property
    def outputs(self) -> tuple[str, str]:
        """The nodes that are judged: the latch's, or the product's (not zero, sign)."""
        return ("nz", "s") if self.name == "gxnor" else ("q", "qb")


def input_lines(read_out: ReadOut) -> list[str]:
    """The sources of the input and, for the gated XNOR, the gate itself with its loads."""
    high, low = "{vdd_v}", "0"
    if read_out.name == "pcsa_xnor":
        x, xb = (high, low) if read_out.x > 0 else (low, high)
        return [f"vx x 0 {x}", f"vxb xb 0 {xb}"]
    if read_out.name == "gxnor":
        return [
            f"vxnz xnz 0 {high if read_out.x else low}",
            f"vxs xs 0 {high if read_out.x > 0 else low}",
            "xgxnor q qb xnz xs nz s vdd 0 gxnor",
            "cnz nz 0 5f",
            "cs s 0 5f",
        ]
    return []


def wire_lines(line: str, read_out: ReadOut, column: Column) -> list[str]:
    """The testbench's `line` with the column's wires, leakage or rows put in where it says so."""
    name = line.split()[0].lower()
    if read_out.name == "column":
        if name == "xsynapse":
            word_lines = " ".join("wl" if k == column.row else "0" for k in range(1, ROWS + 1))
            parameters = f"r_row_ohm={max(column.r_row_ohm, 1e-3)!r} c_row_f={column.c_row_f!r}"
            return [f"xcolumn bl blb sl {word_lines} 0 column {parameters}"]
        if name in ("cbl", "cblb"):  # the rows bring their own
            return [f"{name} {name[1:]} 0 {{c_periphery_f}}"]
        return [line]
    far = column.r_row_ohm > 0
    if name == "xsynapse":
        lines = [line.replace(" bl blb ", " blfar blbfar ")] if far else [line]
        ends = ("blfar", "blbfar") if far else ("bl", "blb")
        if column.leakage and column.rows > 1:
            for end in ends:
                lines.append(f"rn{end} {end} n{end} {column.neighbour_ohm / (column.rows - 1)!r}")
                lines.append(f"mn{end} n{end} 0 sl 0 NEIGHBOUR m={column.rows - 1}")
        return lines
    if far and name in ("cbl", "cblb"):
        # One pi section: half of the wire before the selected row stands at each of its ends, the
        # rows behind it at the far one.
        node, row = name[1:], column.row
        beyond_f = (column.rows - row / 2) * column.c_row_f
        return [
            f"{name} {node} 0 {column.c_periphery_f + row / 2 * column.c_row_f!r}",
            f"{name}far {node}far 0 {beyond_f!r}",
            f"rwire{node} {node} {node}far {row * column.r_row_ohm!r}",
        ]
    return [line]


def check_column(read_out: ReadOut, column: Column) -> None:
    """Refuse a column that the read-out cannot have."""
    if read_out.name == "column":
        if column.rows != ROWS:
            raise InputError(f"rows = {column.rows}: the circuit 'column' has {ROWS} rows")
        if column.leakage:
            raise InputError(
                "leakage: the circuit 'column' has its other rows' transistors; leave it out"
            )


def check_neighbours(
    read_out: ReadOut, neighbours: tuple[tuple[float, float], ...] | None
) -> tuple[tuple[float, float], ...]:
    """The resistances of a column's rows; raises `InputError` for any that cannot be."""
    if neighbours is None:
        return ()
    if read_out.name != "column" or len(neighbours) != ROWS:
        raise InputError(
            f"neighbours: {len(neighbours)} rows for the circuit {read_out.name!r}; they belong to "
            f"the circuit 'column', which has {ROWS}"
        )
    for row, pair in enumerate(neighbours, start=1):
        if len(pair) != 2 or not all(math.isfinite(r) and r > 0 for r in pair):
            raise InputError(f"neighbours: row {row} = {pair}: two resistances above 0 ohm")
    return neighbours
