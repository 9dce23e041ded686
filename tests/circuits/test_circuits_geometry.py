"""What is derived from an elaborated circuit, not from names: mirror, area, access, schematic."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import rramsim as rs
from rramsim.chips.surface import EngineReads, fit_surface, mirror_of, read_decision
from rramsim.circuits import ReadOut, SenseConditions, sense_circuit
from rramsim.circuits.symmetry import mirrored_transistors
from rramsim.costs.sense_parts import amplifier_area_m2, sense_parts, synapse_area_m2
from rramsim.devices import ResistanceModel
from rramsim.engines import BatchEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.figures.report.schematic import is_shipped_topology
from rramsim.processes.process import netlists_folder
from rramsim.stages import RunFolder, run_stages
from rramsim.stages.chips import DISTRIBUTIONS
from rramsim.stages.rates import RATES

CASES = Path(__file__).parent / "cases"
PCSA = (netlists_folder() / "pcsa.spice").read_text()
AT = SenseConditions(vdd_v=1.2)
ALIKE = ["used_twice", "xschem_export", "magic_extraction", "override_on_x", "expression"]


def own(sky130, folder, text):
    path = folder / "own.spice"
    path.write_text(text)
    return sense_circuit(process=sky130, netlist=path)


@pytest.mark.parametrize("name", ALIKE)
def test_a_shipped_amplifier_in_other_words_has_its_mirror_area_and_drawing(sky130, pcsa, name):
    circuit = sense_circuit(process=sky130, netlist=CASES / f"{name}.spice")
    assert amplifier_area_m2(circuit) == pytest.approx(amplifier_area_m2(pcsa), rel=1e-12)
    assert synapse_area_m2(circuit) == synapse_area_m2(pcsa)
    assert is_shipped_topology(circuit) == (name != "magic_extraction")  # it has capacitors
    theirs, _ = mirror_of(pcsa, AT)
    mine, exact = mirror_of(circuit, AT)
    assert exact == (name != "magic_extraction")
    sites = pcsa.mismatch_sites("tt")
    nodes = {t.name: t.nodes for t in (*circuit.transistors, *pcsa.transistors)}
    place = {(nodes[s.transistor], s.parameter): k for k, s in enumerate(sites)}
    for k, site in enumerate(circuit.mismatch_sites("tt")):
        image = circuit.mismatch_sites("tt")[mine[k]]
        ours = place[nodes[image.transistor], image.parameter]
        assert ours == theirs[place[nodes[site.transistor], site.parameter]]


@pytest.mark.parametrize(
    "change",
    [
        ("mn1   q  qb  bl  vss nch w=2u", "mn1 q qb bl vss nch w=2.6u"),
        (".ends", "c1 q vss 1f\n.ends"),
        (".ends", "r1 q vdd 1meg\n.ends"),
        ("mp2   qb q   vdd vdd pch w=2u", "mp2 qb q vdd vdd pch m=2 w=2u"),
        ("ad=0.29p as=0.29p pd=2.58u ps=2.58u\nmpre2", "ad=0.3p as=0.29p pd=2.58u ps=2.58u\nmpre2"),
    ],
)
def test_sides_that_differ_have_no_mirror(sky130, tmp_path, change):
    assert change[0] in PCSA
    circuit = own(sky130, tmp_path, PCSA.replace(*change, 1))
    assert mirrored_transistors(circuit, AT) is None
    if "r1" in change[1]:
        with pytest.raises(InputError, match="two sides are wired differently"):
            mirror_of(circuit, AT)
    else:
        # Chips may go on if the reads are alike, which is measured.
        mine, exact = mirror_of(circuit, AT)
        assert not exact and mine.tolist() != list(range(len(mine)))


def test_chips_measure_whether_the_two_sides_read_alike(sky130, tmp_path):
    extracted = sense_circuit(process=sky130, netlist=CASES / "magic_extraction.spice")
    surface = fit_surface(BatchEngine(), extracted, AT, points=350)
    assert surface.residual_ln < 0.2
    wider = own(
        sky130,
        tmp_path,
        PCSA.replace("mn1   q  qb  bl  vss nch w=2u", "mn1 q qb bl vss nch w=2.6u"),
    )
    with pytest.raises(InputError, match=r"differ by up to \d+.\d % .*it needs less than 3 %"):
        fit_surface(BatchEngine(), wider, AT, points=350)
    reads = read_decision(BatchEngine(), wider, AT, ResistanceModel(), points=350)
    assert isinstance(reads, EngineReads) and "sides are not alike" in reads.why


@pytest.mark.parametrize(
    "text",
    [
        PCSA.replace("mn1", "malpha").replace("mn2", "mbeta").replace("mp2", "mp1b"),
        PCSA.replace(".ends", "c1 q vss 1f\nc2 vss qb 1f\n.ends"),
        PCSA.replace("mn1   q  qb  bl ", "mn1 bl qb q "),  # drain and source change places
        PCSA.replace(".ends", "meq q sen qb vdd pch w=1u l=0.5u\n.ends"),
        PCSA.replace("mn1   q  qb  bl", "r1 n1 bl 5\nmn1 q qb n1").replace(
            "mn2   qb q   blb", "r2 n2 blb 5\nmn2 qb q n2"),
    ],
)  # fmt: skip
def test_names_and_order_do_not_matter_to_the_mirror(sky130, tmp_path, text):
    circuit = own(sky130, tmp_path, text)
    image = mirrored_transistors(circuit, AT)
    assert all(image[image[name]] == name for name in image)
    moved = [name for name in image if image[name] != name]
    assert len(moved) == 8 and "xpcsa.mfoot" not in moved
    assert mirror_of(circuit, AT)[0].tolist() != list(range(len(circuit.mismatch_sites("tt"))))


def test_four_side_by_side_take_four_times_the_area_and_mirror_as_a_group(sky130):
    m4, out = (
        sense_circuit(process=sky130, netlist=CASES / f"{n}.spice")
        for n in ("m4", "m4_written_out")
    )
    assert amplifier_area_m2(m4) == pytest.approx(amplifier_area_m2(out), rel=1e-12)
    image = mirrored_transistors(out, AT)
    assert {image[f"xpcsa.mn1{k}"][:-1] for k in "abcd"} == {"xpcsa.mn2"}


def test_fingers_share_diffusions(sky130, tmp_path):
    plain, fingers = (
        amplifier_area_m2(own(sky130, tmp_path, PCSA.replace("nch w=2u", f"nch nf={n} w=2u")))
        for n in (1, 2)
    )
    # Three 2 um transistors: 2.3 x 1.08 um2 each, by two fingers 1.3 x 1.87 um2; filled to half.
    assert plain - fingers == pytest.approx(2 * 3 * (2.3 * 1.08 - 1.3 * 1.87) * 1e-12, rel=1e-9)


def test_every_read_out_is_its_own_mirror_but_where_an_input_crosses_it(sky130):
    for name, there in (("pcsa", True), ("pcsa_xnor", True), ("gxnor", False)):
        circuit = sense_circuit(process=sky130, read_out=ReadOut(name=name))
        assert (mirrored_transistors(circuit, AT) is not None) == there


@pytest.mark.slow  # compiles each circuit
@pytest.mark.parametrize("name", ["used_twice", "xschem_export"])
def test_it_senses_and_costs_as_the_shipped_one_and_fails_as_often(sky130, pcsa, name):
    circuit = sense_circuit(process=sky130, netlist=CASES / f"{name}.spice")
    nodes = {t.name: t.nodes for t in (*circuit.transistors, *pcsa.transistors)}
    place = {(nodes[s.transistor], s.parameter): k for k, s in enumerate(pcsa.mismatch_sites("tt"))}
    order = [place[nodes[s.transistor], s.parameter] for s in circuit.mismatch_sites("tt")]
    rng = np.random.default_rng(6)
    theirs = SenseSamples(
        r_bl_ohm=np.full(60, 30e3), r_blb_ohm=np.full(60, 33e3),
        mismatch=rng.standard_normal((60, len(order))),
    )  # fmt: skip
    ours = replace(theirs, mismatch=theirs.mismatch[:, order])
    found, expected = (BatchEngine().sense(c, AT, s) for c, s in ((circuit, ours), (pcsa, theirs)))
    assert np.array_equal(found.read, expected.read) and {-1, 1} <= set(found.read.tolist())
    np.testing.assert_allclose(found.resolve_time_s, expected.resolve_time_s, rtol=2e-3)
    np.testing.assert_allclose(found.energy_j, expected.energy_j, rtol=1e-3)
    parts = [asdict(sense_parts(c, AT, 10e3, 630e3)) for c in (circuit, pcsa)]
    assert parts[0] == pytest.approx(parts[1], rel=2e-3)
    rates = [rs.rate(c, vdd_v=1.05, failure="type 2") for c in (circuit, pcsa)]
    assert rates[0].low < rates[1].high and rates[1].low < rates[0].high


EXPERIMENT = """
[sense]
vdd_v = 0.95
{netlist}
[errors]
engine = "batch"
workers = 1
relative_error = 0.5
[network]
architecture = "mlp"
weights = "ternary"
width = 8
[training]
data = "digits"
epochs = 1
[chips]
count = 2
surface_points = 350
images = 50
read_noise_ln = 0.01
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """The map's rates, and the error rates of all chips, of a netlist at 0.95 V."""

    def run(name):
        out = tmp_path_factory.mktemp(name or "shipped")
        line = f'netlist = "{CASES / name}.spice"' if name else ""
        (out / "own.toml").write_text(EXPERIMENT.format(netlist=line))
        folder = RunFolder.create(out / "run")
        run_stages(load_experiment(out / "own.toml"), folder, ("map", "train", "chips"))
        chips = {row["type"]: row["chips"] for row in DISTRIBUTIONS.told(folder)["rates"]}
        return RATES.frame(folder).set_index("type"), chips

    shipped = run("")
    return lambda name: (run(name), shipped)


@pytest.mark.slow  # a run of three stages each
@pytest.mark.parametrize("name", ["used_twice", "xschem_export"])
def test_its_map_and_its_chips_are_the_shipped_ones(mapped, name):
    (rates, chips), (expected, expected_chips) = mapped(name)
    assert sorted(rates.index) == sorted(expected.index) == [1, 2, 3]
    assert (rates.low < expected.high).all() and (expected.low < rates.high).all()
    # 1,500 synapses on two chips: type 2, about a half, has a standard error of 2 to 3 %.
    assert chips["type 2"] == pytest.approx(expected_chips["type 2"], abs=0.1)
    assert chips["type 2"] == pytest.approx(float(rates.rate[2]), abs=0.1)
