"""What a command does not need it does not import; importing changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("scipy", "numba", "pandas", "torch", "xarray", "matplotlib", "netCDF4", "PIL", "sklearn")
PROGRAM = """
import json, sys
from rramsim.cli import main
sys.argv[1:] = json.loads(sys.argv[1])
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.__stdout__)
"""


def _loaded_by(arguments: list[str], folder: Path) -> tuple[int, set[str], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(arguments)],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    status, modules = json.loads(done.stdout.splitlines()[-1])
    return status, {name.split(".")[0] for name in modules}, done.stderr


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--version"], {"numpy", *HEAVY}),
        (["--help"], {"numpy", *HEAVY}),
        (["run", "--help"], {*HEAVY}),  # it lists the stages, and these know experiments
    ],
)
def test_help_and_version_need_nothing_heavy(arguments, without, tmp_path):
    status, loaded, _ = _loaded_by(arguments, tmp_path)
    assert status == 0
    assert not loaded & without


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("[sense]\nvdd = 1.2\n", "[sense] vdd: unknown"),
        ("[column]\nrows = 'many'\n", "[column] rows = 'many'"),
        ("[test]\ndraws = 0\n", "[test] draws = 0"),
        ("[column]\nthreshold = 7\n", "threshold = 7"),
        ("[sense]\nvdd_v = -1.2\n", "-1.2"),
    ],
)
def test_a_wrong_experiment_is_refused_before_anything_heavy_loads(text, said, tmp_path):
    if text is not None:
        (tmp_path / "mine.toml").write_text(text)
    status, loaded, errors = _loaded_by(["run", "mine.toml", "--out", "out"], tmp_path)
    assert (status, said in errors) == (2, True), errors
    assert not loaded & set(HEAVY)


def test_one_sense_in_ngspice_needs_neither_statistics_nor_networks(tmp_path):
    # PySpice imports what it imports; rramsim adds none of these.
    arguments = ["sense", "--vdd", "1.2", "--r-bl", "10k", "--r-blb", "350k"]
    status, loaded, _ = _loaded_by(arguments, tmp_path)
    assert status == 0
    assert not loaded & {"numba", "pandas", "torch", "xarray", "netCDF4", "sklearn"}


IMPORT_ALL = """
import importlib, json, logging, os, pkgutil, sys, warnings
import torch, matplotlib, numpy
def state():
    return [
        dict(os.environ), os.getcwd(), torch.get_num_threads(), str(torch.get_default_dtype()),
        logging.getLogger().level, len(logging.getLogger().handlers), len(warnings.filters),
        matplotlib.get_backend(auto_select=False), numpy.geterr(), sys.getrecursionlimit(),
    ]
import PySpice.Spice.NgSpice.Shared, numba, sympy, sklearn, scipy.stats, pandas, xarray, PIL.Image
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.getcwd())  # torch's own doing
before = state()
import rramsim
for found in pkgutil.walk_packages(rramsim.__path__, "rramsim."):
    if found.name != "rramsim.__main__":
        importlib.import_module(found.name)
print(json.dumps([before, state()]))
"""


def test_importing_every_module_changes_no_global_state(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        env=os.environ | {"HOME": "/nonexistent", "OMP_THREAD_LIMIT": "1"},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert before == after
