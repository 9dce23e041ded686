"""The compiled evaluation of transistors against numpy's splines and plain formulas."""

import numpy as np
import pytest
from numba import njit

from rramsim.engines.batch.charges import JUNCTION_GRID
from rramsim.engines.batch.layout import SHIFTS, Frame, Layout, Move, scratch
from rramsim.engines.batch.tables import DeviceTable, evaluate
from rramsim.engines.batch.transistor import (
    free_inner,
    free_outer,
    free_values,
    junction,
    tied_inner,
    tied_outer,
    tied_values,
)

GATES, DRAINS, LAYERS, COLUMNS, POINTS = 12, 11, 7, 9, 10
GRIDS = np.array([[-0.2, 0.1], [-0.3, 0.15], [-0.1, 0.2], [-0.2, 0.12], [-0.3, 0.2], [-0.1, 0.25]])
Z_GRID = np.array([-0.3, 0.2])


def table(rng, tied):
    """A transistor of random splines, positive as currents are."""
    layers = () if tied else (LAYERS,)
    junctions = np.zeros((2, JUNCTION_GRID.points + 2))
    junctions[:, :40] = -rng.uniform(1e-12, 1e-9, (2, 40))
    return DeviceTable(
        current=rng.uniform(0.5, 2, (*layers, GATES, DRAINS)),
        charge=rng.uniform(0.5, 2, (*layers, GATES, COLUMNS, 4)),
        junction=junctions,
        grids_v=GRIDS,
        powers=np.zeros((0, 1), dtype=np.int64),
        shift=np.zeros((0, SHIFTS, POINTS)),
        log_gain=np.zeros(0),
        charge_moves=np.zeros((0, 11)),
        z_grid_v=Z_GRID,
        body=np.array([0.3]),
        report=np.zeros(4),
    )


@njit
def _found(model, tied, pair, v):
    if tied and pair:
        tied_outer(model, 0, (2, 3), (v[2, 0], v[2, 1], 0.0, v[3, 0], v[3, 1], 0.0))
        tied_inner(model, 0, (2, 3), ())
        tied_values(model, 0, (2, 3), ())
    elif tied:
        tied_outer(model, 1, (3,), (v[3, 0], v[3, 1], 0.0))
        tied_inner(model, 1, (3,), ())
        tied_values(model, 1, (3,), ())
    elif pair:
        at = (v[0, 0], v[0, 1], v[0, 2], v[1, 0], v[1, 1], v[1, 2])
        free_outer(model, 0, (0, 1), at)
        free_inner(model, 0, (0, 1), ())
        free_values(model, 0, (0, 1), ())
    else:
        free_outer(model, 1, (1,), (v[1, 0], v[1, 1], v[1, 2]))
        free_inner(model, 1, (1,), ())
        free_values(model, 1, (1,), ())


@pytest.fixture(scope="module")
def transistors():
    """Tables of two free and two tied transistors, mismatch of each, and the compiled model."""
    rng = np.random.default_rng(3)
    tables = tuple(table(rng, tied) for tied in (False, False, True, True))
    layout = Layout(tables)
    _, par, moves, draft, found, leaks = scratch(1, 4, POINTS)
    par[:] = rng.uniform(-0.05, 0.05, par.shape)
    gain, scale = rng.uniform(0.02, 1.5, (2, 4))
    offset = rng.uniform(0.001, 0.05, 4)
    capacitors = rng.uniform(0.1, 0.3, (4, 3, 3))
    capacitors[2:, 2] = 0.0
    rows = moves.reshape(4, len(Move), 4)
    inverse = 1 / GRIDS[:, 1]
    rows[:, Move.CURRENT] = gain[:, None] * [1, *inverse[:3]]
    rows[:, Move.CHARGE] = scale[:, None] * [1, *inverse[3:]]
    rows[:, Move.OFFSET, 1] = offset
    rows[:, Move.BODY, 0] = -0.3
    rows[:, Move.BEND, 1], rows[:, Move.BEND, 3] = 1 / Z_GRID[1], -0.3 / Z_GRID[1]
    for voltage, row in enumerate((Move.GATE, Move.DRAIN, Move.SOURCE)):
        rows[:, row, :3] = capacitors[:, voltage]
    one = np.zeros(1)
    model = (
        one, one, layout.tab, layout.off, layout.frame, layout.strides,
        par, moves, draft, found, leaks,
    )  # fmt: skip
    return tables, par, (gain, scale, offset, capacitors), model, found


