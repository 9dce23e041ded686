"""Elaboration against ngspice's own, on netlists drawn from the grammar; and its limits."""

import cProfile
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rramsim.exceptions import InputError
from rramsim.spice import (
    Body,
    Library,
    Names,
    Scope,
    circuit_lines,
    elaborate,
    parse_deck,
    read_deck,
)

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.netlists import compared, drawn_netlist, elaborated, speed

EMPTY = Library(scope=Scope(Body()))


@pytest.mark.parametrize("first", [0, 40, 80])
def test_drawn_netlists_are_elaborated_as_by_ngspice(first):
    for seed in range(first, first + 40):
        text = drawn_netlist(seed)
        assert compared(text, elaborated(text)) == [], text


def test_the_comparison_finds_what_is_planted():
    text = drawn_netlist(5)
    ours = elaborated(text)
    first = next(e for e in ours.elements if e.kind in "rc")
    mosfet = next(e for e in ours.elements if e.kind == "m")
    name, value = mosfet.parameters[0]
    for old, new in (
        (first, replace(first, value=first.value * (1 + 1e-8))),
        (first, replace(first, nodes=("elsewhere", first.nodes[1]))),
        (mosfet, replace(mosfet, parameters=((name, 1.001 * value), *mosfet.parameters[1:]))),
        (mosfet, replace(mosfet, parameters=mosfet.parameters[1:])),
        (mosfet, None),
    ):
        changed = [e if e is not old else new for e in ours.elements]
        planted = replace(ours, elements=tuple(e for e in changed if e))
        assert len(compared(text, planted)) == 1


def test_names_go_both_ways():
    ours = elaborated(drawn_netlist(3))
    own = Names.own(ours)
    text = "\n".join(circuit_lines(ours, own))
    assert "xa" not in text and ".n1" not in text
    for element in ours.elements:
        said = own.translated(
            f"Error: {own.elements[element.name]} at {own.nodes[element.nodes[0]]}"
        )
        assert said == f"Error: {element.name} at {element.nodes[0]}"


def test_reading_and_elaborating_cost_the_same_for_every_line(tmp_path):
    """Calls are counted: seconds depend on the machine (`benchmarks netlists --speed` times)."""
    calls = {}
    for megabytes in (0.1, 0.4):
        with cProfile.Profile() as profile:
            lines = speed(tmp_path, megabytes=megabytes)["lines"]
        calls[megabytes] = sum(row.callcount for row in profile.getstats()) / lines
    assert calls[0.4] < 1.05 * calls[0.1] < 300


def chain(count):
    """Subcircuits of which each uses the next."""
    lines = [f".subckt s{k} a b\nx1 a b s{k + 1}\n.ends" for k in range(count)]
    return "\n".join([*lines, f".subckt s{count} a b\nr1 a b 1\n.ends", "x0 a 0 s0", "v1 a 0 1"])


