"""Splines, their compiled evaluation, and the tables against ngspice itself."""

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.engines.batch.charges import JUNCTION_GRID, card_text, instance_text, ramp
from rramsim.engines.batch.extraction import device_table, extract, make_table
from rramsim.engines.batch.problem import transistor_kind
from rramsim.engines.batch.tables import coefficients, evaluate, load_table, save_table
from rramsim.engines.ngspice_library import ngspice_session
from rramsim.processes import moved


def kind_of(circuit, name, temperature_c=27.0, corner="tt"):
    conditions = SenseConditions(vdd_v=1.2, temperature_c=temperature_c, corner=corner)
    mosfet = next(e for e in circuit.elaborated(conditions).elements if e.name == name)
    sites = circuit.mismatch_sites(corner)
    varying = tuple(site.moves for site in sites if site.transistor == name)
    return transistor_kind(mosfet, varying, temperature_c, 1.9)


@pytest.mark.parametrize("degree", [2, 3])
def test_splines_reproduce_polynomials_of_their_degree(degree):
    x = np.arange(12.0)
    c = coefficients(x**degree - 2 * x, (0,), degree)
    for at in (0.0, 0.3, 4.5, 7.77, 11.0):
        assert evaluate(c, (at,), degree) == pytest.approx(at**degree - 2 * at, abs=1e-9)
        slope = degree * at ** (degree - 1) - 2
        assert evaluate(c, (at,), degree, 0) == pytest.approx(slope, abs=1e-9)


def test_a_cubic_spline_converges_with_the_fourth_power_of_its_step():
    errors = []
    for n in (10, 20, 40):
        c = coefficients(np.sin(np.linspace(0, 3, n + 1)), (0,), 3)
        at = np.linspace(0.2, 0.8, 50)
        errors.append(max(abs(evaluate(c, (t * n,), 3) - np.sin(3 * t)) for t in at))
    assert 12 < errors[0] / errors[1] < 22 and 12 < errors[1] / errors[2] < 22


def ngspice_currents(kind, biases, deviates=None):
    """Drain currents of an n-channel-like transistor at (vgs, vds, vsb), each with deviates."""
    sign, lines, session = kind.sign, ["check"], ngspice_session()
    for k, (vgs, vds, vsb) in enumerate(biases):
        lines += [
            card_text(kind, f"device{k}"),
            instance_text(kind, f"{k}", f"d{k} g{k} s{k} 0", f"device{k}"),
            f"vs{k} s{k} 0 {sign * float(vsb)!r}",
            f"vg{k} g{k} 0 {sign * float(vsb + vgs)!r}",
            f"vd{k} d{k} 0 {sign * float(vsb + vds)!r}",
        ]
    lines += [f".options temp={kind.temperature_c} reltol=1e-6 abstol=1e-16", ".op", ".end"]
    session.load("\n".join(lines))
    for k in range(len(biases)):
        drawn = () if deviates is None else deviates[k]
        values = moved(kind.varying, drawn) if len(drawn) else {}
        for name, value in values.items():
            session.command(f"altermod device{k} {name} = {value:.9g}")
    assert not session.run()
    return np.array([-sign * session.vector(f"vd{k}#branch")[0] for k in range(len(biases))])


def table_current(table, bias, deviates):
    """The table's current, by the numpy reference of what the compiled code does."""
    vgs, vds, vsb = bias
    monomials = np.prod(np.asarray(deviates) ** table.powers, axis=1)
    z = vgs - table.body[0] * vsb
    at = (z - table.z_grid_v[0]) / table.z_grid_v[1]
    rows = np.einsum("t,tlp->lp", monomials, table.shift)
    ahead = max(vds, 0.0)
    shift = np.array([1, ahead, ahead**2, vsb]) @ [evaluate(row, (at,), 3) for row in rows]
    where = [(v - s) / h for v, (s, h) in zip((vgs + shift, vds, vsb), table.grids_v, strict=False)]
    place = (where[2], where[0], where[1]) if table.current.ndim == 3 else (where[0], where[1])
    return float(np.exp(monomials @ table.log_gain) * evaluate(table.current, place, 3))