def expected(transistors, k, v):
    """Current and charges by numpy, as the docstring of `DeviceTable` says."""
    tables, par, mismatch, _, _ = transistors
    gain, scale, offset, capacitors = (x[k] for x in mismatch)
    gs, ds, sb = v if k < 2 else (*v[:2], 0.0)
    z = np.clip((gs - 0.3 * sb * (k < 2) - Z_GRID[0]) / Z_GRID[1], 0, POINTS - 3)
    ahead = max(ds, 0)
    splines = [evaluate(row, (z,), 3) for row in par[k].reshape(SHIFTS, POINTS)]
    gate = gs + np.array([1, ahead, ahead**2, sb]) @ splines
    start, step = GRIDS.T
    at = (np.array([gate, ds, sb, gs + offset, ds, sb]) - start) / step
    order, charge_order = ([2, 0, 1], [5, 3, 4]) if k < 2 else ([0, 1], [3, 4])
    current = gain * evaluate(tables[k].current, tuple(at[order]), 3)
    charge = scale * evaluate(tables[k].charge, tuple(at[charge_order]), 2)[:3]
    linear = np.array([gs, ds, sb]) @ capacitors
    return np.array([current, *charge + linear])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("pair", [False, True])
def test_compiled_transistors_agree_with_numpy(transistors, tied, pair):
    *_, model, found = transistors
    rng = np.random.default_rng(8)
    for v in rng.uniform([-0.1, -0.2, -0.05], [0.8, 0.9, 0.75], (30, 4, 3)):
        found[:] = np.nan
        _found(model, tied, pair, v)
        for k in ([2, 3] if tied else [0, 1])[0 if pair else 1 :]:
            rows = found[k].reshape(5, 4)
            assert [rows[0, 0], *rows[1, :3]] == pytest.approx(
                expected(transistors, k, v[k]), rel=3e-6
            )
            for axis in range(2 if tied else 3):
                step = np.zeros(3)
                step[axis] = 1e-6
                both = [expected(transistors, k, v[k] + sign * step) for sign in (1, -1)]
                slope = (both[0] - both[1]) / 2e-6
                ours = [rows[0, 1 + axis], *rows[2 + axis, :3]]
                assert ours == pytest.approx(slope, rel=2e-4, abs=2e-4)


def test_voltages_beyond_the_tables_read_nothing_outside_of_them(transistors):
    *_, model, found = transistors
    for v in (-50.0, 50.0, 1e300, -1e300):
        _found(model, False, True, np.full((4, 3), v))
        _found(model, True, True, np.full((4, 3), v))
    _found(model, False, True, np.full((4, 3), np.nan))
    assert np.isnan(found[0, 0])


def test_a_transistor_does_not_feel_its_neighbour(transistors):
    *_, model, found = transistors
    v = np.random.default_rng(5).uniform(0, 0.6, (4, 3))
    for tied, k in ((False, 1), (True, 3)):
        _found(model, tied, True, v)
        beside = found[k].copy()
        v[k - 1] += 0.1
        _found(model, tied, True, v)
        np.testing.assert_array_equal(found[k], beside)
        _found(model, tied, False, v)
        # Alone it is other code, which rounds differently: as far as from numpy, in 32 bits.
        assert found[k] == pytest.approx(beside, rel=3e-6, nan_ok=True)


@njit
def _junction(v, tab, frame):
    return junction(v, tab, 0, frame)


def test_a_junction_is_its_spline_and_closed_where_nothing_flows(transistors):
    tables, *_ = transistors
    layout = Layout(tables)
    start = layout.off[0, 2]
    coefficients = tables[0].junction[0]
    for v in (-0.97, -0.8031, -0.61):
        at = (v - JUNCTION_GRID.start_v) / JUNCTION_GRID.step_v
        current, slope = _junction(v, layout.tab[start:].copy(), layout.frame)
        assert current == pytest.approx(evaluate(coefficients, (at,), 3), rel=1e-5)
        assert slope * JUNCTION_GRID.step_v == pytest.approx(
            evaluate(coefficients, (at,), 3, 0), rel=1e-4
        )
    closed = layout.frame[Frame.JUNCTION, 2]
    assert closed == pytest.approx(JUNCTION_GRID.values_v[40])
    assert _junction(closed, layout.tab[start:].copy(), layout.frame) == (0.0, 0.0)
