"""--quiet, --verbose, completion, and the next command to try."""

import os
import re
import subprocess
import sys

import pytest
import typer

from rramsim.cli.app import app

EXPERIMENT = """
[network]
architecture = "mlp"
weights = "ternary"
width = 4
[training]
data = "digits"
epochs = 1
"""


def leaves(command, path="rramsim"):
    names = command.list_commands(None) if hasattr(command, "list_commands") else ()
    if not names:
        return {path: command}
    subs = {name: command.get_command(None, name) for name in names}
    return {k: v for name, sub in subs.items() for k, v in leaves(sub, f"{path} {name}").items()}


LEAVES = leaves(typer.main.get_command(app))


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_takes_both_options(path):
    known = {name for parameter in LEAVES[path].params for name in parameter.opts}
    assert {"--quiet", "-q", "--verbose", "-v"} <= known


@pytest.fixture
def train(rramsim, tmp_path):
    (tmp_path / "small.toml").write_text(EXPERIMENT)
    return lambda *options: rramsim(
        "run", tmp_path / "small.toml", "--stage", "train", "--out", tmp_path / "out", *options
    )


def test_quiet_leaves_the_answer_and_nothing_beside_it(train):
    status, out, err = train("--quiet")
    assert status == 0 and err == ""
    assert "training.csv" in out


def test_progress_comes_back_after_quiet(train):
    train("--quiet")
    status, _, err = train()
    assert status == 0
    assert err.splitlines()[-1] == "train: 1 of 1 epochs"
    assert "starts" not in err and "goes on" not in err


def test_verbose_says_what_is_resumed(train):
    first, second = train("--verbose")[2], train("-v")[2]
    assert "mlp4-ternary-ternary, trained with errors of none: starts" in first
    assert "goes on from" in second and "checkpoint.pt" in second


def test_quiet_keeps_what_must_be_known_of_a_result(rramsim, tmp_path):
    rows = [
        f"{device},{cycle},{state},{base * (1 + (7 * device + 3 * cycle) % 11 / 10)}\n"
        for device in range(6)
        for cycle in range(6)
        for state, base in (("LRS", 8e3), ("HRS", 2e5))
    ]
    file = tmp_path / "spoiled.csv"
    file.write_text("device,cycle,state,resistance_ohm\n" + "".join(rows) + "9,9,LRS,-1\n")
    status, _, err = rramsim("devices", "fit", file, "--drop", "--quiet")
    assert status == 0 and err.startswith("left out: ")


def test_both_at_once_are_refused(train):
    status, out, err = train("--quiet", "--verbose")
    assert (status, out) == (2, "")
    assert err == "rramsim: --quiet --verbose: choose one of them\n"


def test_a_command_names_the_next_one_and_it_exists(train, tmp_path):
    out = train()[1]
    words = re.search(r"next: (rramsim .*)", out)[1].split()
    assert " ".join(words[:2]) in LEAVES and words[2] == str(tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "found"), [("rramsim ver", "verify"), ("rramsim run --ret", "--retry-failed")]
)
def test_the_shell_completes(words, found):
    completed = subprocess.run(
        [sys.executable, "-m", "rramsim"],
        env={
            **os.environ,
            "_RRAMSIM_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout.split() == [found], completed.stderr
