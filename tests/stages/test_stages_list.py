"""One list says it all: a new stage is a module and a line; every file of every stage is known."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import rramsim.cli.app as program
from rramsim.durable import Stopped
from rramsim.experiment import load_experiment
from rramsim.learning import load_images
from rramsim.stages import STAGES, RunFolder, run_stages, verify_folder, write_report
from rramsim.stages.boundary import BOUNDARY
from rramsim.stages.rates import RATES
from rramsim.stages.tolerance import TOLERANCE, TOLERATED

DOCS = Path(__file__).parents[2] / "docs"
TOY = '''
"""Squares of the supplies, a row each."""

from dataclasses import dataclass

from rramsim.durable import Job, RowFile
from rramsim.records import Record
from rramsim.stages.folder import Rows, Table
from rramsim.stages.stage import Stage


class SquareRow(Record):
    vdd_v: float
    square_v2: float


ROWS = Rows(name="squares.jsonl", schema="rramsim squares 1", holds="squares, a line each")
SQUARES = Table(
    name="squares.csv", schema="rramsim squares 1", record=SquareRow, holds="supplies squared"
)


@dataclass(frozen=True)
class Squarer:
    id: str = "square"
    version: str = "1"

    def do(self, part, say):
        return {"vdd_v": part, "square_v2": part**2}


def _run(work):
    jobs = [
        Job(key=f"{vdd_v}", name=f"{vdd_v} V", shared=Squarer(), part=vdd_v)
        for vdd_v in work.experiment.sense.vdd_v
    ]
    with RowFile(ROWS.path(work.folder), parse=lambda row: row) as rows:
        found = work.runner.gather(jobs, rows, safe=True, report=work.report)
    SQUARES.write(work.folder, [found[job.key] for job in jobs])


def _sections(results):
    from rramsim.figures import Section

    rows = results.read(SQUARES)
    return [Section(key="squares", title="Squares", text=f"{len(rows)} squares")]


STAGE = Stage(
    name="squares", title="Squares", answers="How large is a supply squared?", run=_run,
    unit="squares", files=(ROWS, SQUARES), rows=ROWS, sections=_sections,
    summary=lambda folder: [f"{row.square_v2:g}" for row in SQUARES.need(folder)],
)
'''


@pytest.fixture
def toy(tmp_path):
    """The toy's module, loaded from its one file and put into the list by one line."""
    (tmp_path / "toy.py").write_text(TOY)
    spec = importlib.util.spec_from_file_location("toy", tmp_path / "toy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    STAGES.append(module.STAGE)
    program._loaded.cache_clear()
    yield module
    STAGES.remove(module.STAGE)
    program._loaded.cache_clear()


@pytest.fixture
def rramsim(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["rramsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            program.main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def test_a_stage_in_one_file_is_run_resumed_reported_verified_and_told(toy, rramsim, tmp_path):
    file, out = tmp_path / "mine.toml", tmp_path / "out"
    file.write_text("[sense]\nvdd_v = [1.0, 1.1, 1.2]\n[errors]\nworkers = 1\n")
    command = ("run", file, "--out", out, "--stage", "squares")
    status, said, err = rramsim(*command)
    assert status == 0 and said.splitlines()[:3] == ["1", "1.21", "1.44"], err
    assert "squares: 3 of 3 squares" in err
    rows = (out / "squares.jsonl").read_text().splitlines(keepends=True)
    # A row was lost: it alone is made again.
    (out / "squares.jsonl").write_text("".join(rows[:2]))
    status, said, _ = rramsim(*command, "--json")
    value = json.loads(said)
    assert value["stages"]["squares"]["squares.csv"][2] == {"vdd_v": 1.2, "square_v2": 1.44}
    assert (out / "squares.jsonl").read_text().splitlines(keepends=True) == rows
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["schemas"]["squares.csv"] == "rramsim squares 1"
    assert rramsim("report", out)[0] == 0
    page = (out / "report.html").read_text()
    assert "3 squares" in page and "squares.csv" in page
    assert "squares" in rramsim("verify", out, "--share", "1")[1]
    table = (out / "squares.csv").read_text()
    (out / "squares.csv").write_text(table.replace("1.21", "1.22"))
    status, said, _ = rramsim("verify", out, "--json")
    checks = {check["check"]: check for check in json.loads(said)["checks"]}
    assert status == 1 and "squares.csv" in checks["squares"]["found"]
    (out / "squares.csv").write_text(table.replace("1.21", "many"))
    status, _, line = rramsim("report", out)
    assert status == 2 and "squares.csv: damaged (line 3, square_v2:" in line
    assert "How large is a supply squared?" in rramsim("run", "--help")[1]
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    page = reference.files_page()
    assert "## squares \\*\n\nHow large" in page
    assert "### squares.csv" in page and "`square_v2`" in page


CONDITIONS = {"vdd_v": 1.2, "temperature_c": 27.0, "corner": "tt", "window_s": 5e-8}
ALONE = {
    "map": {
        RATES: CONDITIONS | {
            "type": 1, "status": "known", "method": "lines", "rate": 1e-5, "low": 9e-6,
            "high": 1.1e-5, "deviation": 0.1, "missed_high": 1e-6, "senses": 10, "engine": "batch",
            "note": "", "settled": True,
        }
    },
    "boundary": {
        BOUNDARY: CONDITIONS | dict.fromkeys(BOUNDARY.record.model_fields.keys() - CONDITIONS, 5e4)
        | {"draws": 10, "unconverged": 0, "never_zero": 0, "engine": "e", "circuit": "c", "seed": 1}
    },
    "tolerance": {
        TOLERANCE: {
            "network": "n", "weights": "binary", "seed": 0, "trained_with": "none", "data": "d",
            "epochs": 1, "type": 1, "rate": 0.01, "accuracy": 0.8, "lowest": 0.7, "highest": 0.9,
            "draws": 2, "images": 100, "accuracy_without_errors": 0.9,
        },
        TOLERATED: {
            "network": "n", "trained_with": "none", "type": 1, "seeds": 1, "max_loss": 2.0,
            "accuracy_without_errors": 0.9, "tolerated_rate": 0.01, "lowest": 0.01, "highest": 0.01,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("stage", ALONE)
def test_a_folder_of_one_stage_alone_has_a_report(tmp_path, stage):
    folder = RunFolder.create(tmp_path)
    for table, row in ALONE[stage].items():
        table.write(folder, [row])
    assert stage in write_report(folder).present


@pytest.fixture
def whole(results, tmp_path):
    """A copy of the run, with the tables of the stages that it has not."""
    folder = RunFolder(path=shutil.copytree(results, tmp_path / "run"))
    for tables in ALONE.values():
        for table, row in tables.items():
            if not table.path(folder).is_file():
                table.write(folder, [row])
    return folder


def test_every_result_file_of_every_stage_is_in_the_report_and_looked_at_by_verify(whole):
    value = json.loads((whole.path / "provenance.json").read_text())
    page = write_report(whole) and (whole.path / "report.html").read_text()
    for stage in STAGES:
        for file in stage.files:
            if file.name == "wear.csv":  # of another rule of training
                continue
            assert (file.holds and file.path(whole).is_file()) or file is stage.rows, file.name
            assert not file.result or file is stage.rows or f"<td>{file.name}</td>" in page
            assert file.name not in value["files"] or value["schemas"][file.name] == file.schema
    for stage in STAGES:
        for file in stage.made:
            path = file.path(whole)
            if path.is_file() and file.name in value["files"]:
                before = path.read_bytes()
                path.write_bytes(before + b" ")
                checks = verify_folder(whole, data=lambda _: load_images("digits"), stages=[])
                assert checks[0].verdict == "fails" and file.name in checks[0].found
                path.write_bytes(before)


def test_a_run_stops_after_its_time_and_goes_on(tmp_path, small_experiment):
    file = tmp_path / "small.toml"
    file.write_text(small_experiment)
    experiment, folder = load_experiment(file), RunFolder.create(tmp_path / "out")
    with pytest.raises(Stopped):
        run_stages(experiment, folder, ["boundary"], stop_after_s=0.0)
    assert not BOUNDARY.path(folder).is_file()
    run_stages(experiment, folder, ["boundary"])
    assert len(BOUNDARY.need(folder)) == 2
