"""The batch engine against ngspice, and what its results may not depend on."""

from dataclasses import replace

import numpy as np
import pytest
from batch_samples import random_samples

from rramsim.circuits import SenseConditions
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples, agreement, reads_of
from rramsim.engines.batch.problem import Solver, make_problem
from rramsim.engines.batch.tables import evaluate

ARRAYS = ("read", "resolve_time_s", "margin_v", "energy_j", "clock_energy_j", "word_line_energy_j")


def test_reads_times_and_energies_agree_with_ngspice(pcsa):
    pairs = []
    for seed, vdd_v in enumerate((1.0, 1.2)):
        conditions = SenseConditions(vdd_v=vdd_v)
        samples = random_samples(pcsa, 12, seed=seed, mismatch=True)
        ours = BatchEngine(threads=1).sense(pcsa, conditions, samples)
        theirs = NgspiceEngine().sense(pcsa, conditions, samples)
        pairs.append((conditions, ours, theirs))
        for name in ("clock_energy_j", "word_line_energy_j"):
            error = abs(getattr(ours, name) - getattr(theirs, name)) / theirs.energy_j
            assert error.max() < 2e-3
        assert np.quantile(abs(ours.margin_v - theirs.margin_v), 0.9) < 0.02
    found = agreement(pairs)
    assert found.fault() is None and found.unconverged == 0, found.text
    assert found.time_median < 0.005 and found.energy_median < 0.005


def test_the_full_supply_of_the_process_is_solved_too(pcsa):
    """5 V: word line and source line dive below ground when they fall, as far as junctions let."""
    conditions, samples = SenseConditions(vdd_v=5.0), random_samples(pcsa, 6, seed=3, mismatch=True)
    ours = BatchEngine(threads=1).sense(pcsa, conditions, samples)
    theirs = NgspiceEngine().sense(pcsa, conditions, samples)
    assert ours.converged.all() and np.array_equal(ours.read, theirs.read)
    resolved = theirs.read != 0
    error = abs(ours.resolve_time_s / theirs.resolve_time_s - 1)[resolved]
    assert resolved.sum() >= 4 and error.max() < 0.01


def test_a_race_during_the_precharge_is_followed(pcsa):
    """Corner sf, cold: the latch takes sides before the clock's edge, and what is left decides."""
    conditions = SenseConditions(vdd_v=1.193, temperature_c=-34, corner="sf")
    samples = random_samples(pcsa, 12, seed=6, mismatch=True)
    ours = BatchEngine(threads=1).sense(pcsa, conditions, samples)
    theirs = NgspiceEngine(max_step_s=2e-10).sense(pcsa, conditions, samples)
    assert np.array_equal(ours.read, theirs.read)
    late = theirs.resolve_time_s > 5e-10
    error = abs(ours.resolve_time_s / np.where(late, theirs.resolve_time_s, 1) - 1)[late]
    assert late.sum() >= 5 and np.median(error) < 0.03 and error.max() < 0.06, error


def test_waveforms_follow_those_of_ngspice(pcsa):
    conditions, samples = SenseConditions(vdd_v=1.2), SenseSamples.nominal(20e3, 200e3)
    (ours,) = BatchEngine().sense(pcsa, conditions, samples, waveforms=True).waveforms
    (theirs,) = NgspiceEngine().sense(pcsa, conditions, samples, waveforms=True).waveforms
    at = np.linspace(-290e-9, 340e-9, 400)
    for node in ("q", "qb", "bl", "blb", "sl"):
        apart = np.interp(at, ours.time_s, ours.voltages_v[node]) - np.interp(
            at, theirs.time_s, theirs.voltages_v[node]
        )
        assert np.quantile(abs(apart), 0.95) < 0.01, node


