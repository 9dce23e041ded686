"""A whole run on real parts, small: netlist, ngspice, digits, networks, trade-off; then resumed."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest

from rramsim.experiment import load_experiment
from rramsim.stages import RunFolder, run_stages
from rramsim.stages.report import write_report

EXPERIMENT = """
[device]
hrs_median_ohm = "200k"
[sense]
vdd_v = [0.95, 1.1]
[errors]
max_samples = 60
max_step_s = "5n"
workers = 1
[network]
architecture = "mlp"
width = 32
[training]
data = "digits"
epochs = 4
[test]
draws = 2
"""

FIGURES = (
    "waveforms", "resolve_time", "sense_energy", "errors", "errors_table", "loss",
    "energy_accuracy", "front", "efficiency",
)  # fmt: skip
PROGRAM = [sys.executable, "-c", "from rramsim.cli import main; main()"]


def rramsim(*arguments):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    done = rramsim("run", folder / "experiment.toml", "--out", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_everything_that_is_promised_is_there(finished):
    folder, value = finished
    out = folder / "out"
    for name in ("sense.nc", "errors.json", "training.csv", "tradeoff.csv", "provenance.json"):
        assert (out / name).stat().st_size > 0
    for name in FIGURES:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"{name}.svg").read_text()
    assert value["finished"] is True
    assert value["stages"]["report"]["report.html"] == str(out / "report.html")
    assert value["stages"]["tradeoff"]["tradeoff.csv"][0]["data"] == "scikit-learn digits"
    assert "MPRE1" in (out / "report.html").read_text()
    assert len(rows(out / "training.csv")) == 2 * 4
    assert len(rows(out / "tradeoff.csv")) == 2 * 2
    assert not list(out.rglob(".partial-*"))


def test_a_lower_supply_costs_less_and_errs_more(finished):
    folder, _ = finished
    table = {(r["weights"], float(r["vdd_v"])): r for r in rows(folder / "out" / "tradeoff.csv")}
    for weights in ("binary", "ternary"):
        low, high = table[weights, 0.95], table[weights, 1.1]
        assert float(low["energy_once_j"]) < 0.7 * float(high["energy_once_j"])
        assert float(low["type2"]) > 0.2 > 0.05 > float(high["type2"])
        assert float(low["accuracy"]) < float(high["accuracy"])
        assert float(low["accuracy_low"]) <= float(low["accuracy"]) <= float(low["accuracy_high"])


def test_provenance_names_versions_seeds_and_hashes(finished):
    folder, _ = finished
    value = json.loads((folder / "out" / "provenance.json").read_text())
    assert {"numpy", "torch", "ngspice", "rramsim", "python"} <= set(value["versions"])
    assert value["seeds"] == {"errors": 1, "training": 0, "test": 0}
    assert set(value["files"]) >= {"sense.nc", "errors.json", "tradeoff.csv"}
    assert all(len(digest) == 64 for digest in value["files"].values())


def test_a_second_run_changes_no_result(finished):
    folder, _ = finished
    out = folder / "out"
    kept = ("senses.jsonl", "errors.json", "training.csv", "tradeoff.csv", "evaluations.jsonl")
    before = {name: (out / name).read_bytes() for name in kept}
    done = rramsim("run", folder / "experiment.toml", "--out", out)
    assert done.returncode == 0, done.stderr
    assert {name: (out / name).read_bytes() for name in kept} == before


def test_the_stages_alone_give_the_same_as_the_run(finished):
    folder, _ = finished
    out = folder / "stages"
    for stages in (("sweep", "errors", "train"), ("tradeoff",)):
        named = [word for stage in stages for word in ("--stage", stage)]
        assert rramsim("run", folder / "experiment.toml", "--out", out, *named).returncode == 0
        # What the authority answers is the same for ever, and is compared elsewhere.
        shutil.copy(folder / "out" / "rates.jsonl", out)
    for name in ("errors.json", "tradeoff.csv"):
        assert (out / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_what_was_made_from_an_earlier_sweep_is_said_and_made_again(tmp_path):
    path, folder = tmp_path / "experiment.toml", RunFolder.create(tmp_path / "out")
    text = EXPERIMENT.partition("[network]")[0].replace("[0.95, 1.1]", "1.1")

    def page(samples, *stages):
        path.write_text(text.replace("max_samples = 60", f"max_samples = {samples}"))
        run_stages(load_experiment(path), folder, stages)
        return write_report(folder).path.read_text(encoding="utf-8")

    old = "errors.json was made from an earlier sense.nc"
    assert old not in page(10, "sweep", "errors")
    assert old in page(20, "sweep")
    assert old not in page(20, "errors")