LIMITS = {
    "used 3,000 deep": (chain(3000), "used more than 64 deep"),
    "defined 3,000 deep": ("\n".join(f".subckt s{k} a b" for k in range(3000)), "nested more than 32"),  # noqa: E501
    "nine levels of ten": (
        "\n".join(f".subckt s{k} a b\n" + "\n".join(f"x{j} a b s{k + 1}" for j in range(10)) + "\n.ends"  # noqa: E501
                  for k in range(9)) + "\n.subckt s9 a b\nr1 a b 1\n.ends\nx0 a 0 s0\nv1 a 0 1",
        "more than 200000 elements"),
    "of itself": (".subckt s a b\nx1 a b s\n.ends\nx0 a 0 s\nv1 a 0 1", "used more than 64 deep"),
    "20,000 blanks in .subckt": (f".subckt s{' ' * 20000}a b\n.ends\nx1 a 0{' ' * 20000}t", "no .subckt 't'"),  # noqa: E501
    "20,000 blanks in a card": (f".model n{' ' * 20000}nmos{' ' * 20000}level={' ' * 9}\n", "expected NAME=VALUE"),  # noqa: E501
    "20,000 equal signs": ("r1 a b " + "= " * 20000, "expected NAME=VALUE"),
    "20,000 braces": ("r1 a b " + "{" * 20000, "is refused"),
    "20,000 quotes": ("r1 a b " + "'" * 20001, "is refused"),
    "20,000 parentheses": (f"r1 a 0 {{{'(' * 20000}1{')' * 20000}}}\nr2 a 0 {{q}}", "no parameter 'q'"),  # noqa: E501
    "20,000 parameters": (
        "\n".join(f".param p{k}={{p{k + 1}+1}}" for k in range(20000)) + "\nr1 a 0 p0", "more than 100 deep"),  # noqa: E501
    "20,000 parameters of a subcircuit": (
        f".subckt s a b {' '.join(f'p{k}={{p{k + 1}}}' for k in range(20000))}\n.ends",
        "more than 1000 parameters"),
    "a function of itself": (".func f(x) {f(x)}\nr1 a 0 {f(1)}\nr2 a 0 1", "f calls itself"),
    "a long number": (f"r1 a 0 {'1' * 20000}\nr2 a 0 1", "no finite value|too large|cannot evaluate"),  # noqa: E501
    "a long name": (f"{'q' * 20000} a b", "element 'q"),
    "20,000 continuations": ("r1 a 0\n" + "+ 1\n" * 20000, "has no place"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_hostile_netlists_end_in_one_short_line_and_soon(name, ends_soon):
    text, message = LIMITS[name]
    with pytest.raises(InputError, match=message) as refusal:
        elaborate(parse_deck(text, Path("deck")).body, EMPTY)
    assert len(str(refusal.value)) < 500 and "\n" not in str(refusal.value)


def test_nine_netlists_that_include_the_next_ten_times(tmp_path, ends_soon):
    for k in range(9):
        (tmp_path / f"f{k}.spice").write_text(f".include f{k + 1}.spice\n" * 10)
    (tmp_path / "f9.spice").write_text("* the end\n")
    with pytest.raises(InputError, match="more than 1000 files are included"):
        read_deck(tmp_path / "f0.spice")


@pytest.mark.parametrize(
    "path",
    ["/dev/zero", "/proc/self/environ", "/sys/kernel/uevent_seqnum", "fifo", "folder", "big"],
)
def test_what_is_no_file_of_a_users_is_not_read(tmp_path, path, monkeypatch):
    monkeypatch.setenv("RRAMSIM_SECRET", "not to be shown")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "big").open("wb") as file:
        file.truncate(65 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as refusal:
        read_deck(tmp_path / path)
    assert "\n" not in str(refusal.value) and "SECRET" not in str(refusal.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_a_control_character_of_a_terminal_is_never_shown(tmp_path):
    (tmp_path / "title.spice").write_text("* \x1b]0;owned\x07\n.subckt a b c\nr1 b c 1\n.ends\n")
    with pytest.raises(InputError, match=r"line 1: holds '\\x1b'"):
        read_deck(tmp_path / "title.spice")


@pytest.mark.parametrize("option", ["--netlist", "cards"])
def test_the_command_ends_in_one_line_for_what_is_no_file(tmp_path, option):
    """Through the program itself, with a time limit: nothing hangs."""
    os.mkfifo(tmp_path / "fifo")
    if option == "cards":
        (tmp_path / "e.toml").write_text(
            '[process]\ncards = ["fifo"]\nnmos = "n"\npmos = "p"\n[sense]\nvdd_v = 1.2\n'
        )
        arguments = ["run", "e.toml", "--out", "out"]
    else:
        arguments = [
            "sense",
            "--vdd",
            "1.2",
            "--r-bl",
            "10k",
            "--r-blb",
            "350k",
            "--netlist",
            "fifo",
        ]
    done = subprocess.run(
        [sys.executable, "-m", "rramsim", *arguments], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    assert "fifo" in done.stderr and "regular file" in done.stderr
