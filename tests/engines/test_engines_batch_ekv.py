"""On identical equations the two engines must agree: an EKV transistor, run by both.

ngspice solves it as B-sources and linear capacitors, the batch engine from tables of the same
formula. What differs is everything but the transistor: splines, node equations, time steps.
EKV: Enz, Krummenacher, Vittoz, Analog Integr. Circ. Sig. Process. 8, 83 (1995).
"""

import re

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.engines.batch.charges import JUNCTION_GRID
from rramsim.engines.batch.engine import outcome_of
from rramsim.engines.batch.extraction import grids
from rramsim.engines.batch.layout import SHIFTS
from rramsim.engines.batch.mismatch import z_grid
from rramsim.engines.batch.problem import Solver, make_problem
from rramsim.engines.batch.tables import DeviceTable, coefficients

VT, SLOPE = 0.02585, 1.5
THRESHOLD_V = {"nmos": 0.75, "pmos": 0.8}
BETA = {"nmos": 250e-6, "pmos": 60e-6}  # A/V2 of a square; times W/L = 4 or 2 by the card's kind
C_GATE_F, C_JUNCTION_F = 0.8e-15, 1.2e-15  # gate to drain, gate to source; drain, source to bulk


def ekv_table(kind):
    """Tables of I = I_s (F(vp - vs) - F(vp - vd)), F(x) = ln^2(1 + exp(x / 2 vt))."""
    fine, coarse, layer = grids(kind)
    vsb = np.zeros(1) if kind.tied else layer.values_v
    s, g, d = np.meshgrid(vsb, fine.values_v, fine.values_v, indexing="ij")
    pinch = (g + s - THRESHOLD_V[kind.kind]) / SLOPE
    scale = 2 * SLOPE * BETA[kind.kind] * VT**2

    def flow(x):
        return np.logaddexp(0, x / (2 * VT)) ** 2

    current = scale * (flow(pinch - s) - flow(pinch - s - d))
    s, g, d = np.meshgrid(vsb, fine.values_v, coarse.values_v, indexing="ij")
    charge = np.stack(
        [
            C_GATE_F * (g + g - d),
            C_GATE_F * (d - g) + C_JUNCTION_F * (d + s),
            C_GATE_F * (-g) + C_JUNCTION_F * s,
            0 * s,
        ],
        axis=-1,
    )
    if kind.tied:
        current, charge = current[0], charge[0]
    axes = tuple(range(current.ndim))
    z = z_grid(kind)
    rows = [(fine, fine, layer), (fine, coarse, layer)]
    return DeviceTable(
        current=coefficients(current, axes, 3),
        charge=coefficients(charge, axes, 2),
        junction=np.zeros((2, JUNCTION_GRID.points + 2)),
        grids_v=np.array([[x.start_v, x.step_v] for row in rows for x in row]),
        powers=np.zeros((0, len(kind.varying)), dtype=np.int64),
        shift=np.zeros((0, SHIFTS, z.points + 2)),
        log_gain=np.zeros(0),
        charge_moves=np.zeros((0, 11)),
        z_grid_v=np.array([z.start_v, z.step_v]),
        body=np.zeros(1),
        report=np.zeros(4),
    )


def as_sources(text):
    """The circuit with each transistor written as a B-source and linear capacitors."""

    def rewrite(match):
        name, d, g, s, b, card = match.groups()
        kind = re.search(rf"^\.model {card} (\w+)", text, re.M)[1]
        sign = -1 if kind == "pmos" else 1
        scale = 2 * SLOPE * BETA[kind] * VT**2

        def flow(node):
            x = f"(({sign}*v({g},{b})-{THRESHOLD_V[kind]})/{SLOPE}-{sign}*v({node},{b}))/{2 * VT}"
            return f"ln(1+exp({x}))^2"

        return "\n".join(
            [
                f"b{name} {d} {s} i={sign * scale}*({flow(s)}-{flow(d)})",
                f"cgd{name} {g} {d} {C_GATE_F}",
                f"cgs{name} {g} {s} {C_GATE_F}",
                f"cdb{name} {d} {b} {C_JUNCTION_F}",
                f"csb{name} {s} {b} {C_JUNCTION_F}",
            ]
        )

    return re.sub(r"^(m\d+) (\w+) (\w+) (\w+) (\w+) (card\d+) .*$", rewrite, text, flags=re.M)


class WrittenOut(NgspiceEngine):
    """ngspice, but for the transistors."""

    def _text(self, *arguments, **settings):
        text = as_sources(super()._text(*arguments, **settings))
        assert not re.search(r"^m\d", text, re.M)
        return text


def test_identical_equations_give_identical_senses(pcsa):
    rng = np.random.default_rng(11)
    r_bl, r_blb = np.exp(rng.uniform(np.log(5e3), np.log(1e6), size=(2, 12)))
    samples = SenseSamples(r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=np.zeros((12, 0)))
    conditions = SenseConditions(vdd_v=1.2)
    theirs = WrittenOut(max_step_s=2e-10).sense(pcsa, conditions, samples)
    solver = Solver(tolerance_v=2e-4, newton_v=1e-3)
    problem = make_problem(pcsa, conditions, solver, table_of=ekv_table)
    out, marks = BatchEngine(threads=1).solve(problem, samples)
    ours = outcome_of(problem, conditions, out, marks)
    assert ours.converged.all() and theirs.converged.all()
    assert np.array_equal(ours.read, theirs.read) and {-1, 0, 1} == set(theirs.read.tolist())
    resolved = theirs.read != 0
    error = abs(ours.resolve_time_s / theirs.resolve_time_s - 1)[resolved]
    assert error.max() < 3e-3
    assert abs(ours.energy_j / theirs.energy_j - 1).max() < 3e-3
    assert abs(ours.clock_energy_j - theirs.clock_energy_j).max() < 1e-3 * theirs.energy_j.min()
    assert ours.margin_v == pytest.approx(theirs.margin_v, abs=0.01)
