"""Folders and archives that are not what they should be: refused in one line, nothing written."""

import io
import os
import tarfile

import pytest

EXPERIMENT = "[errors]\nmax_samples = 1\n[training]\nepochs = 1\n"


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(EXPERIMENT)
    return path


def test_an_output_folder_that_cannot_be_made(rramsim, experiment, tmp_path):
    (tmp_path / "file").write_text("in the way")
    status, _, line = rramsim("run", experiment, "--out", tmp_path / "file" / "out")
    assert status == 2 and "cannot write there" in line
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_may_not_be_written(rramsim, experiment, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    status, _, line = rramsim("run", experiment, "--out", folder)
    assert status == 2 and "cannot write there" in line


def test_a_folder_without_results(rramsim, tmp_path, experiment):
    status, _, line = rramsim("tradeoff", tmp_path)
    assert status == 2 and "experiment.json: not there; make it with" in line
    status, _, line = rramsim("tradeoff", tmp_path / "none")
    assert status == 2 and "no such folder" in line
    status, _, line = rramsim("run", experiment, "--out", tmp_path / "out", "--stage", "errors")
    assert status == 2 and "sense.nc: not there; make it with 'rramsim run" in line
    assert "--stage sweep" in line and list((tmp_path / "out").iterdir()) == []


def test_a_report_of_what_is_no_run(rramsim, tmp_path):
    for folder, message in ((tmp_path / "none", "no such folder"), (tmp_path, "holds no results")):
        status, out, line = rramsim("report", folder)
        assert status == 2 and message in line and line.count("\n") == 1 and not out
    (tmp_path / "errors.json").write_text("{}")
    status, _, line = rramsim("report", tmp_path)
    assert status == 2 and "errors.json: damaged (engine: Field required)" in line
    assert [p.name for p in tmp_path.iterdir()] == ["errors.json"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["costs", "gates", "--out", "/no/folder/gates.csv"],
        ["rate", "--vdd", "1.2", "--type", "1", "--corners", "/no/folder/parts.csv"],
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(rramsim, arguments):
    status, out, line = rramsim(*arguments)
    assert status == 2 and out == ""
    # One line: no progress of a work that was begun stands before it.
    assert line.strip().count("\n") == 0
    assert "cannot be written (No such file or directory)" in line


def test_an_experiment_that_is_not_there(rramsim, tmp_path):
    status, _, line = rramsim("run", tmp_path / "none.toml", "--out", tmp_path / "out")
    assert status == 2 and "none.toml: cannot read an experiment" in line
    assert not (tmp_path / "out").exists()


def archive(path, name, content=b"x"):
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../escaped.jpg", "/escaped.jpg", "train/../../escaped.jpg"])
def test_an_archive_that_climbs_out_of_its_folder(rramsim, experiment, tmp_path, name):
    data = archive(tmp_path / "images.tar.gz", name)
    status, _, line = rramsim("run", experiment, "--out", tmp_path / "out", "--data", data)
    assert status == 2 and "images.tar.gz" in line
    assert not list(tmp_path.parent.rglob("escaped.jpg"))


def test_a_damaged_archive_and_a_missing_one(rramsim, experiment, tmp_path):
    data = archive(tmp_path / "images.tar.gz", "train/cat/1.jpg")
    data.write_bytes(data.read_bytes()[:30])
    for path in (data, tmp_path / "none.tar.gz"):
        status, _, line = rramsim("run", experiment, "--out", tmp_path / "out", "--data", path)
        assert status == 2 and path.name in line
