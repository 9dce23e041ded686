"""Names, parameters and surroundings that try to make ngspice run or write something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rramsim.processes.process import netlists_folder

ROOT = str(Path(__file__).parents[2])
PCSA = (netlists_folder() / "pcsa.spice").read_text()
HOSTILE_NAME = "amp\n.control\nshell touch PWNED\n.endc\n*.spice"
# ngspice works in a temporary folder that is gone at the end, so the trace is looked for before.
WATCHED = """
import atexit, os, sys, tempfile
from pathlib import Path
def look():
    if list(Path(tempfile.gettempdir()).rglob("PWNED")):
        os._exit(77)
from rramsim.cli import main
from rramsim.engines import ngspice_version
ngspice_version()
atexit.register(look)
sys.exit(main())
"""


def rramsim(folder: Path, *arguments: object, **environment: str):
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": ROOT, "TMPDIR": str(folder), **environment},
    )  # fmt: skip


def sense(folder: Path, netlist: str, **environment: str):
    return rramsim(
        folder, "sense", "--vdd", 1.2, "--r-bl", "10k", "--r-blb", "350k", "--netlist", netlist,
        **environment,
    )  # fmt: skip


def refused_in_one_line(done) -> None:
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_the_name_of_a_netlist_file_runs_nothing(tmp_path):
    (tmp_path / HOSTILE_NAME).write_text(PCSA)
    done = sense(tmp_path, HOSTILE_NAME)
    assert done.returncode in (0, 2), done.stderr
    assert not list(tmp_path.rglob("PWNED"))
    assert done.returncode == 2 or done.stdout.startswith("read +1")


def test_nor_does_it_from_an_experiment(tmp_path):
    (tmp_path / HOSTILE_NAME).write_text(PCSA)
    name = HOSTILE_NAME.replace("\n", "\\n")
    (tmp_path / "mine.toml").write_text(
        f'[sense]\nvdd_v = 1.2\nnetlist = "{name}"\n[errors]\nmax_samples = 10\n'
    )
    done = rramsim(tmp_path, "run", "mine.toml", "--out", "out", "--stage", "sweep")
    assert done.returncode in (0, 2), done.stderr
    assert not list(tmp_path.rglob("PWNED"))


@pytest.mark.parametrize("tail", ["", "&", "$"])
@pytest.mark.parametrize("old", ["mfoot", "mn1"])
def test_the_name_of_a_transistor_writes_no_file(tmp_path, old, tail):
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    (tmp_path / "own.spice").write_text(PCSA.replace(f"\n{old} ", f"\n{old}>{victim}{tail} "))
    refused_in_one_line(sense(tmp_path, "own.spice"))
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("place", ["node", "model", "value"])
def test_nor_does_any_other_word_of_a_netlist(tmp_path, place):
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    old, new = {
        "node": ("\nmfoot sl sen", f"\nmfoot sl>{victim} sen"),
        "model": ("vss vss nch w=2u l=0.5u", f"vss vss nch>{victim} w=2u l=0.5u"),
        "value": ("l=0.5u", f"l=0.5u>{victim}"),
    }[place]
    assert old in PCSA
    (tmp_path / "own.spice").write_text(PCSA.replace(old, new))
    refused_in_one_line(sense(tmp_path, "own.spice"))
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("parameter", ["toxe>{victim}&", "", "toxe;quit", "toxe\\nquit", "to xe"])
def test_a_mismatch_parameter_writes_no_file(tmp_path, parameter):
    victim = tmp_path / "thesis.txt"
    victim.write_text("years of work")
    parameter = parameter.format(victim=victim)
    tt = (netlists_folder() / "processes/sky130-5v/tt.spice").read_text()
    process = (netlists_folder() / "processes/sky130-5v/process.toml").read_text()
    nmos = next(line for line in process.splitlines() if line.startswith("nmos"))
    pmos = next(line for line in process.splitlines() if line.startswith("pmos"))
    device = nmos.split('"')[1]
    entry = f'model = "{device}"\nparameter = "{parameter}"\nkind = "relative"\nslope_um = 0.02\n'
    if "\\" not in parameter and parameter:
        tt = tt.replace("toxe", parameter)
    (tmp_path / "tt.spice").write_text(tt)
    (tmp_path / "cards.toml").write_text(
        f'[process]\ncards = ["tt.spice"]\n{nmos}\n{pmos}\n[[process.mismatch]]\n{entry}'
        "[sense]\nvdd_v = 1.2\n[errors]\nmax_samples = 10\n"
    )
    refused_in_one_line(rramsim(tmp_path, "run", "cards.toml", "--out", "out", "--stage", "sweep"))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "tt.spice").write_text(tt)
    (folder / "process.toml").write_text(
        f'{nmos}\n{pmos}\n[corners]\ntt = "tt.spice"\n[[mismatch]]\n{entry}'
    )
    (tmp_path / "folder.toml").write_text(
        '[process]\nfolder = "mine"\n[sense]\nvdd_v = 1.2\n[errors]\nmax_samples = 10\n'
    )
    refused_in_one_line(
        rramsim(tmp_path, "run", "folder.toml", "--out", "out2", "--stage", "sweep")
    )
    assert victim.read_text() == "years of work"


@pytest.mark.parametrize("variable", ["SPICE_SCRIPTS", "SPICE_LIB_DIR"])
def test_no_start_up_script_that_the_environment_names_is_run(tmp_path, variable):
    scripts = tmp_path / "lib"
    (scripts / "scripts").mkdir(parents=True)
    for folder in (scripts, scripts / "scripts"):
        (folder / "spinit").write_text(f"shell touch {tmp_path}/PWNED\n")
    (tmp_path / "own.spice").write_text(PCSA)
    done = sense(tmp_path, "own.spice", **{variable: str(scripts)})
    assert done.stdout.startswith("read +1"), done.stderr
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("control", ["\x1b[31m", "\x9b31m", "\u202e", "\x07"])
@pytest.mark.parametrize("there", [True, False])
def test_no_name_controls_a_terminal(tmp_path, control, there):
    name = f"amp{control}.spice"
    if there:
        (tmp_path / name).write_text("* \x1b]0;title\x07\n")
    done = sense(tmp_path, name)
    refused_in_one_line(done)
    assert "amp" in done.stderr and control not in done.stderr


@pytest.mark.parametrize("kind", ["device", "pipe"])
@pytest.mark.parametrize("what", ["verify", "shifts", "weights"])
def test_what_never_ends_is_not_read(tmp_path, what, kind):
    name = {"verify": "provenance.json", "shifts": "corners.csv", "weights": "w.npz"}[what]
    endless = tmp_path / name
    if kind == "device":
        endless.symlink_to("/dev/zero")
    else:
        os.mkfifo(endless)
    (tmp_path / "own.spice").write_text(PCSA)
    (tmp_path / "mine.py").write_text(
        "import torch\n\n\ndef build(weights='binary'):\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
    )
    (tmp_path / "mine.toml").write_text(
        "[sense]\nvdd_v = 1.2\n[errors]\nmax_samples = 10\n"
        '[network]\nmodule = "mine:build"\nweights_file = "w.npz"\n[training]\ndata = "digits"\n'
    )
    arguments = {
        "verify": ("verify", "."),
        "shifts": ("sense", "--vdd", 1.2, "--r-bl", "10k", "--r-blb", "350k", "--shifts", name),
        "weights": ("run", "mine.toml", "--out", "out", "--allow-module", "--stage", "train"),
    }[what]
    done = rramsim(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.rstrip().endswith(f"{name}: is not a regular file")
