"""What the compiled loop over samples is given: arguments by name, and the arrays of a circuit's
transistors, row by row.

Everything stands in rows of four numbers, one vector's share of a transistor. Cells and places
inside them come from x = v * inverse + offset. Two sets of voltages are placed: outer (z, vds, vsb,
-) of the current's table, then, when mismatch has moved the gate, inner (vgs of the current's
table, vgs, vds, vsb of the charges').
"""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.charges import JUNCTION_GRID
from rramsim.engines.batch.elements import FlatCircuit
from rramsim.engines.batch.tables import DeviceTable

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class March(NamedTuple):
    """When and how exactly to march: see `stepping.march`."""

    corners: Floats
    kinks: NDArray[np.bool_]
    pulses: Floats
    setup: Floats
    hold: Floats
    held: Floats
    start: Floats
    weight: Floats


class Model(NamedTuple):
    """The circuit: conductances and capacitances, the transistors' tables, what mismatch moves."""

    conductance: Floats
    capacitance: Floats
    tab: NDArray[np.float32]
    off: Whole
    frame: Floats
    strides: Whole
    body: Floats
    site_of: Whole
    powers: Whole
    power_of: Whole
    shift: Floats
    whole: Floats


class Drawn(NamedTuple):
    """The samples: `varied` (samples, 3), the conductances of the synapse's devices and the charge
    of the noise (C); `deviates` (samples, sites), in standard deviations."""

    varied: Floats
    deviates: Floats


class Results(NamedTuple):
    """`out` (samples, 6), `marks` (samples, corners, driven nodes), `trace` of one sample."""

    out: Floats
    marks: Floats
    trace: Floats


class Scratch(NamedTuple):
    """Arrays of one thread: of the march, a sample's `par` (its shift splines) and `moves`, and
    what the evaluation writes: `draft`, `found` and `leaks`."""

    work: Floats
    par: Floats
    moves: Floats
    draft: Floats
    found: Floats
    leaks: Floats


MODEL = (
    *("gr", "cc", "tab", "off", "frame", "strides"),
    *("par", "moves", "draft", "found", "leaks"),
)
"""What the node equations need to know of a circuit: conductances and capacitances of its linear
elements, the arrays of a `Layout`, then what `scratch` makes."""

GROUP = 2
"""Transistors that are evaluated side by side; a power of two."""

OFFSETS = 4
"""Columns of `Layout.off`: where current, charge, drain's and source's junction begin."""

SHIFTS = 4
"""Splines over z that make a shift, see `DeviceTable.shift`."""

FOUND_ROWS = 5
"""Rows of a transistor's results, see `transistor.py`."""

_LEAKS_A = 2e-13
"""Junctions that pass less count as closed: as much as ngspice's gmin at 0.2 V."""


class Stride(IntEnum):
    """Numbers in `Layout.strides`: coefficients from one step of a voltage to the next."""

    CURRENT_GATE = 0
    CURRENT_BODY = 1
    CHARGE_GATE = 2
    CHARGE_BODY = 3
    SHIFT = 4
    """from one of a shift's splines to the next: the number of coefficients over z"""


class Frame(IntEnum):
    """Rows of `Layout.frame`, shared by all transistors."""

    OUTER_INVERSE = 0
    OUTER_OFFSET = 1
    OUTER_LOW = 2
    OUTER_HIGH = 3
    OUTER_LAST = 4
    OUTER_STRIDE = 5
    INNER_INVERSE = 6
    INNER_OFFSET = 7
    INNER_LAST = 8
    INNER_STRIDE = 9
    JUNCTION = 10
    """start, 1 / step, voltage above which all are closed, last cell"""


class Draft(IntEnum):
    """Rows of a group between the stages of `transistor.py`."""

    AT = 0
    OUTER = 1
    CELL = 2
    BEND = 3
    GATE = 4
    INNER = 5
    CURRENT = 6
    CHARGE = 7


class Move(IntEnum):
    """Rows of a sample's `moves` of a transistor: what mismatch does, times the grids' inverses."""

    CURRENT = 0
    BODY = 1
    BEND = 2
    CHARGE = 3
    GATE = 4
    DRAIN = 5
    SOURCE = 6
    OFFSET = 7
    """the charges' offset of vgs, in the second lane"""


MOVE_ROWS = len(Move)
SLOT = len(Draft) * 4 * GROUP
"""Numbers of a group in `draft`."""


def scratch(nodes: int, transistors: int, z_coefficients: int) -> Scratch:
    """Arrays for one thread."""
    return Scratch(
        work=np.zeros((21, max(nodes, 15))),
        par=np.zeros((transistors, SHIFTS * z_coefficients)),
        moves=np.zeros((transistors, 4 * MOVE_ROWS)),
        draft=np.zeros(transistors * SLOT),
        found=np.zeros((transistors, 4 * FOUND_ROWS)),
        leaks=np.zeros(1 + 4 * transistors),  # a number, then two a diffusion
    )


