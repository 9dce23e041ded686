"""Netlists as people and tools write them: what each must give, in both engines.

`cases/` holds netlists and cards that were once refused or read wrongly. Siblings of each kind are
written here; where one describes the shipped amplifier its elements must be the shipped ones, and
then so is all that an engine finds, for an engine is given nothing else.
"""

import codecs
import math
from pathlib import Path

import numpy as np
import pytest

from rramsim.circuits import SenseConditions, sense_circuit
from rramsim.engines import BatchEngine, NgspiceEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.processes import process_from_cards
from rramsim.processes.process import netlists_folder

CASES = Path(__file__).parent / "cases"
PCSA = (netlists_folder() / "pcsa.spice").read_text()
AT = SenseConditions(vdd_v=1.2)
ONE = SenseSamples.nominal(10e3, 350e3)
ENGINES = pytest.mark.parametrize("engine", [NgspiceEngine(), BatchEngine()], ids=["ng", "batch"])


def of(sky130, name):
    return sense_circuit(process=sky130, netlist=CASES / name)


def own(sky130, folder, text, name="own.spice"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return sense_circuit(process=sky130, netlist=path)


def made_of(circuit):
    """Every element but for its name; inner nodes of the cases here are all pins."""
    found = []
    for e in circuit.elaborated(AT).elements:
        sizes = tuple(sorted(e.parameters))
        value = None if math.isnan(e.value) else e.value
        found.append((e.kind, e.nodes, value, e.wave, e.card, sizes, e.parallel))
    return sorted(found, key=repr)


def sense(engine, circuit):
    found = engine.sense(circuit, AT, ONE)
    return found.read[0], found.resolve_time_s[0], found.energy_j[0]


@ENGINES
def test_the_reference(engine, pcsa):
    read, time_s, energy_j = sense(engine, pcsa)
    assert (read, time_s, energy_j) == (
        1,
        pytest.approx(12.2e-9, rel=0.01),
        pytest.approx(388.3e-15, rel=0.003),
    )


EQUAL = ["override_on_x", "expression", "used_twice", "one_tab", "bom", "crlf_upper", "bit_error"]


@pytest.mark.parametrize("name", EQUAL)
def test_cases_that_are_the_shipped_amplifier(sky130, pcsa, name):
    circuit = of(sky130, f"{name}.spice")
    assert made_of(circuit) == made_of(pcsa)
    sigma, ours = (sorted((s.parameter, s.nominal, s.sigma) for s in c.mismatch_sites("tt"))
                   for c in (circuit, pcsa))  # fmt: skip
    assert sigma == ours


LATCH = """
mp1 q qb vdd vdd pch w=wl l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
mp2 qb q vdd vdd pch w=wl l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
mn1 q qb bl vss nch w=wl l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
mn2 qb q blb vss nch w=wl l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
"""
REST = """
mpre1 q sen vdd vdd pch w=1u l=0.5u ad=0.29p as=0.29p pd=2.58u ps=2.58u
mpre2 qb sen vdd vdd pch w=1u l=0.5u ad=0.29p as=0.29p pd=2.58u ps=2.58u
mfoot sl sen vss vss nch w=2u l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
"""
PINS = "q qb bl blb sl sen vdd vss"
HALF = """
.subckt half o g s vdd vss
mp o g vdd vdd pch w=2u l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
mn o g s vss nch w=2u l=0.5u ad=0.58p as=0.58p pd=4.58u ps=4.58u
.ends
"""


def latched(header, x_line, more=""):
    return (
        f".subckt latch q qb bl blb vdd vss {header}{LATCH}.ends latch\n"
        f".subckt pcsa {PINS}\n{more}{x_line}{REST}.ends\n"
    )


SIBLINGS = {
    # sizes given on an X line
    "override: params:": latched("params: wl=1u", "xl q qb bl blb vdd vss latch params: wl=2u"),
    "override: of the caller's": latched("wl=1u", "xl q qb bl blb vdd vss latch wl={2*wl}", ".param wl=1u\n"),  # noqa: E501
    "override: default kept": latched("wl='1u + 1u'", "xl q qb bl blb vdd vss latch"),
    "override: default of a default": latched("half=1u wl={2*half}", "xl q qb bl blb vdd vss latch"),  # noqa: E501
    # expressions
    "expression: chain": PCSA.replace("w=2u", "w={c}").replace(
        "\nmpre1", "\n.param c={a*b} b=2\n.param a='1u*1'\nmpre1"),
    "expression: functions": PCSA.replace("w=2u", "w={max(1u, 2u)*int(1.9)}"),
    "expression: ternary": PCSA.replace("w=2u", "w='1 > 2 ? 1u : 2u'"),
    "expression: own function": ".func twice(x) {2*x}\n" + PCSA.replace("w=2u", "w={twice(1u)}"),
    "expression: file's parameter": ".param w2 = 1u + 1u\n" + PCSA.replace("w=2u", "w=w2"),
    # used several times, nested
    "used: nested twice": HALF + (
        ".subckt both q qb bl blb vdd vss\nxa q qb bl vdd vss half\nxb qb q blb vdd vss half\n"
        f".ends\n.subckt pcsa {PINS}\nxl q qb bl blb vdd vss both{REST}.ends\n"),
    "used: defined inside": f".subckt pcsa {PINS}{HALF}xa q qb bl vdd vss half\n"
        f"xb qb q blb vdd vss half{REST}.ends\n",
    "used: defined after": f".subckt pcsa {PINS}\nxa q qb bl vdd vss half\n"
        f"xb qb q blb vdd vss half{REST}.ends\n{HALF}",
    # how text is written
    "text: several tabs": PCSA.replace(" ", "\t"),
    "text: continued": PCSA.replace(" w=", "\n* a comment between\n+ w=\n+"),
    "text: comments": PCSA.replace("\nmp1", " ; one\n// two\nmp1").replace("5u ad", "5u  ad")
        + "$ x\n",
    "text: dollar": PCSA.replace("ps=2.58u\n", "ps=2.58u $ tail = 3\n"),
    "text: upper": PCSA.upper(), "text: mac": PCSA.replace("\n", "\r"),
    "text: utf-16": codecs.BOM_UTF16_LE + PCSA.encode("utf-16-le"),
    "text: utf-16 without a mark": PCSA.encode("utf-16-le"),
    "text: utf-16 big": codecs.BOM_UTF16_BE + PCSA.encode("utf-16-be"),
    "text: cp1252": PCSA.replace("2u ", "2\u00b5 ").replace("* latch", "* für").encode("cp1252"),
    "text: micro sign": PCSA.replace("2u ", "2\u00b5 "),
    "text: mu": PCSA.replace("2u ", "2\u03bc "),
    "text: metre": PCSA.replace("w=2u", "w=2um").replace("0.29p", "0.29pm"),
    # supplies, pins, names
    "pins: any order": PCSA.replace(PINS, "vss vdd sen sl blb bl qb q"),
    "pins: other name": PCSA.replace("pcsa q", "amp q").replace(".ends pcsa", ".ends"),
    "pins: global supplies": ".global vdd vss\n" + PCSA.replace(PINS, "q qb bl blb sl sen"),
    "pins: global gnd": ".global vdd gnd\n" + PCSA.replace(PINS, "q qb bl blb sl sen").replace("vss", "gnd"),  # noqa: E501
    # sizes in other units
    "scale: option": ".option scale=1u\n" + PCSA.replace("u", "").replace("sbckt", "subckt").replace("p ", " "),  # noqa: E501
    "scale: m of one": PCSA.replace("l=0.5u", "l=0.5u m=1 nf=1"),
    "scale: nano": PCSA.replace("w=2u", "w=2000n").replace("l=0.5u", "l=500n"),
}  # fmt: skip


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings_that_are_the_shipped_amplifier(sky130, pcsa, tmp_path, name):
    circuit = own(sky130, tmp_path, SIBLINGS[name])
    ours, theirs = made_of(circuit), made_of(pcsa)
    if name == "scale: m of one":
        ours = [(*e[:5], tuple(p for p in e[5] if p[0] != "nf"), e[6]) for e in ours]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one[:5] == other[:5] and one[6] == other[6]
        assert dict(one[5]) == pytest.approx(dict(other[5]), rel=1e-12)


def test_a_netlist_in_parts_is_the_shipped_amplifier(sky130, pcsa, tmp_path):
    (tmp_path / "Parts").mkdir()
    (tmp_path / "Parts" / "Half.spice").write_text(HALF)
    (tmp_path / "lib.spice").write_text(
        ".lib wide\n.param wl=2u\n.endl wide\n.lib narrow\n.param wl=1u\n.endl\n"
    )
    text = f".subckt pcsa {PINS}\nxa q qb bl vdd vss half\nxb qb q blb vdd vss half{REST}.ends\n"
    assert made_of(own(sky130, tmp_path, f".include 'Parts/Half.spice'\n{text}")) == made_of(pcsa)
    text = f".lib lib.spice WIDE\n.subckt pcsa {PINS}{LATCH}{REST}.ends\n"
    assert made_of(own(sky130, tmp_path, text)) == made_of(pcsa)


@ENGINES
def test_m_means_transistors_side_by_side(sky130, engine):
    m4, written_out, on_x = (of(sky130, f"{n}.spice") for n in ("m4", "m4_written_out", "m_on_x"))
    assert made_of(m4) == made_of(on_x)
    wanted = sense(engine, written_out)
    assert sense(engine, m4) == (
        wanted[0],
        pytest.approx(wanted[1], rel=5e-3),
        pytest.approx(wanted[2], rel=5e-3),
    )


def sigmas(circuit, name):
    return {s.parameter: s.sigma for s in circuit.mismatch_sites("tt") if s.transistor == name}


def test_variation_goes_with_the_whole_area(sky130, tmp_path):
    one = sigmas(of(sky130, "m4_written_out.spice"), "xpcsa.mn1a")
    four = sigmas(of(sky130, "m4.spice"), "xpcsa.mn1")
    on_x = sigmas(of(sky130, "m_on_x.spice"), "xpcsa.xlatch.mn1")
    nested = own(sky130, tmp_path, latched("wl=2u", "xl q qb bl blb vdd vss latch m={2*2}"))
    mult = own(sky130, tmp_path, PCSA.replace("nch w=2u", "nch mult=4 w=2u"))
    fingers = own(sky130, tmp_path, PCSA.replace("nch w=2u", "nch nf=2 w=2u"))
    for found in (four, on_x, sigmas(nested, "xpcsa.xl.mn1"), sigmas(mult, "xpcsa.mn1")):
        assert found == pytest.approx({k: v / 2 for k, v in one.items()}, rel=1e-9)
    # W is that of all fingers.
    assert sigmas(fingers, "xpcsa.mn1") == pytest.approx(one, rel=1e-9)


def offsets(circuit, z):
    """The critical ln R_bl at R_blb = 33k of each row of deviates: where the read turns over."""
    low, high = np.full(len(z), np.log(20e3)), np.full(len(z), np.log(60e3))
    for _ in range(14):
        middle = (low + high) / 2
        samples = SenseSamples(r_bl_ohm=np.exp(middle), r_blb_ohm=np.full(len(z), 33e3), mismatch=z)
        plus = BatchEngine(reads_only=True).sense(circuit, AT, samples).margin_v > 0
        low, high = np.where(plus, middle, low), np.where(plus, high, middle)
    return low


def test_offset_and_wrong_signs_of_m4_are_those_of_four_written_out(sky130, pcsa):
    m4, written_out = (of(sky130, f"{n}.spice") for n in ("m4", "m4_written_out"))
    z = np.random.default_rng(7).standard_normal((300, len(written_out.mismatch_sites("tt"))))
    # Four in parallel are moved by the mean of their deviates, which is half as wide.
    together = np.zeros((300, len(m4.mismatch_sites("tt"))))
    names = [(s.transistor, s.parameter) for s in written_out.mismatch_sites("tt")]
    for k, site in enumerate(m4.mismatch_sites("tt")):
        mine = [n.rstrip("abcd") == site.transistor and p == site.parameter for n, p in names]
        together[:, k] = z[:, mine].sum(axis=1) / math.sqrt(sum(mine))
    assert together.std() == pytest.approx(1, rel=0.03)
    found, wanted = offsets(m4, together), offsets(written_out, z)
    assert found.std() == pytest.approx(wanted.std(), rel=0.03)
    assert np.corrcoef(found, wanted)[0, 1] > 0.99
    wrong = {}
    for name, circuit in (("m4", m4), ("out", written_out), ("shipped", pcsa)):
        z = np.random.default_rng(5).standard_normal((4000, len(circuit.mismatch_sites("tt"))))
        pairs = SenseSamples(
            r_bl_ohm=np.full(4000, 30e3), r_blb_ohm=np.full(4000, 33e3), mismatch=z
        )
        wrong[name] = int((BatchEngine(reads_only=True).sense(circuit, AT, pairs).read < 0).sum())
    # Counted once: 0.018 with the right deviations, 0.075 where m was left out, 0.085 shipped.
    spread = math.sqrt(wrong["m4"] + wrong["out"])
    assert abs(wrong["m4"] - wrong["out"]) < 3 * spread
    assert 0.012 < wrong["m4"] / 4000 < 0.025 < 0.07 < wrong["shipped"] / 4000 < 0.1


@ENGINES
@pytest.mark.parametrize(
    "scheme", ["vx vddi vss 1.2", "vx vddi vss dc {vdd_v}", "ex vddi vss vdd vss 1"]
)
def test_every_supply_counts(sky130, tmp_path, engine, scheme):
    text = (CASES / "second_supply.spice").read_text().replace("vx vddi vss 1.2", scheme)
    circuit = own(sky130, tmp_path, text)
    if scheme[0] == "e" and isinstance(engine, BatchEngine):
        with pytest.raises(InputError, match="use ngspice"):
            sense(engine, circuit)
        return
    read, time_s, energy_j = sense(engine, circuit)
    assert read == 1 and time_s == pytest.approx(12.2e-9, rel=0.01)
    assert 388e-15 < energy_j < 395e-15


@pytest.mark.parametrize("bias", ["ib vdd vss {}", "gb vdd vss vdd vss {}"])
def test_a_bias_current_is_paid_for(sky130, tmp_path, bias):
    """A microampere at 1.2 V for the 50 ns of the window and longer: 60 fJ and more."""
    text, scale = (CASES / "second_supply.spice").read_text(), 1.2 if bias[0] == "g" else 1.0
    energies = []
    for number, current_a in enumerate((0.0, 1e-6, 2e-6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        line = bias.format(f"{current_a / scale:.6g}")
        circuit = own(sky130, folder, text.replace("vx vddi", f"{line}\nvx vddi"))
        read, _, energy_j = sense(NgspiceEngine(), circuit)
        assert read == 1
        energies.append(energy_j)
        if current_a:
            with pytest.raises(InputError):  # the batch engine has no such elements
                sense(BatchEngine(), circuit)
    first, second = np.diff(energies)
    assert first == pytest.approx(second, rel=0.01) and 60e-15 < first < 600e-15


@ENGINES
def test_netlists_as_xschem_and_magic_write_them(sky130, pcsa, tmp_path, engine):
    _, time_s, energy_j = sense(engine, pcsa)
    found = sense(engine, of(sky130, "xschem_export.spice"))
    assert found == (1, pytest.approx(time_s, rel=5e-3), pytest.approx(energy_j, rel=5e-3))
    magic = (CASES / "magic_extraction.spice").read_text()
    bare = own(sky130, tmp_path, magic.split("C0")[0] + ".ends\n")
    assert sense(engine, bare) == (1, time_s, energy_j)
    # ... and with its two capacitors it is the shipped amplifier with the same two.
    drawn = own(sky130, tmp_path, PCSA.replace(".ends", "c0 q vss 0.4f\nc1 bl blb 1.1f\n.ends"))
    assert made_of(of(sky130, "magic_extraction.spice")) == made_of(drawn)
    assert sense(engine, drawn)[1] > time_s


def test_sizes_of_x_lines_are_in_the_pdks_unit(sky130, pcsa, tmp_path):
    line = "X{k} {nodes} sky130_fd_pr__{t}fet_g5v0d10v5 {sizes}\n"
    lines = [x.split() for x in PCSA.splitlines() if x[:1] == "m"]
    for sizes in ("w={w} l=0.5 mult=1", "W={w}e+06u L=500000u", "nf=1 w={w} l='w/{w}/2' m=1"):
        text = f".subckt pcsa {PINS}\n"
        for k, words in enumerate(lines):
            wide = words[6][2:-1]
            text += line.format(
                k=k, nodes=" ".join(words[1:5]), t=words[5][0], sizes=sizes.format(w=wide)
            )
        for t in own(sky130, tmp_path, text + ".ends\n").transistors:
            assert t.width_m in (1e-6, 2e-6) and t.length_m == pytest.approx(0.5e-6, rel=1e-12)
            assert t.parallel == 1


@ENGINES
@pytest.mark.parametrize("value", ["10000a", "10f", "1e-8u", "1e-8\u00b5", "1e-8\u03bc", "{1e-5n}"])
def test_one_number_in_both_engines(sky130, tmp_path, engine, value):
    circuit = own(sky130, tmp_path, PCSA.replace(".ends", f"c9 q vss {value}\n.ends"))
    assert next(e.value for e in circuit.elaborated(AT).elements if e.name == "xpcsa.c9") == 1e-14
    if value == "10000a":
        assert sense(engine, circuit)[0] == 1


REFUSED = {
    "duplicate_name.spice": r"duplicate_name.spice line 9: element xpcsa.mn2 is defined twice",
    "typo_node.spice": r"typo_node.spice line 5: node xpcsa.qqb has one terminal",
    "mil.spice": r"mil.spice line 9: xpcsa.mfoot: no card of .* covers W = 25.4 um",
    "reference_amplifier.spice": r"line 2: .subckt refamp lacks the pins blb, sl",
}
WRONG = {
    "two of a name, in the latch": (PCSA.replace("\nmp2 ", "\nmp1 "), "mp1 is defined twice"),
    "two of a name, other case": (PCSA.replace("\nmp2 ", "\nMP1 "), "mp1 is defined twice"),
    "two of a name, capacitors": (PCSA.replace(".ends", "c1 q vss 1f\nc1 qb vss 1f\n.ends"), "c1 is"),  # noqa: E501
    "lone gate": (PCSA.replace("mfoot sl sen", "mfoot sl sem"), "node xpcsa.sem has one terminal"),
    "lone drain": (PCSA.replace("mn1   q ", "mn1 q1 "), "node xpcsa.q1 has one terminal"),
    "lone capacitor": (PCSA.replace(".ends", "c1 q gnb 1f\n.ends"), "node xpcsa.gnb has one"),
    "two gates on nothing": (
        PCSA.replace("mp1   q  qb", "mp1 q qqb").replace("mp2   qb q ", "mp2 qb qqb"), "xpcsa.qqb floats"),  # noqa: E501
    "1 mil wide latch": (PCSA.replace("mp1   q  qb  vdd vdd pch w=2u", "mp1 q qb vdd vdd pch w=1mil"),  # noqa: E501
                         "covers W = 25.4 um"),
    "1 mm wide": (PCSA.replace("w=1u", "w=1m"), "covers W = 1000 um"),
    "a size in mil by expression": (PCSA.replace("w=1u", "w={1mil/2}"), "covers W = 12.7 um"),
    "no such parameter of a subcircuit": (
        latched("wl=2u", "xl q qb bl blb vdd vss latch wll=2u"), "has no parameter 'wll'; it has wl"),  # noqa: E501
    "no such parameter": (PCSA.replace("w=1u", "w={1u*k}"), "no parameter 'k'"),
    "a circle": (".param a={b} b={a}\n" + PCSA.replace("w=1u", "w=a"), "needs itself"),
    "a size that follows the supply": (PCSA.replace("w=1u", "w={vdd_v*1u}"), "no parameter 'vdd_v'"),  # noqa: E501
    "a division by 0": (PCSA.replace("w=1u", "w={1u/0}"), "no finite value"),
    "a random size": (PCSA.replace("w=1u", "w={agauss(1u,0,1)}"), "draws variation itself"),
    "pins": (latched("wl=2u", "xl q qb bl blb vdd latch"), "gives 5 nodes; latch has 6 pins"),
    "two amplifiers": (PCSA.replace("pcsa", "a") + PCSA.replace("pcsa", "b"), "a, b all have the pins"),  # noqa: E501
    "a name with two meanings": (
        latched("wl=1u", "xl q qb bl blb vdd vss latch wl={w2}", ".param w2=2u\n").replace(
            "vss wl=1u", "vss wl=1u\n.param w2=3u"), "'w2' is a parameter inside of latch as well"),
    "m of 0": (PCSA.replace("w=1u", "w=1u m=0"), "must be above 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_cases_that_are_refused_in_one_line(sky130, name):
    with pytest.raises(InputError, match=REFUSED[name]) as refusal:
        of(sky130, name)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", WRONG)
def test_siblings_that_are_refused_in_one_line(sky130, tmp_path, name):
    text, message = WRONG[name]
    with pytest.raises(
        InputError,
        match=rf"own.spice line \d+: .*{message}|own.spice: {message}|line \d+: {message}",
    ) as refusal:
        own(sky130, tmp_path, text).elaborated(AT)
    assert "\n" not in str(refusal.value)


# Cards


def process(*paths, nmos="n", pmos="p"):
    return process_from_cards(paths, nmos=nmos, pmos=pmos)


@ENGINES
def test_cards_with_commas_in_subcircuits_and_in_sections_are_the_same_cards(engine, tmp_path):
    plain = tmp_path / "plain.spice"
    plain.write_text((CASES / "commas.spice").read_text().replace(",", ""))
    wanted = sense(engine, sense_circuit(process=process(plain)))
    lib = process(CASES / "lib_sections.lib")
    wrapped = process(CASES / "wrapped.spice", nmos="nfet_w", pmos="pfet_w")
    for one in (process(CASES / "commas.spice"), lib, wrapped):
        assert sense(engine, sense_circuit(process=one)) == wanted
    assert tuple(lib.corners) == ("tt", "ss")
    slow = sense_circuit(process=lib)
    thresholds = {c: [card.parameter("vth0") for card in lib.cards(c)] for c in lib.corners}
    assert thresholds == {"tt": [0.6, -0.7], "ss": [0.65, -0.75]}
    at = SenseConditions(vdd_v=1.2, corner="ss", window_s=200e-9)
    later = engine.sense(slow, at, ONE)
    assert later.read[0] == 1 and later.resolve_time_s[0] > 1.5 * wanted[1]


@ENGINES
@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [("vth0=0.6", "vht0=0.6", 1, "vht0"), ("u0=0.01", "uo0=0.01", 2, "uo0"),
     ("toxe=11.6n\n", "toxe=11.6n rsgh=3\n", 1, "rsgh")],
)  # fmt: skip
def test_a_parameter_that_the_model_does_not_know_is_named(engine, tmp_path, old, new, line, word):
    path = tmp_path / "cards.spice"
    path.write_text((CASES / "commas.spice").read_text().replace(",", "").replace(old, new, 1))
    with pytest.raises(
        InputError, match=rf"cards.spice line {line}: card [np] has no parameter {word}$"
    ):
        sense(engine, sense_circuit(process=process(path)))


def test_cards_that_are_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"line 2: model n is defined twice \(first in .* line 1\)"
    ):
        process(CASES / "two_of_a_name.spice")
    with pytest.raises(
        InputError, match=r"typo_parameter.spice line 1: card n has no parameter vht0"
    ):
        sense(NgspiceEngine(), sense_circuit(process=process(CASES / "typo_parameter.spice")))
    again = tmp_path / "again.spice"
    again.write_text(".model N nmos level=54\n")
    with pytest.raises(InputError, match="n is defined twice"):
        process(CASES / "commas.spice", again)
    both = tmp_path / "both.spice"
    both.write_text(
        ".subckt f d g s b w=1u l=1u\nm0 d g s b n w={w} l={l}\nm1 d g s b n w={w} l={l}\n.ends\n"
        ".model n nmos level=54\n.model p pmos level=54\n"
    )
    with pytest.raises(InputError, match="f holds not one transistor"):
        sense_circuit(process=process(both, nmos="f"))


@pytest.mark.parametrize("resistance", ["rshg=0.1", "rshg=10 ngcon=2", "rshg=0.1 xgw=1u"])
def test_a_small_gate_resistance_is_solved_by_both_engines(tmp_path, resistance):
    path = tmp_path / "rgate.spice"
    path.write_text((CASES / "rgate.spice").read_text().replace("rshg=0.1", resistance))
    circuit = sense_circuit(process=process(path))
    theirs, ours = (
        sense(engine, circuit) for engine in (NgspiceEngine(max_step_s=2e-10), BatchEngine())
    )
    assert ours == (
        theirs[0],
        pytest.approx(theirs[1], rel=5e-3),
        pytest.approx(theirs[2], rel=5e-3),
    )
    path.write_text((CASES / "rgate.spice").read_text().replace("rshg=0.1", "rshg=1k"))
    with pytest.raises(InputError, match="rgatemod = 1: the gate's resistance delays the gate"):
        sense(BatchEngine(), sense_circuit(process=process(path)))
