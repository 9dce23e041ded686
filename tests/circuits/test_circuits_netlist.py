"""A user's netlist is data: what describes a circuit passes, what runs something does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rramsim.circuits import sense_circuit
from rramsim.exceptions import InputError
from rramsim.processes.process import netlists_folder
from rramsim.spice import read_deck

PCSA = (netlists_folder() / "pcsa.spice").read_text()


def write(folder, text, name="own.spice"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (".control\nshell touch owned\n.endc", "'.control' is refused"),
        (".csparam x=1", "'.csparam' is refused"),
        (".exec 'x'", "'.exec' is refused"),
        (".lib models.lib tt", "'models.lib', which is no file"),
        (".lib /etc/passwd tt", "outside the netlist's"),
        (".lib tt\n.endl\n", "has the sections tt; name one"),
        (".option temp=85", "option 'temp' is refused"),
        (".tran 1n 1u", "'.tran' is refused"),
        (".include /etc/passwd", "outside the netlist's"),
        (".include ../other.spice", "outside the netlist's"),
        ("a1 1 2 model", "element 'a1' is refused"),
        ("v1 1 0 pwl file=\"x\"", "v1: expected"),
        ("r1 1 0 `reboot`", "'`'"),
        ("r1 1 0", "expected 'R<name> node node value'"),
        ("r1 1 0 1k 2k", "'2k' has no place"),
        ("m1 d g s b nch w=1u l=1u wide=2", "m1 has no parameter 'wide'"),
        ("m1 d g s b nch w=1u w=2u", "w is given twice"),
        ("m1 d g s b nch w= l=2u", "'=': expected NAME=VALUE"),
        ("e1 a b poly(1) c 0", r"'\(' is refused"),
        ("b1 a b i=v(a)", "element 'b1' is refused"),
        ("My amplifier", "M<name> drain"),
        (".subckt a p q\nr1 p q 1", "has no .ends"),
        (".ends", ".ends without .subckt"),
        (".subckt a p q\n.ends b", ".ends b ends .subckt a"),
        (".subckt a p q\n.ends\n.subckt a p q\n.ends", "defined twice"),
        (".subckt a\n.ends", "expected '.subckt NAME PIN"),
    ],
)  # fmt: skip
def test_what_could_run_something_is_refused_with_file_and_line(tmp_path, text, names):
    path = write(tmp_path, f"* title\n{text}\n")
    with pytest.raises(InputError, match=names) as refusal:
        read_deck(path)
    assert "own.spice" in str(refusal.value)


def test_an_include_beside_the_netlist_is_read(tmp_path):
    write(tmp_path, PCSA, "amplifier.spice")
    path = write(tmp_path, ".include amplifier.spice\n")
    assert read_deck(path).body.subcircuits["pcsa"].pins[0] == "q"


def test_an_include_of_itself_ends(tmp_path):
    path = write(tmp_path, ".include own.spice\n")
    with pytest.raises(InputError, match=r"more than 1000 files are included, or more"):
        read_deck(path)


def test_a_symbolic_link_out_of_the_folder_is_refused(tmp_path):
    outside = write(tmp_path, PCSA, "outside.spice")
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "link.spice").symlink_to(outside)
    with pytest.raises(InputError, match="outside the netlist's"):
        read_deck(write(folder, ".include link.spice\n"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("fuzz") / "any.spice"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        read_deck(path)
    except InputError as refusal:
        assert str(path.name) in str(refusal)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ((".subckt pcsa", ".subckt amp"), ".ends pcsa ends .subckt amp"),
        (("q qb bl blb sl sen", "q qb bl blb sl clk"), "lacks the pins sen"),
        (("pch w=1u", "pmos9 w=1u"), "xpcsa.mpre1: no model 'pmos9'; there are "),
        (("pch w=1u", "pch w=50u"), "no card of .* covers W = 50 um"),
        (("pch w=1u", "pch w=-1u"), "W = -1e-06: must be above 0"),
        (("pch w=1u", "pch w=wide"), "no parameter 'wide'"),
        ((".ends pcsa", ".ends pcsa\nr9 1 0 1k"), "'r9' stands outside a subcircuit"),
    ],
)
def test_an_own_amplifier_that_does_not_fit_is_refused(tmp_path, sky130, change, names):
    path = write(tmp_path, PCSA.replace(*change))
    with pytest.raises(InputError, match=names):
        sense_circuit(process=sky130, netlist=path)


def test_the_netlist_of_rramsim_as_an_own_one_is_the_same_circuit(tmp_path, sky130, pcsa):
    own = sense_circuit(process=sky130, netlist=write(tmp_path, PCSA, "pcsa.spice"))
    assert own.sha256 == pcsa.sha256
    wider = sense_circuit(process=sky130, netlist=write(tmp_path, PCSA.replace("w=2u", "w=1u")))
    assert wider.sha256 != pcsa.sha256