class Layout:
    """Tables of all transistors in one array, each kind once.

    `tab` holds them in 32 bits: sums of positive terms lose a few times 6e-8 of a current or a
    charge, which no result shows. `off` (transistors, 4) is where each begins. `powers`,
    `power_of`, `shift` and `whole` are the polynomials of mismatch, see `transistor.mismatch`.
    """

    def __init__(self, tables: tuple[DeviceTable, ...]) -> None:
        first = tables[0]
        pieces: list[Floats] = []
        offsets: dict[int, list[int]] = {}
        size = 0
        for table in tables:
            if id(table) not in offsets:
                offsets[id(table)] = []
                for piece in (table.current, table.charge, *table.junction):
                    offsets[id(table)].append(size)
                    pieces.append(piece.ravel())
                    size += piece.size
        self.tab = np.concatenate([*pieces, np.zeros(8)]).astype(np.float32)
        self.off = np.array([offsets[id(table)] for table in tables])
        layers, gates, drains = next(
            (t.current.shape for t in tables if t.current.ndim == 3), (5, *first.current.shape[-2:])
        )
        columns = first.charge.shape[-2]
        z = first.shift.shape[-1]
        self.strides = np.array([drains, gates * drains, 4 * columns, 4 * gates * columns, z])
        self.frame = self._frame(tables, (layers, gates, drains, columns, z))
        self.body = np.array([table.body[0] for table in tables])
        width = max(table.powers.shape[1] for table in tables)
        self.powers = np.concatenate(
            [np.pad(t.powers, ((0, 0), (0, width - t.powers.shape[1]))) for t in tables]
        ).astype(np.int64)
        self.power_of = np.cumsum([0, *(len(t.powers) for t in tables)])
        self.shift = np.concatenate([t.shift.reshape(len(t.powers), SHIFTS * z) for t in tables])
        self.whole = np.concatenate([np.column_stack([t.log_gain, t.charge_moves]) for t in tables])

    @staticmethod
    def _frame(tables: tuple[DeviceTable, ...], counts: tuple[int, int, int, int, int]) -> Floats:
        layers, gates, drains, columns, z = counts
        grids = tables[0].grids_v
        z_start, z_step = tables[0].z_grid_v
        start, step = (
            np.array([z_start, grids[1, 0], grids[2, 0], 0.0]),
            np.array([z_step, grids[1, 1], grids[2, 1], np.inf]),
        )
        frame = np.zeros((len(Frame), 4))
        frame[Frame.OUTER_INVERSE], frame[Frame.OUTER_OFFSET] = 1 / step, -start / step
        frame[Frame.OUTER_LOW] = 0, -np.inf, -np.inf, 0
        frame[Frame.OUTER_HIGH] = z - 3, np.inf, np.inf, 0
        frame[Frame.OUTER_LAST] = z - 4, drains - 4, layers - 4, 0
        frame[Frame.OUTER_STRIDE] = 0, 1, gates * drains, 0
        start, step = np.concatenate([grids[:1], grids[3:6]]).T
        frame[Frame.INNER_INVERSE], frame[Frame.INNER_OFFSET] = 1 / step, -start / step
        frame[Frame.INNER_LAST] = gates - 4, gates - 3, columns - 3, layers - 3
        frame[Frame.INNER_STRIDE] = drains, 4 * columns, 4, 4 * gates * columns
        frame[Frame.JUNCTION] = (
            JUNCTION_GRID.start_v,
            1 / JUNCTION_GRID.step_v,
            max(_closed_above_v(table.junction) for table in tables),
            JUNCTION_GRID.points - 2,
        )
        return frame

    @staticmethod
    def site_of(flat: FlatCircuit, counts: dict[str, int]) -> NDArray[np.int64]:
        """The first deviate of each transistor, where `counts` of them stand side by side."""
        first = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
        return np.array([first.get(m.name, 0) for m in flat.mosfets])


make_layout = lru_cache(maxsize=32)(Layout)
"""One layout for all supplies of a temperature and corner: some megabytes each."""


def _closed_above_v(junction: Floats) -> float:
    """Voltage of a diffusion over the bulk above which it passes less than `_LEAKS_A`.

    `junction`: cubic coefficients of (drain, source), which are the currents but for a grid step.
    """
    passing = np.flatnonzero((abs(junction) > _LEAKS_A).any(axis=0))
    return float(JUNCTION_GRID.values_v[min(passing.max(initial=-1) + 1, JUNCTION_GRID.points - 1)])
