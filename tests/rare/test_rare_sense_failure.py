"""Read errors and other failures of a real sense amplifier."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from rramsim.circuits import Column, SenseConditions, sense_circuit
from rramsim.counting import SenseTask
from rramsim.counting.task import draw_samples
from rramsim.devices import Empirical, LogNormal, ResistanceModel, Skewed
from rramsim.engines import BatchEngine, NgspiceEngine
from rramsim.exceptions import InputError
from rramsim.processes import load_process
from rramsim.rare import CountedFailure, SenseFailure, failure_corners, parse_criterion, rate
from rramsim.rare.lines import failing_lines
from rramsim.verbs.sensing import sense

CIRCUIT = sense_circuit(process=load_process("sky130-5v"))
RESISTANCES = ResistanceModel(
    lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22), hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0)
)


def failure(text, *, vdd_v=1.2, written=None, **changes):
    given = {
        "circuit": CIRCUIT,
        "conditions": SenseConditions(vdd_v=vdd_v),
        "resistances": RESISTANCES,
        "criterion": parse_criterion(text, written=written),
        "engine": BatchEngine(threads=1),
    }
    return SenseFailure(**(given | changes))


@pytest.mark.parametrize(("written", "noise"), [(1, True), (-1, False), (0, True)])
def test_points_are_what_a_campaign_draws(written, noise):
    task = SenseTask(
        circuit=CIRCUIT, conditions=SenseConditions(vdd_v=1.2), resistances=RESISTANCES,
        written=written, seed=3, engine=BatchEngine(threads=1), noise=noise,
    )  # fmt: skip
    drawn = draw_samples(task, chunk=0, samples=40, chunk_samples=40)
    state = failure("type 1" if written else "type 3", written=written, noise=noise)
    on_bl = RESISTANCES.lrs if written == 1 else RESISTANCES.hrs
    on_blb = RESISTANCES.lrs if written == -1 else RESISTANCES.hrs
    scores = [on_bl.score(drawn.r_bl_ohm), on_blb.score(drawn.r_blb_ohm)]
    points = np.column_stack([*(scores[::-1] if written == 1 else scores), drawn.mismatch])
    if noise:
        sigma_v = CIRCUIT.noise_sigma_v(state.conditions)
        points = np.column_stack([points, drawn.noise_v / sigma_v])
    assert points.shape[1] == state.dimension == len(state.names(written))
    ours = state.samples(points, written)
    assert (ours.noise_v is not None) == noise
    if noise:
        np.testing.assert_allclose(ours.noise_v, drawn.noise_v)
    np.testing.assert_allclose(ours.r_bl_ohm, drawn.r_bl_ohm)
    np.testing.assert_allclose(ours.r_blb_ohm, drawn.r_blb_ohm)
    np.testing.assert_array_equal(ours.mismatch, drawn.mismatch)


@pytest.mark.parametrize(
    "text", ["type 1", "type 2", "type 3", "binary", "resolve_time_s > 18n", "differential_v < 1"]
)
def test_margin_is_at_or_below_zero_exactly_where_it_fails(text):
    state = failure(text, vdd_v=1.1)
    points = np.random.default_rng(2).standard_normal((300, state.dimension))
    points[:, 0] = np.linspace(1, -5.5, 300)
    for variant in state.variants:
        seen = state.seen(points, variant)
        fails = state.fails(seen.codes, variant)
        assert seen.known.all() and 3 < fails.sum() < 297
        np.testing.assert_array_equal(seen.margin <= 0, fails)


def test_measures_are_those_of_the_outcome():
    points = np.random.default_rng(4).standard_normal((40, 29))
    plain = failure("type 1")
    outcome = BatchEngine(threads=1).sense(
        CIRCUIT, plain.conditions, plain.samples(points, 1), waveforms=True
    )
    limit = float(np.median(outcome.energy_j))
    seen = failure(f"energy_j > {limit!r}", written=1).seen(points, 1)
    np.testing.assert_array_equal(seen.codes == 0, outcome.energy_j >= limit)
    swing = np.array([1.2 - min(t.voltages_v["q"][(t.time_s >= 0) & (t.time_s <= 50e-9)].min(),
                                t.voltages_v["qb"][(t.time_s >= 0) & (t.time_s <= 50e-9)].min())
                      for t in outcome.waveforms])  # fmt: skip
    limit = float(np.median(swing)) + 1e-6
    seen = failure(f"swing_v < {limit!r}", written=1).seen(points, 1)
    np.testing.assert_array_equal(seen.codes == 0, swing < limit)


def test_a_slow_read_is_found_between_two_quick_ones():
    """Far out on both sides a sense is quick; slow is a thin slab between the two signs."""
    state = failure("resolve_time_s > 40n", vdd_v=1.1)
    rest = np.random.default_rng(5).standard_normal((12, state.dimension - 1))
    lines = failing_lines(CountedFailure(state), rest, 1)
    assert (lines.probability > 0).all() and (lines.probability < 0.02).all()
    scores = np.array([lines.point(k, np.random.default_rng(k)) for k in range(12)])
    assert state.fails(state.seen(np.column_stack([scores, rest]), 1).codes, 1).all()
    for away in (-3.0, 3.0):
        codes = state.seen(np.column_stack([scores + away, rest]), 1).codes
        assert (codes == np.sign(away)).sum() >= 11


def test_a_column_that_leaks_through_wires_has_the_rate_that_plain_reads_have():
    column = Column(rows=64, leakage=True, r_row_ohm=20.0)
    circuit = sense_circuit(process=load_process("sky130-5v"), column=column)
    assert failure("type 2", circuit=circuit).identity != failure("type 2").identity
    for text in ("type 2", "differential_v < 0.3"):
        state = failure(text, vdd_v=1.0, circuit=circuit, noise=True)
        answer = rate(state, relative_error=0.2)
        assert answer.status == "counted"
        task = SenseTask(
            circuit=circuit, conditions=state.conditions, resistances=RESISTANCES, written=1,
            engine=BatchEngine(threads=1), noise=True,
        )  # fmt: skip
        drawn = draw_samples(task, chunk=0, samples=4000, chunk_samples=4000)
        outcome = BatchEngine(threads=1, tolerance_v=1e-4).sense(circuit, state.conditions, drawn)
        fails = outcome.read == 0 if text == "type 2" else outcome.margin_v < 0.3
        interval = binomtest(int(fails.sum()), 4000).proportion_ci(0.999)
        assert interval.low < answer.high and answer.low < interval.high


def test_a_later_strobe_is_the_longer_window():
    points = np.random.default_rng(7).standard_normal((200, 29))
    points[:, 0] -= 2
    late = failure("type 2 at 80n", vdd_v=1.0).seen(points, 1)
    longer = replace(
        failure("type 2", vdd_v=1.0), conditions=SenseConditions(vdd_v=1.0, window_s=80e-9)
    ).seen(points, 1)
    np.testing.assert_array_equal(late.codes, longer.codes)
    now = failure("type 2", vdd_v=1.0).seen(points, 1)
    assert (now.codes == 0).sum() > (late.codes == 0).sum()


@pytest.mark.slow
def test_an_amplifier_with_an_offset_has_the_pooled_rate(tmp_path):
    """MN1 wider than MN2: a written -1 flips more often than a +1, and both count."""
    from rramsim.processes.process import netlists_folder

    text = (netlists_folder() / "pcsa.spice").read_text(encoding="utf-8").splitlines()
    place = next(k for k, line in enumerate(text) if line.lower().startswith("mn1"))
    text[place] = (
        " ".join(f for f in text[place].split() if not f.lower().startswith("w=")) + " W=2.6u"
    )
    netlist = tmp_path / "offset.spice"
    netlist.write_text("\n".join(text) + "\n", encoding="utf-8")
    circuit = sense_circuit(process=load_process("sky130-5v"), netlist=netlist)
    signs = {w: rate(failure("type 1", circuit=circuit, written=w)) for w in (1, -1)}
    pooled = rate(failure("type 1", circuit=circuit))
    assert signs[-1].value > 2 * signs[1].value
    mean = (signs[1].value + signs[-1].value) / 2
    assert abs(np.log(pooled.value / mean)) < 3 * np.hypot(pooled.deviation, signs[-1].deviation)
    # Counted among millions of plain senses: 3.6e-5 pooled, 2.0e-5 and 5.1e-5.
    assert pooled.low * 0.9 < 3.6e-5 < pooled.high * 1.1


def test_corners_fail_in_both_engines_and_are_written_as_a_deck():
    state = failure("type 1")
    answer = rate(state)
    assert answer.low < 3.3e-5 < answer.high
    corners = failure_corners(state, answer)
    assert sum(c.share for c in corners) == pytest.approx(1)
    for corner in corners[:2]:
        assert 3.5 < corner.sigma < 4.6
        assert corner.shifts[0][1] == "ln R of the HRS" and corner.shifts[0][2] < -3.3
        samples = state.samples(corner.point[None] * 1.02, corner.written)
        for engine in (BatchEngine(threads=1), NgspiceEngine()):
            assert engine.sense(CIRCUIT, state.conditions, samples).read[0] == -corner.written
    # The same by hand, as `rramsim sense --shifts` does it.
    shifts = {
        (part, name): 1.02 * score
        for part, name, score, _ in corner.shifts
        if not part.startswith("RRAM")
    }
    ohm = {"r_bl_ohm": float(samples.r_bl_ohm[0]), "r_blb_ohm": float(samples.r_blb_ohm[0])}
    one = sense(CIRCUIT, vdd_v=1.2, shifts=shifts, engine="batch", **ohm)
    assert one.read == -corner.written
    with pytest.raises(InputError, match="mn9"):
        sense(CIRCUIT, vdd_v=1.2, shifts={("mn9", "toxe"): 1.0}, **ohm)
    deck = NgspiceEngine().deck(CIRCUIT, state.conditions, samples)
    assert f"{samples.r_bl_ohm[0]:.9g}" in deck and deck.count("altermod") == 27


def test_a_skewed_device_far_out_is_still_a_resistance():
    wild = Skewed(median_ohm=5e3, sigma_ln=0.15, skew_g=0.9)
    assert np.isfinite(wild.quantile([-40.0, 10.0, 40.0])).all()
    model = ResistanceModel(lrs=wild, hrs=RESISTANCES.hrs)
    points = np.zeros((2, 29))
    points[:, 1] = 10.0, 30.0
    assert failure("type 1", resistances=model).seen(points, 1).known.all()


def test_a_rate_beyond_the_data_says_so():
    few = Empirical.of(np.exp(np.random.default_rng(1).normal(13.35, 1.0, 300)))
    model = ResistanceModel(lrs=RESISTANCES.lrs, hrs=few)
    answer = rate(failure("type 1", resistances=model))
    assert "beyond the data" in answer.note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type 4", "type 4"),
        ("speed > 3", "speed"),
        ("energy_j", "above or below a limit"),
        ("energy_j > fast", "fast"),
        ("type 1 at noon", "noon"),
        ("", "cannot read"),
    ],
)
def test_a_failure_that_is_none_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_criterion(text)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(InputError, match="type 3 of a written 0"):
        parse_criterion("type 1", written=0)


def test_the_command_answers_in_one_object():
    out = subprocess.run(
        [sys.executable, "-m", "rramsim", "rate", "--vdd", "1.0", "--failure", "type 2",
         "--relative-error", "0.2", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(out.stdout)
    assert found["low"] < found["rate"] < found["high"] and found["engine"].startswith("batch")
    wrong = subprocess.run(
        [sys.executable, "-m", "rramsim", "rate", "--vdd", "1.0"], capture_output=True, text=True
    )
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1