@pytest.mark.parametrize("name", ["xpcsa.mn1", "xpcsa.mp1", "xpcsa.mpre1"])
def test_nominal_currents_agree_with_ngspice_between_the_grid_points(pcsa, name):
    kind = kind_of(pcsa, name)
    rng = np.random.default_rng(5)
    biases = rng.uniform((0.3, 0.02, 0.0), (1.3, 1.2, 0.6), size=(60, 3))
    if kind.tied:
        biases[:, 2] = 0.0
    table = device_table(kind)
    ours = np.array([table_current(table, b, np.zeros(3)) for b in biases])
    theirs = ngspice_currents(kind, biases)
    seen = theirs > 1e-9
    error = abs(ours / theirs - 1)[seen]
    assert seen.sum() > 30
    assert np.quantile(error, 0.95) < 0.01 and error.max() < 0.05


@pytest.mark.parametrize("name", ["xpcsa.mn1", "xpcsa.mp1"])
def test_mismatch_agrees_with_altered_models(pcsa, name):
    """Equivalent shift and gain against ngspice's altermod, in volt at the gate."""
    kind = kind_of(pcsa, name)
    assert [p.parameter for (p,) in kind.varying] == ["toxe", "voff", "nfactor"]
    rng = np.random.default_rng(6)
    biases = rng.uniform((0.4, 0.05, 0.0), (1.2, 1.0, 0.5), size=(50, 3))
    if kind.tied:
        biases[:, 2] = 0.0
    deviates = rng.standard_normal((50, 3))
    table = device_table(kind)
    theirs = ngspice_currents(kind, biases, deviates)
    nominal = ngspice_currents(kind, biases)
    ours = np.array([table_current(table, b, p) for b, p in zip(biases, deviates, strict=True)])
    up = [(vgs + 1e-3, vds, vsb) for vgs, vds, vsb in biases]
    slope = (np.log(ngspice_currents(kind, up)) - np.log(nominal)) / 1e-3
    seen = theirs > 1e-9
    moved_v = abs(np.log(theirs / nominal) / slope)[seen]
    error_v = abs(np.log(ours / theirs) / slope)[seen]
    assert moved_v.max() > 0.02, "the deviates matter"
    assert np.quantile(error_v, 0.95) < 1e-3 and error_v.max() < 2.5e-3


def gate_capacitance(kind, vgs, vds, deviates):
    """Small-signal current into the gate, source and bulk on ground, over 2 pi f."""
    session, sign = ngspice_session(), kind.sign
    session.load(
        "\n".join(
            [
                "check",
                card_text(kind, "device"),
                instance_text(kind, "1", "d g 0 0", "device"),
                f"vg g 0 dc {sign * vgs} ac 1",
                f"vd d 0 dc {sign * vds}",
                f".options temp={kind.temperature_c}",
                ".ac lin 1 1meg 1meg",
                ".end",
            ]
        )
    )
    for name, value in moved(kind.varying, deviates).items():
        session.command(f"altermod device {name} = {value:.9g}")
    session.command("ac lin 1 1meg 1meg")
    session.command("let gate = -imag(vg#branch) / 6283185.307179586")
    return session.vector("gate")[0]


def table_capacitance(table, vgs, vds, deviates):
    """The same by the numpy reference of what the compiled code does, at no voltage of the bulk."""
    monomials = np.prod(np.asarray(deviates) ** table.powers, axis=1)
    log_scale, offset, capacitor, *_ = monomials @ table.charge_moves
    shifted = (vgs + offset, vds, 0.0)
    where = [(v - s) / h for v, (s, h) in zip(shifted, table.grids_v[3:], strict=True)]
    free = table.charge.ndim == 4
    place = (where[2], where[0], where[1]) if free else (where[0], where[1])
    slope = evaluate(table.charge, place, 2, 1 if free else 0)[0] / table.grids_v[3, 1]
    return np.exp(log_scale) * slope + capacitor


