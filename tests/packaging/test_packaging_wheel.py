"""The wheel: what it carries, what it says, and that it works far from the checkout."""

import email
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Python runs this as it starts. The tests' environment holds more than a user's, and a package that
# is there by accident hides that it is not declared: these modules are not found. find_spec says
# None, as for any missing module, since that is what the program asks.
HIDE = """
import os, sys
from importlib.machinery import PathFinder

HIDDEN = frozenset({hidden!r}) - set(os.environ.get("SHOWN", "").split(","))


class Declared(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Declared
"""
IMPORT_ALL = """
import importlib, pkgutil, sys
import rramsim
names = [m.name for m in pkgutil.walk_packages(rramsim.__path__, "rramsim.")]
missing = set()
for name in names:
    try:
        if not name.endswith(".__main__"):
            importlib.import_module(name)
    except ImportError as error:
        missing.add(f"{name}:{error.name}")
print(len(names), ",".join(sorted(missing)), rramsim.__file__)
"""


def plain_name(text):
    """Of a requirement or a distribution, as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", text).group()).lower()


def plain_requirements(wheel, extra=None):
    with zipfile.ZipFile(wheel) as archive:
        info = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(info))
    wanted = metadata.get_all("Requires-Dist")
    return [r for r in wanted if "extra ==" not in r or (extra and f"extra == '{extra}'" in r)]


def undeclared(wheel, extra=None):
    """Importable packages that the wheel's dependencies do not bring, nor what they need."""
    brought, todo = {"rramsim"}, [plain_name(r) for r in plain_requirements(wheel, extra)]
    while todo:
        name = todo.pop()
        if name in brought:
            continue
        brought.add(name)
        try:
            wanted = requires(name) or []
        except PackageNotFoundError:  # of another system or another Python
            continue
        todo += [plain_name(r) for r in wanted if "extra ==" not in r]
    found = packages_distributions().items()
    return {name for name, by in found if brought.isdisjoint(map(plain_name, by))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built once, from the source distribution, as a release is."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = out.glob("*.whl")
    assert len(list(out.glob("*.tar.gz"))) == 1
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel's files in a folder of their own, with nothing undeclared to import."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-compile", "--target", target, wheel],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    hidden = sorted(undeclared(wheel))
    assert {"pyarrow", "distributed", "starlette", "pytest", "torch"} <= set(hidden)
    assert not {"rramsim", "pandas", "PySpice"} & set(hidden)
    (target / "sitecustomize.py").write_text(HIDE.format(hidden=hidden))
    return target


@pytest.fixture
def rramsim(installed, tmp_path):
    """Run the installed program in an empty folder, and make sure that it is that one."""

    def run(*arguments, **environment):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RRAMSIM", "PYTEST"))}
        env |= {"PYTHONPATH": str(installed), "COLUMNS": "200", **environment}
        return subprocess.run(
            [sys.executable, "-m", "rramsim", *map(str, arguments)],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    return run


def test_the_wheel_carries_what_the_program_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in (
        "rramsim/py.typed",
        "rramsim/netlists/pcsa.spice",
        "rramsim/netlists/gates/xnor2.spice",
        "rramsim/netlists/processes/sky130-5v/NOTICE",
        "rramsim/costs/gates_sky130-5v.csv",
    ):
        assert name in names, name
    # Everything of the package's folder that is tracked, templates and styles included.
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "rramsim").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there <= names
    outside = {name.split("/")[0] for name in names}
    assert len(outside) == 2 and "rramsim" in outside  # beside it only the dist-info


def test_the_metadata_are_true(wheel):
    with zipfile.ZipFile(wheel) as archive:
        info = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(info))
        licences = [n for n in archive.namelist() if "/licenses/" in n]
    assert metadata["Name"] == "rramsim" and metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "GPL-3.0-or-later"
    assert any(n.endswith("/LICENSE") for n in licences)
    assert any(n.endswith("sky130-5v/NOTICE") for n in licences)
    assert {"cluster", "explore", "networks", "onnx", "parquet", "dev"} == set(
        metadata.get_all("Provides-Extra")
    )
    plain = plain_requirements(wheel)
    assert not any(
        r.startswith(("torch", "pyarrow", "distributed", "starlette", "pytest")) for r in plain
    )
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_program_runs_from_the_wheel(rramsim, installed, tmp_path):
    version = rramsim("--version")
    assert version.returncode == 0 and version.stdout.startswith("rramsim ")
    where = subprocess.run(
        [sys.executable, "-c", "import rramsim; print(rramsim.__file__)"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.strip() == str(installed / "rramsim" / "__init__.py")
    sensed = rramsim("sense", "--r-bl", "10e3", "--r-blb", "300e3", "--vdd", "1.2", "--json")
    assert sensed.returncode == 0 and '"read": 1' in sensed.stdout, sensed.stderr
    doctor = rramsim("doctor")
    assert doctor.returncode == 2 and doctor.stdout.count("BAD") == 1, doctor.stdout + doctor.stderr
    assert "BAD torch    torch is not installed: pip install torch" in doctor.stdout
    made = rramsim("init", "mine.toml")
    assert made.returncode == 0 and (tmp_path / "mine.toml").is_file(), made.stderr


def test_every_module_is_importable_with_what_is_declared(installed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    count, missing, where = done.stdout.split()
    assert int(count) > 100 and Path(where).is_relative_to(installed)
    # What extras bring is imported once it is found to be there: networks, the explorer's server.
    places = {name.split(".")[1] + ":" + name.partition(":")[2] for name in missing.split(",")}
    packages = ("nn", "networks", "learning", "costs", "chips", "explore", "stages", "cli")
    assert places <= {f"{package}:torch" for package in packages} | {"explore:uvicorn"}


def test_parquet_without_its_extra_is_refused_in_one_line(rramsim, tmp_path):
    (tmp_path / "cells.parquet").touch()
    done = rramsim("devices", "fit", "cells.parquet")
    assert done.returncode == 2 and "pip install pyarrow" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("stages", [(), ("--stage", "train"), ("--stage", "chips")])
def test_networks_without_their_extra_are_refused_in_one_line(rramsim, tmp_path, stages):
    # A whole run cannot have its [chips] here: nothing is said of it before the refusal.
    chips = "[chips]\ncount = 4\n" if "chips" in stages else ""
    (tmp_path / "tiny.toml").write_text(f'[training]\ndata = "digits"\n{chips}')
    done = rramsim("run", "tiny.toml", "--out", "out", *stages)
    assert done.returncode == 2 and "pip install torch" in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out" / "sense.nc").exists()  # before any work is done


def test_an_experiment_runs_from_the_wheel(rramsim, wheel, tmp_path):
    networks = ",".join(undeclared(wheel) - undeclared(wheel, "networks"))
    (tmp_path / "tiny.toml").write_text(
        '[sense]\nvdd_v = 1.2\n[errors]\nengine = "ngspice"\nmax_samples = 3\nworkers = 1\n'
        '[network]\narchitecture = "mlp"\nwidth = 4\n[training]\ndata = "digits"\nepochs = 1\n'
        "min_steps = 1\n[test]\ndraws = 1\nimages = 20\n"
    )
    done = rramsim("run", "tiny.toml", "--out", "out", SHOWN=networks)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()


def test_it_runs_where_nothing_can_be_cached(installed, wheel):
    """An installation of somebody else's and a user without a home: numba keeps nothing."""
    module = "rramsim.networks.weight_errors"
    code = f"from {module} import _draw_each as f; print(type(f).__name__, f._cache)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PYTHONPATH": str(installed), "PATH": os.environ["PATH"],
            "SHOWN": ",".join(undeclared(wheel)),
            # Names of folders that cannot be made, whoever asks.
            "HOME": "/dev/null/none", "XDG_CACHE_HOME": "/dev/null/none",
            "NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator",
        },
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CPUDispatcher" in done.stdout and "NullCache" in done.stdout
