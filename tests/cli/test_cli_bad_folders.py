"""Folders and archives that are not what they should be: refused in one line, nothing written."""

import io
import os
import tarfile

import pytest

from rramsim.cli import app as program

EXPERIMENT = "[errors]\nmax_samples = 1\n[training]\nepochs = 1\n"


@pytest.fixture
def rramsim(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["rramsim", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            program.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return end.value.code, captured.err.splitlines()[-1]

    return run


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(EXPERIMENT)
    return path


def test_an_output_folder_that_cannot_be_made(rramsim, experiment, tmp_path):
    (tmp_path / "file").write_text("in the way")
    status, line = rramsim("sweep", experiment, "--out", tmp_path / "file" / "out")
    assert status == 2 and "cannot write there" in line
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_may_not_be_written(rramsim, experiment, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    status, line = rramsim("sweep", experiment, "--out", folder)
    assert status == 2 and "cannot write there" in line


@pytest.mark.parametrize("command", ["errors", "tradeoff"])
def test_a_folder_without_results(rramsim, tmp_path, command):
    status, line = rramsim(command, tmp_path)
    assert status == 2 and "make it with" in line
    status, line = rramsim(command, tmp_path / "none")
    assert status == 2 and "no such folder" in line
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_that_is_not_there(rramsim, tmp_path):
    status, line = rramsim("run", tmp_path / "none.toml", "--out", tmp_path / "out")
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
    status, line = rramsim("train", experiment, "--out", tmp_path / "out", "--data", data)
    assert status == 2 and "images.tar.gz" in line
    assert not list(tmp_path.parent.rglob("escaped.jpg"))


def test_a_damaged_archive_and_a_missing_one(rramsim, experiment, tmp_path):
    data = archive(tmp_path / "images.tar.gz", "train/cat/1.jpg")
    data.write_bytes(data.read_bytes()[:30])
    for path in (data, tmp_path / "none.tar.gz"):
        status, line = rramsim("train", experiment, "--out", tmp_path / "out", "--data", path)
        assert status == 2 and path.name in line