def test_a_sense_that_ends_at_the_strobe_reads_the_same(pcsa):
    samples = random_samples(pcsa, 60, seed=9, mismatch=True)
    conditions = SenseConditions(vdd_v=1.0)
    whole = BatchEngine(threads=1).sense(pcsa, conditions, samples)
    engine = reads_of(BatchEngine(threads=1))
    short = engine.sense(pcsa, conditions, samples, waveforms=True)
    for name in ("read", "resolve_time_s", "margin_v", "converged"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(short, name))
    assert set(whole.read) == {-1, 0, 1}
    assert np.isnan(short.energy_j).all() and np.isfinite(whole.energy_j).all()
    assert short.waveforms[0].time_s[-1] == pytest.approx(conditions.window_s)
    assert engine.name == BatchEngine().name
    assert reads_of(NgspiceEngine()) == NgspiceEngine()


def test_results_do_not_depend_on_batch_order_or_threads(pcsa):
    conditions = SenseConditions(vdd_v=1.1)
    samples = random_samples(pcsa, 200, seed=8, mismatch=True)
    whole = BatchEngine(threads=1).sense(pcsa, conditions, samples)

    def picked(order):
        return SenseSamples(
            r_bl_ohm=samples.r_bl_ohm[order],
            r_blb_ohm=samples.r_blb_ohm[order],
            mismatch=samples.mismatch[order],
        )

    backwards = np.arange(200)[::-1]
    turned = BatchEngine(threads=3).sense(pcsa, conditions, picked(backwards))
    part = BatchEngine(threads=1).sense(pcsa, conditions, picked(np.arange(37, 41)))
    for name in ARRAYS:
        assert np.array_equal(getattr(turned, name)[::-1], getattr(whole, name), equal_nan=True)
        assert np.array_equal(getattr(part, name), getattr(whole, name)[37:41], equal_nan=True)


def test_no_mismatch_is_the_same_as_deviates_of_zero(pcsa):
    conditions = SenseConditions(vdd_v=1.2)
    bare = random_samples(pcsa, 3, seed=2, mismatch=False)
    sites = len(pcsa.mismatch_sites("tt"))
    zero = replace(bare, mismatch=np.zeros((3, sites)))
    first, second = (BatchEngine().sense(pcsa, conditions, s) for s in (bare, zero))
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)


def test_mirrored_synapses_read_mirrored(pcsa):
    conditions = SenseConditions(vdd_v=1.2)
    plus, minus = (
        BatchEngine().sense(pcsa, conditions, SenseSamples.nominal(*pair))
        for pair in ((20e3, 400e3), (400e3, 20e3))
    )
    assert plus.read[0] == 1 and minus.read[0] == -1
    assert minus.resolve_time_s[0] == pytest.approx(plus.resolve_time_s[0], rel=1e-9)
    assert minus.energy_j[0] == pytest.approx(plus.energy_j[0], rel=1e-9)


def solved(pcsa, samples, **solver):
    """Raw results at 1.2 V; all must converge."""
    problem = make_problem(pcsa, SenseConditions(vdd_v=1.2), Solver(**solver))
    out, _ = BatchEngine(threads=1).solve(problem, samples)
    assert out[:, 3].all()
    return out


def test_the_time_steps_are_of_second_order(pcsa):
    """Equal steps that resolve slow clock edges: halving them leaves a quarter of the error."""
    slow = replace(pcsa, column=replace(pcsa.column, edge_s=5e-9))
    samples = random_samples(pcsa, 8, seed=4, mismatch=False)
    common = {"tolerance_v": 1e3, "newton_v": 1e-7, "newton_floor": 1.0}
    margins = [
        solved(slow, samples, largest_s=step, first_s=step, **common)[:, 2]
        for step in (100e-12, 50e-12, 25e-12)
    ]
    changes = np.sqrt(np.mean(np.diff(margins, axis=0) ** 2, axis=1))
    assert 3.5 < changes[0] / changes[1] < 4.7


def test_a_tighter_tolerance_takes_more_steps_and_comes_closer(pcsa):
    samples = random_samples(pcsa, 60, seed=4, mismatch=True)
    common = {"newton_v": 1e-4, "newton_floor": 1.0, "first_s": 2e-13}
    exact = solved(pcsa, samples, tolerance_v=1e-5, **common)[:, 1]
    errors, steps = [], []
    for tolerance_v in (8e-3, 1e-3, 1.25e-4):
        out = solved(pcsa, samples, tolerance_v=tolerance_v, **common)
        error = abs(out[:, 1] / exact - 1)
        errors.append(np.quantile(error[np.isfinite(error)], 0.9))
        steps.append(out[:, 4].mean())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    # Second order: steps grow with the cube root of the local error, twice for eight times.
    assert 1.5 < steps[2] / steps[1] < 2.5