@pytest.mark.parametrize("name", ["xpcsa.mp1", "xpcsa.mn1"])
def test_charges_give_the_capacitances_that_ngspice_reports(pcsa, name):
    kind = kind_of(pcsa, name)
    table = device_table(kind)
    for vgs, vds in ((0.2, 0.6), (0.7, 0.05), (1.0, 0.5), (1.2, 1.1)):
        ours = table_capacitance(table, vgs, vds, np.zeros(3))
        assert ours == pytest.approx(gate_capacitance(kind, vgs, vds, np.zeros(3)), rel=0.03)


@pytest.mark.parametrize("name", ["xpcsa.mp1", "xpcsa.mn1"])
def test_charges_move_with_the_oxide_as_in_ngspice(pcsa, name):
    """The change that a thicker or thinner oxide makes, in part of the nominal capacitance."""
    kind = kind_of(pcsa, name)
    table, moved, missed = device_table(kind), [], []
    for vgs in np.arange(0.1, 1.3, 0.1):
        for vds in (0.0, 0.4, 1.0):
            nominal = gate_capacitance(kind, vgs, vds, np.zeros(3))
            ours_nominal = table_capacitance(table, vgs, vds, np.zeros(3))
            for deviates in ((2.0, 0, 0), (-2.0, 0, 0), (1.0, 1.0, -1.0)):
                change = gate_capacitance(kind, vgs, vds, deviates) - nominal
                ours = table_capacitance(table, vgs, vds, deviates) - ours_nominal
                moved.append(change / nominal)
                missed.append((ours - change) / nominal)
    rms = np.sqrt(np.mean(np.square(moved)))
    assert rms > 0.01, "the oxide matters"
    assert np.sqrt(np.mean(np.square(missed))) < 0.2 * rms


def table_charges(table, vgs, vds, deviates):
    """Charges of gate and drain by numpy, at no voltage of the bulk."""
    monomials = np.prod(np.asarray(deviates) ** table.powers, axis=1)
    log_scale, offset, *capacitors = monomials @ table.charge_moves
    shifted = (vgs + offset, vds, 0.0)
    where = [(v - s) / h for v, (s, h) in zip(shifted, table.grids_v[3:], strict=True)]
    free = table.charge.ndim == 4
    place = (where[2], where[0], where[1]) if free else (where[0], where[1])
    linear = np.array([vgs, vds, 0.0]) @ np.reshape(capacitors, (3, 3))
    return (np.exp(log_scale) * evaluate(table.charge, place, 2)[:3] + linear)[:2]


@pytest.mark.parametrize("corner", ["tt", "sf"])
@pytest.mark.parametrize("name", ["xpcsa.mp1", "xpcsa.mpre1", "xpcsa.mn1"])
def test_mismatch_adds_the_charge_that_flows_in_ngspice(pcsa, name, corner):
    """Gate and drain rise together, as a latch's do in the precharge: no ramp of the fit's."""
    kind = kind_of(pcsa, name, corner=corner)
    table, moved, missed = device_table(kind), [], []
    together = ((0.0, True), (0.0, True), (0.0, False))
    designs = [(0.0, 0.0, 0.0), (2.0, 0, 0), (-2.0, 0, 0), (0, 2.0, 0), (0, 0, 2.0), (1, -1, 1)]
    lines = ramp(
        ngspice_session(), kind, [together] * len(designs), -0.1, 1.3, 0.02, [*map(list, designs)]
    )
    for x in (0.4, 0.8, 1.2):
        flowed = kind.sign * np.array([(line([x]) - line([0.0]))[:2, 0] for line in lines])
        ours = np.array(
            [table_charges(table, x, x, d) - table_charges(table, 0, 0, d) for d in designs]
        )
        moved.append(flowed[1:] - flowed[0])
        missed.append(ours[1:] - ours[0] - moved[-1])
    assert np.abs(moved).max() > 10e-18, "mismatch moves charge"
    assert np.abs(missed).max() < 0.12 * np.abs(moved).max()


