"""Progress where nobody watches a terminal."""

import math
import re
import time

import pytest

from rramsim.cli import progress
from rramsim.durable import Job, Stopped
from rramsim.durable.runner import ThisProcess
from rramsim.experiment import load_experiment
from rramsim.stages import RunFolder, run_stages


def test_a_long_epoch_says_how_far_it_is(tmp_path, monkeypatch, capfd):
    """Every word is printed here; in use, one a minute."""
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    (tmp_path / "own.toml").write_text(
        "[network]\narchitecture = 'mlp'\nwidth = 4\nweights = 'binary'\n[training]\n"
        "data = 'digits'\nepochs = 2\nbatch = 25\n"
    )

    def shown(stage):
        return progress.progress_bar(stage.name, unit=stage.unit)

    run_stages(
        load_experiment(tmp_path / "own.toml"), RunFolder.create(tmp_path / "out"), ("train",),
        progress=shown,
    )  # fmt: skip
    lines = capfd.readouterr().err.splitlines()
    found = [re.match(r"train: ([\d.]+) of 2 epochs, (.*) left mlp", line) for line in lines]
    done = [float(one[1]) for one in found if one]
    assert done == sorted(done)
    assert [value for value in done if not value.is_integer()] == [0.4, 0.7, 1.4, 1.7]
    assert re.fullmatch(r"train: 2 of 2 epochs.*", lines[-1])


def test_another_part_of_a_stage_has_a_rate_of_its_own(monkeypatch, capfd):
    """Here time passes as it is told; 60 s for 18 rates, then 10 s for each of 146 tests."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress.progress_bar("tradeoff", unit="tests") as update:
        for part, seconds in ((18, 60.0), (146, 10.0)):
            for done in range(15):
                update(done, part, "")
                clock[0] += seconds
    lines = capfd.readouterr().err.splitlines()
    assert "tradeoff: 14 of 18 tests, 0.0167 a second, 4 min left" in lines
    assert "tradeoff: 12 of 146 tests, 0.1 a second, 22 min left" in lines


def test_work_is_stopped_where_it_is_saved():
    """Between two words of a part that is under way nothing would be kept."""
    said = []

    class Trained:
        id = "trained"

        def do(self, part, say):
            for value in (0.5, 1, 1.5, 2):
                say(value)

    job = Job(key="one", name="one", shared=Trained(), part=None)
    here = ThisProcess(stop_at_s=time.monotonic() - 1)
    with pytest.raises(Stopped):
        list(here.run(iter([job]), lambda job, value: said.append(value)))
    assert said == [0.5, 1]
    assert math.isinf(ThisProcess().stop_at_s)
