"""What the code imports is what `pyproject.toml` declares."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from rramsim.imports import EXTRAS

ROOT = Path(__file__).parents[2]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement):
    return requirement.split(">")[0].split("[")[0].strip().lower().replace("_", "-")


def imported(folder):
    """Top-level packages that the modules of a folder import, with a place for each."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], path.relative_to(ROOT).as_posix())
    own = {"rramsim", "benchmarks", "tests"}
    return {k: v for k, v in found.items() if k not in sys.stdlib_module_names and k not in own}


def test_every_import_is_declared():
    value = project()
    plain = {name_of(r) for r in value["dependencies"]}
    extras = {k: {name_of(r) for r in v} for k, v in value["optional-dependencies"].items()}
    distributions = packages_distributions()
    for name, place in imported(ROOT / "rramsim").items():
        providers = {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
        wanted = extras[EXTRAS[name]] if name in EXTRAS else plain
        assert providers & wanted, f"{place} imports {name}, which is not declared"


def test_every_declared_dependency_is_imported():
    distributions = packages_distributions()
    used = {
        d.lower().replace("_", "-")
        for name in imported(ROOT / "rramsim")
        for d in distributions.get(name, [name])
    }
    # netCDF4 is xarray's engine, named by a string.
    unused = {name_of(r) for r in project()["dependencies"]} - used - {"netcdf4"}
    assert not unused


def test_every_declared_dependency_is_pinned():
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    value = project()
    declared = [*value["dependencies"], *value["optional-dependencies"]["dev"]]
    assert {name_of(r) for r in declared} <= pins