def test_source_energy_is_dissipated_or_stored(pcsa):
    """Sense and recharge: charges that the engine counted against currents along the waveforms."""
    conditions, samples = SenseConditions(vdd_v=1.2), SenseSamples.nominal(20e3, 300e3)
    problem = make_problem(
        pcsa, conditions, Solver(tolerance_v=5e-5, newton_v=1e-4, newton_floor=1)
    )
    waves = []
    _, marks = BatchEngine(threads=1).solve(problem, samples, lambda _, wave: waves.append(wave))
    (wave,) = waves
    corner_s = problem.corners - problem.edge_s
    after_edge = int(np.argmin(abs(corner_s - 0.05e-9)))
    window_end = int(np.argmin(abs(corner_s - 49.95e-9)))
    low = int(np.argmin(abs(corner_s - 50.05e-9)))
    for first, last, sen in ((after_edge, window_end, 1.2), (low, len(corner_s) - 1, 0.0)):
        delivered = marks[0, last] - marks[0, first]
        levels = {"vdd": 1.2, "vsen": sen, "vwl": sen}
        source_j = sum(levels[n] * delivered[k] for n, k in problem.sources.items())
        inside = (wave.time_s >= corner_s[first] - 1e-15) & (wave.time_s <= corner_s[last] + 1e-15)
        used_j = _used(problem, samples, wave.time_s[inside], wave.voltages_v, inside)
        assert used_j == pytest.approx(source_j, rel=1e-3)


def _used(problem, samples, time_s, voltages_v, inside):
    """Energy dissipated in resistors and channels, and stored in capacitors and transistors."""
    circuit = problem.topology.circuit
    v = {name: wave[inside] for name, wave in voltages_v.items()} | {"0": np.zeros(inside.sum())}

    def work(charge, voltage):
        """Integral of v dq."""
        return float(np.sum(np.diff(charge) * (voltage[1:] + voltage[:-1]) / 2))

    total = 0.0
    for part, value in zip(
        circuit.resistors, (samples.r_bl_ohm[0], samples.r_blb_ohm[0]), strict=True
    ):
        across = v[part.nodes[0]] - v[part.nodes[1]]
        total += float(np.trapezoid(across**2 / value, time_s))
    for part in circuit.capacitors:
        across = v[part.nodes[0]] - v[part.nodes[1]]
        total += part.value * (across[-1] ** 2 - across[0] ** 2) / 2
    for mosfet, table in zip(circuit.mosfets, problem.tables, strict=True):
        drain, gate, source, bulk = (v[name] for name in mosfet.nodes)
        sign = 1 if mosfet.card.kind == "nmos" else -1
        bias = np.array([gate - source, drain - source, source - bulk]) * sign
        flat = table.current.ndim == 2
        current, charge = np.empty(len(time_s)), np.empty((len(time_s), 3))
        for k, point in enumerate(bias.T):
            at = [
                (x - start) / step
                for x, (start, step) in zip([*point] * 2, table.grids_v, strict=True)
            ]
            order = (0, 1) if flat else (2, 0, 1)
            current[k] = sign * evaluate(table.current, tuple(at[i] for i in order), 3)
            charge[k] = sign * evaluate(table.charge, tuple(at[3 + i] for i in order), 2)[:3]
        total += float(np.trapezoid(current * (drain - source), time_s))
        for column, terminal in zip(charge.T, (gate, drain, source), strict=True):
            total += work(column, terminal - bulk)
    return total


def test_a_sample_that_leaves_the_tables_counts_as_unconverged(pcsa):
    samples = SenseSamples.nominal(20e3, 300e3)
    problem = make_problem(pcsa, SenseConditions(vdd_v=1.2), Solver(tolerance_v=2e-3))
    problem.plan.setup[9:11] = 0.01, 1.0  # the range in which node voltages are believed
    out, _ = BatchEngine(threads=1).solve(problem, samples)
    assert out[0, 3] == 0