def test_charges_and_terminals_are_symmetric_at_zero_drain_voltage(pcsa):
    """Drain and source of this layout are alike: at vds = 0 the gate drives them alike."""
    table = extract(kind_of(pcsa, "xpcsa.mp1"))
    where = tuple((v - s) / h for v, (s, h) in zip((1.0, 0.0), table.grids_v[3:5], strict=True))
    gate, drain, source = evaluate(table.charge, where, 2, 0)[:3]
    assert drain == pytest.approx(source, rel=0.01) and gate > -drain > 0


def test_drain_and_source_hold_the_same_charge_wherever_they_are_together(pcsa):
    """The layout is symmetric: at vds = 0 both diffusions charge alike as they rise."""
    kind = kind_of(pcsa, "xpcsa.mn1")
    table = device_table(kind)
    gate = (0.0 - table.grids_v[3, 0]) / table.grids_v[3, 1]
    drain = (0.0 - table.grids_v[4, 0]) / table.grids_v[4, 1]
    charge = np.array(
        [
            evaluate(
                table.charge, ((vsb - table.grids_v[5, 0]) / table.grids_v[5, 1], gate, drain), 2
            )
            for vsb in np.linspace(-0.3, 1.3, 9)
        ]
    )
    change = charge - charge[0]
    assert change[-1, 1] > 1e-15, "a junction of 0.58 um^2 takes some fC"
    assert np.allclose(change[:, 1], change[:, 2], atol=0.01 * change[-1, 1])


@pytest.mark.parametrize("name", ["xsynapse.macc1", "xpcsa.mp1"])
def test_what_a_diffusion_below_the_bulk_takes_flows_into_the_bulk(pcsa, name):
    """Drain beyond the bulk, channel off: ngspice's bulk current is the table's junction."""
    kind = kind_of(pcsa, name)
    table, sign, session = device_table(kind), kind.sign, ngspice_session()
    for drain_v in (-0.7, -0.6, -0.5):
        session.load(
            "\n".join(
                [
                    "check",
                    card_text(kind, "device"),
                    instance_text(kind, "1", "d g s b", "device"),
                    f"vg g 0 {-sign}",
                    "vs s 0 0",
                    "vb b 0 0",
                    f"vd d 0 {sign * drain_v}",
                    ".options temp=27 reltol=1e-6 abstol=1e-16",
                    ".op",
                    ".end",
                ]
            )
        )
        assert not session.run()
        bulk_a = sign * session.vector("vb#branch")[0]
        at = (drain_v - JUNCTION_GRID.start_v) / JUNCTION_GRID.step_v
        junction_a = float(evaluate(table.junction[0], (at,), 3))
        assert bulk_a < 0 and junction_a == pytest.approx(bulk_a, rel=0.02)


def test_tables_are_kept_and_a_torn_file_is_made_anew(pcsa, tmp_path, monkeypatch):
    kind = kind_of(pcsa, "xpcsa.mpre1", temperature_c=31.0)
    monkeypatch.setenv("RRAMSIM_CACHE", str(tmp_path))
    device_table.cache_clear()
    made = device_table(kind)
    (file,) = tmp_path.glob("table-*.npz")
    kept = load_table(file)
    assert kept is not None and np.array_equal(kept.current, made.current)
    file.write_bytes(file.read_bytes()[:5000])
    assert load_table(file) is None
    device_table.cache_clear()
    again = device_table(kind)
    assert np.array_equal(again.current, made.current) and load_table(file) is not None
    device_table.cache_clear()


def test_a_table_reports_its_own_errors(pcsa, tmp_path):
    table = make_table(kind_of(pcsa, "xpcsa.mpre1"))
    save_table(table, tmp_path / "t.npz")
    current_p95, current_max, gate_v, shift_v = table.report
    assert 0 < current_p95 < 0.01 and current_p95 <= current_max < 0.1
    assert 0 < gate_v < 1e-3 and 0 < shift_v < 2e-3
