"""`rramsim verify`: what holds, and that every kind of tampering is found."""

import hashlib
import json
import shutil
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rramsim.cli.app import app, main
from rramsim.counting import SenseTally, sense_chunk
from rramsim.durable import RowFile
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.files import folder_lock
from rramsim.learning import load_images
from rramsim.stages import STAGES, RunFolder, run_stages, verify_folder, write_report
from rramsim.stages.chips import ROWS as CHIP_ROWS
from rramsim.stages.errors import ERRORS
from rramsim.stages.folder import PROVENANCE
from rramsim.stages.sweep import ROWS, SENSE, sweep_tasks


@pytest.fixture
def rramsim(monkeypatch, capsys):
    """Run the program here; returns (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["rramsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


@pytest.fixture
def folder(results, tmp_path):
    """A copy of the run, to change."""
    return RunFolder(path=shutil.copytree(results, tmp_path / "run"))


CHOSEN: list[str] | None = None
"""The stages that are done again; all, if None."""


def only(monkeypatch, *stages):
    monkeypatch.setattr(sys.modules[__name__], "CHOSEN", stages)


def verify(folder, **options):
    options = {"data": lambda experiment: load_images("digits"), "stages": CHOSEN} | options
    return verify_folder(folder, **options)


def verdicts(checks, name):
    return [check.verdict for check in checks if check.check == name]


def one(checks, name):
    (found,) = [check for check in checks if check.check == name]
    return found


def state(path):
    """Every file of a folder: its content and when it was changed."""
    return {
        p: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in sorted(path.rglob("*"))
        if p.is_file()
    }


def relist(folder, *names):
    """Make provenance.json agree with changed files: what a forger would do."""
    value = json.loads(PROVENANCE.path(folder).read_text())
    for name in names:
        value["files"][name] = hashlib.sha256((folder.path / name).read_bytes()).hexdigest()
    PROVENANCE.path(folder).write_text(json.dumps(value))


def with_checksum(row):
    """A row, as rramsim writes it."""
    text = json.dumps({k: v for k, v in row.items() if k != "crc32"})[:-1].encode()
    return text + b', "crc32": "%08x"}\n' % zlib.crc32(text)


@pytest.fixture
def files_only(monkeypatch):
    """Without the repeats, which take seconds."""
    only(monkeypatch)


def test_a_run_as_it_was_made_holds_and_is_not_touched(results):
    before = state(results)
    checks = verify(RunFolder(path=results), share=0.05)
    assert {check.verdict for check in checks} == {"holds"}, checks
    assert [c.check for c in checks] == [
        "files", "versions", "circuit", "sweep", "errors", "shares", "boundary", "train",
        "tradeoff", "chips",
    ]  # fmt: skip
    assert state(results) == before


def test_one_bit_changed_in_any_file_is_found(folder, files_only):
    listed = json.loads(PROVENANCE.path(folder).read_text())["files"]
    assert len(listed) > 20
    for name in listed:
        path = folder.path / name
        whole = path.read_bytes()
        content = bytearray(whole)
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        try:
            found = one(verify(folder), "files")
            assert found.verdict == "fails" and name in found.found
        except InputError as error:  # an experiment that cannot be read any more
            assert name == "experiment.json" and name in str(error)
        path.write_bytes(whole)
    assert one(verify(folder), "files").verdict == "holds"


def test_missing_and_strange_files_are_named(folder, files_only):
    (folder.path / "errors.json").unlink()
    (folder.path / "new.csv").write_text("a\n1\n")
    checks = verify(folder)
    assert verdicts(checks, "files") == ["fails", "note"]
    assert "missing: errors.json" in checks[0].found and "new.csv" in checks[1].found


def test_a_count_forged_with_its_checksum_and_hash_is_found(folder, monkeypatch):
    lines = ROWS.path(folder).read_bytes().splitlines(keepends=True)
    row = json.loads(lines[2])
    most = int(np.argmax(row["value"]["count"]))
    other = (most + 1) % 3
    for sums in row["value"].values():  # what one count alone would contradict
        sums[most], sums[other] = sums[other], sums[most]
    lines[2] = with_checksum(row)
    ROWS.path(folder).write_bytes(b"".join(lines))
    relist(folder, "senses.jsonl")
    only(monkeypatch, "sweep")
    found = verify(folder, share=1.0)
    assert one(found, "files").verdict == "holds"
    assert one(found, "sweep").verdict == "fails"
    assert "senses.jsonl" in one(found, "sweep").found
    assert "made again" in one(found, "sweep").found
    # Where the forged row is not among those done again, the dataset tells.
    tries = (one(verify(folder, seed=seed), "sweep") for seed in range(100))
    found = next(check for check in tries if "senses.jsonl" not in check.found)
    assert found.verdict == "fails" and "sense.nc: other values of count" in found.found


@pytest.mark.parametrize(
    ("name", "stage"),
    [("tradeoff.csv", "tradeoff"), ("chips.csv", "chips"), ("errors.json", "errors")],
)
def test_a_table_forged_with_its_hash_is_made_again_otherwise(folder, monkeypatch, name, stage):
    only(monkeypatch, stage)
    path = folder.path / name
    if name.endswith(".csv"):
        table = pd.read_csv(path)
        table.loc[0, "accuracy"] += 0.01
        table.to_csv(path, index=False)
    else:
        value = json.loads(path.read_text())
        value["conditions"][0]["type2"]["events"] += 1
        path.write_text(json.dumps(value))
    relist(folder, name)
    found = one(verify(folder), stage)
    assert found.verdict == "fails" and name in found.found


def test_an_answer_of_a_chip_forged_with_its_hash_is_found(folder, monkeypatch):
    only(monkeypatch, "chips")
    rows = [json.loads(line) for line in CHIP_ROWS.path(folder).read_text().splitlines()]
    rows[3]["value"]["correct"] += 1
    CHIP_ROWS.path(folder).write_bytes(b"".join(with_checksum(row) for row in rows))
    relist(folder, "chips.jsonl")
    found = one(verify(folder, share=1.0), "chips")
    assert found.verdict == "fails" and "value.correct: there" in found.found


def relabel(folder):
    """Give every row the key of a job that does not exist, its checksum and hash done again."""
    rows = [json.loads(line) for line in ROWS.path(folder).read_text().splitlines()]
    for row in rows:
        row["key"] = hashlib.sha256(row["key"].encode()).hexdigest()
    ROWS.path(folder).write_bytes(b"".join(with_checksum(row) for row in rows))
    relist(folder, "senses.jsonl")


def test_rows_that_belong_to_nothing_are_found(folder, monkeypatch):
    only(monkeypatch, "sweep")
    relabel(folder)
    checks = verify(folder)
    assert one(checks, "files").verdict == "holds"
    found = one(checks, "sweep")
    assert found.verdict == "fails" and "needs rows that are not among the 6" in found.found


def test_a_row_taken_away_is_found(folder, monkeypatch):
    only(monkeypatch, "chips")
    lines = CHIP_ROWS.path(folder).read_text().splitlines(keepends=True)
    CHIP_ROWS.path(folder).write_text("".join(lines[:-1]))
    relist(folder, "chips.jsonl")
    found = one(verify(folder), "chips")
    assert found.verdict == "fails" and "needs rows that are not among" in found.found


@pytest.mark.parametrize("which", ["engine", "rramsim"])
def test_rows_of_another_version_are_not_compared(folder, monkeypatch, which):
    only(monkeypatch, "sweep")
    relabel(folder)
    value = json.loads(PROVENANCE.path(folder).read_text())
    (value if which == "engine" else value["versions"])[which] = "0.0.9"
    PROVENANCE.path(folder).write_text(json.dumps(value))
    found = one(verify(folder), "sweep")
    assert found.verdict == "not checked" and f"{which} 0.0.9 then" in found.found
    said = CliRunner().invoke(app, ["verify", str(folder.path), "--stage", "sweep"])
    assert said.exit_code == 0 and "not checked: sweep" in said.output


def test_rows_of_an_earlier_setting_count_for_nothing(folder, monkeypatch):
    """They stay in the file when the experiment is changed, and may be chosen to be done again."""
    only(monkeypatch, "sweep")
    lines = ROWS.path(folder).read_bytes()
    relabel(folder)
    ROWS.path(folder).write_bytes(ROWS.path(folder).read_bytes() + lines)
    relist(folder, "senses.jsonl")
    for seed in range(2):
        found = one(verify(folder, seed=seed, share=0.1), "sweep")
        assert found.verdict == "holds" and "1 of 12 rows done again" in found.found


def test_rows_that_several_workers_sensed_in_vain_are_no_fault(
    small_experiment, tmp_path, monkeypatch
):
    """Chunks that are under way when a task has enough are kept, and others may come again."""
    only(monkeypatch, "sweep")
    file = tmp_path / "small.toml"
    many = "max_samples = 900\nrelative_error = 0.5"
    text = small_experiment.replace("max_samples = 60", many).replace("workers = 1", "workers = 3")
    file.write_text(text.replace("[1.0, 1.2]", "[0.9]"))
    experiment = load_experiment(file)
    folder = RunFolder.create(tmp_path / "run")
    run_stages(experiment, folder, ["sweep"])
    counts = SENSE.need(folder)["count"].sum("read")
    with RowFile(ROWS.path(folder), parse=SenseTally.from_value) as rows:
        for task in sweep_tasks(experiment):
            at = {"vdd": task.conditions.vdd_v, "written": task.written}
            chunk = int(counts.sel(at).item()) // 100
            job = task.job(chunk, 100)
            if chunk < 9 and job.key not in rows.rows:
                rows.append(job.key, job.name, sense_chunk(task, chunk).to_value())
        assert sum(tally.samples for tally in rows.rows.values()) > counts.sum()
    relist(folder, "senses.jsonl")
    found = one(verify(folder, share=0.5), "sweep")
    assert found.verdict == "holds", found


def test_other_images_are_not_used(folder, monkeypatch):
    only(monkeypatch, "tradeoff", "chips")

    def missing(experiment):
        raise InputError("no such data")

    checks = verify(folder, data=missing)
    assert one(checks, "tradeoff").verdict == "not checked"
    assert "no such data" in one(checks, "tradeoff").found
    few = load_images("digits").subset(train=300, test=100)
    found = one(verify(folder, data=lambda experiment: few), "chips")
    assert found.verdict == "not checked" and "--data" in found.found


def test_files_of_an_older_rramsim_are_read(folder, files_only):
    """Without schema names."""
    for name in ("errors.json", "chips.json", "experiment.json", "provenance.json"):
        value = json.loads((folder.path / name).read_text())
        for key in ("schema", "schemas", "commands"):
            value.pop(key, None)
        (folder.path / name).write_text(json.dumps(value))
    relist(folder, "errors.json", "chips.json", "experiment.json")
    assert {check.verdict for check in verify(folder)} == {"holds"}
    assert write_report(folder).path.is_file()


@pytest.mark.parametrize("name", ["errors.json", "chips.json", "provenance.json"])
def test_files_of_a_newer_rramsim_are_refused(folder, name):
    value = json.loads((folder.path / name).read_text())
    kind, _, version = value["schema"].rpartition(" ")
    value["schema"] = f"{kind} {int(version) + 1}"
    (folder.path / name).write_text(json.dumps(value))
    with pytest.raises(InputError, match=rf"{name}: written by a newer rramsim"):
        write_report(folder)


def test_a_newer_table_fails(folder, files_only):
    value = json.loads(PROVENANCE.path(folder).read_text())
    assert value["schemas"]["tradeoff.csv"] == "rramsim tradeoff 1"
    value["schemas"]["tradeoff.csv"] = "rramsim tradeoff 2"
    PROVENANCE.path(folder).write_text(json.dumps(value))
    found = one(verify(folder), "schemas")
    assert found.verdict == "fails" and "newer" in found.found


def test_the_command_says_what_fails_and_how_it_ends(folder):
    runner = CliRunner()
    command = ["verify", str(folder.path), "--stage", "errors"]
    whole = runner.invoke(app, command)
    assert whole.exit_code == 0 and "nothing found" in whole.output
    ERRORS.path(folder).write_text(ERRORS.path(folder).read_text() + " ")
    changed = runner.invoke(app, [*command, "--json"])
    assert changed.exit_code == 1
    value = json.loads(changed.stdout)
    assert value["holds"] is False
    assert value["checks"][0] == {
        "check": "files", "verdict": "fails", "found": "changed: errors.json",
    }  # fmt: skip


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_a_folder_in_use_is_refused(folder, small_experiment, tmp_path, rramsim, stage):
    file = tmp_path / "small.toml"
    file.write_text(small_experiment)
    with folder_lock(folder.path):
        code, _, err = rramsim("run", file, "--out", folder.path, "--stage", stage)
    assert code == 2 and "another run is writing there" in err


def test_bad_input_is_one_line(rramsim, tmp_path, folder):
    for arguments, words in (
        ((tmp_path / "none",), "no such folder"),
        ((tmp_path,), "provenance.json: not there"),
        ((folder.path, "--share", "0"), "--share 0: must be above 0"),
        ((folder.path, "--share", "nan"), "--share nan: must be above 0"),
    ):
        code, out, err = rramsim("verify", *arguments)
        assert code == 2 and not out and words in err and len(err.splitlines()) == 1
    PROVENANCE.path(folder).write_text('{"files": 3}')
    code, _, err = rramsim("verify", folder.path)
    assert code == 2 and "provenance.json: damaged" in err


def test_every_stage_that_leaves_results_leaves_provenance(rramsim, tmp_path, small_experiment):
    file = tmp_path / "small.toml"
    file.write_text(small_experiment.replace("max_samples = 60", "max_samples = 4"))
    out = tmp_path / "out"

    def provenance(stage):
        assert rramsim("run", file, "--out", out, "--stage", stage)[0] == 0
        return json.loads((out / "provenance.json").read_text())

    provenance("sweep")
    value = provenance("errors")
    assert [command[-1] for command in value["commands"]] == ["sweep", "errors"]
    assert {"senses.jsonl", "sense.nc", "errors.json"} <= set(value["files"])
    assert value["data"] == {"label": "none"}
    provenance("train")
    assert provenance("errors")["data"]["label"] == load_images("digits").label


def test_an_epoch_forged_with_its_hash_is_found(folder, monkeypatch):
    """In the table, and in the checkpoint that the table is made from."""
    only(monkeypatch, "train")
    path = folder.path / "training.csv"
    table = pd.read_csv(path)
    table.loc[1, "test_accuracy"] += 0.002
    table.to_csv(path, index=False)
    relist(folder, "training.csv")
    found = one(verify(folder), "train")
    assert found.verdict == "fails" and "training.csv" in found.found
