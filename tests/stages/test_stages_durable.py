"""Every stage's rows, locks and workers: nothing changed, lost or left behind goes unsaid."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.files import folder_lock
from rramsim.learning import load_images
from rramsim.stages import STAGES, RunFolder, run_stages

WITH_ROWS = [stage.name for stage in STAGES if stage.rows]

SMALL = """
[sense]
vdd_v = 1.1
[errors]
engine = "batch"
certify_samples = 0
max_samples = 100
boundary_draws = 20
workers = 1
[network]
architecture = "mlp"
width = 8
[training]
data = "digits"
epochs = 1
[test]
draws = 1
images = 50
[tolerance]
seeds = [1, 2]
rates = [0.1]
types = [1]
train_rates = ["none"]
[chips]
count = 20
surface_points = 350
images = 50
"""


@pytest.mark.parametrize("name", ["senses", "shares", "evaluations", "chips"])
def test_one_letter_or_digit_changed_in_a_row_is_found(results, tmp_path, name):
    folder = RunFolder(path=Path(shutil.copytree(results, tmp_path / "out")))
    (stage,) = [s for s in STAGES if s.rows and s.rows.name == f"{name}.jsonl" and s.of_run] or [
        s for s in STAGES if s.rows and s.rows.name == f"{name}.jsonl"
    ]
    path = stage.rows.path(folder)
    whole = path.read_bytes()
    place = whole.index(b'"value"') + 30
    while not chr(whole[place]).isalnum():
        place += 1
    changed = bytearray(whole)
    changed[place] = ord("7") if whole[place] != ord("7") else ord("8")
    path.write_bytes(bytes(changed))
    with pytest.raises(InputError, match=rf"{name}.jsonl line 1: .*checksum does not fit"):
        run_stages(folder.load_experiment(), folder, [stage], images=lambda: load_images("digits"))
    assert path.read_bytes() == bytes(changed)


def small(path, text=SMALL):
    path.write_text(text)
    return load_experiment(path)


@pytest.mark.parametrize("rule", ["backprop", "ep"])
def test_two_trainings_in_one_folder_are_one(tmp_path, rule):
    text = '[training]\nrule = "ep"\ndata = "digits"\nepochs = 1\n' if rule == "ep" else SMALL
    experiment, folder = small(tmp_path / "e.toml", text), RunFolder.create(tmp_path / "out")
    with (
        folder_lock(folder.path),
        pytest.raises(InputError, match="another run is writing there"),
    ):
        run_stages(experiment, folder, ["train"], images=lambda: load_images("digits"))
    assert list(folder.path.iterdir()) == []


@pytest.mark.slow
def test_map_tolerance_and_chips_on_dask_with_a_worker_killed_are_those_alone(tmp_path, cluster):
    tables = ("ber_map.csv", "tolerance.csv", "chips.csv", "training.csv", "boundary.csv")
    stages = ("train", "map", "boundary", "tolerance", "chips")
    experiment = small(tmp_path / "e.toml")
    here, there = (RunFolder.create(tmp_path / name) for name in ("here", "there"))

    def run(experiment, folder, **options):
        return run_stages(
            experiment, folder, stages, images=lambda: load_images("digits"), **options
        )

    run(experiment, here)
    with cluster(tmp_path, workers=2) as (address, workers, _):
        began = time.monotonic()

        def killed():
            if time.monotonic() > began + 20 and workers[0].poll() is None:
                workers[0].send_signal(signal.SIGKILL)

        from contextlib import nullcontext

        run(
            experiment.with_scheduler(address), there,
            progress=lambda stage: nullcontext(lambda done, total, note: killed()),
        )  # fmt: skip
        assert workers[0].poll() == -signal.SIGKILL
    for name in tables:
        mine, theirs = ((folder.path / name).read_text() for folder in (here, there))
        if name == "training.csv":  # the seconds of an epoch are no result
            mine, theirs = (
                [line.split(",")[:7] for line in text.splitlines()] for text in (mine, theirs)
            )
        assert mine == theirs, name


def command(*arguments, **options):
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", "rramsim", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def descendants(pid):
    found = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [d for child in found for d in descendants(child)]


@pytest.mark.parametrize(("stage", "how"), [("map", signal.SIGKILL), ("tolerance", signal.SIGTERM)])
def test_a_command_that_is_killed_leaves_nothing_and_goes_on(tmp_path, stage, how):
    text = SMALL.replace("workers = 1", "workers = 2").replace("epochs = 1", "epochs = 40")
    (tmp_path / "e.toml").write_text(text)
    run = command("run", tmp_path / "e.toml", "--out", tmp_path / "out", "--stage", stage)
    deadline = time.monotonic() + 120
    workers: list[int] = []
    while len(workers) < 2:
        assert time.monotonic() < deadline and run.poll() is None
        workers = descendants(run.pid)
        time.sleep(0.2)
    time.sleep(3)
    run.send_signal(how)
    run.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its command"
        time.sleep(0.1)


def test_a_worker_of_a_map_that_is_killed_loses_nothing(tmp_path):
    text = SMALL.replace("workers = 1", "workers = 2")
    (tmp_path / "e.toml").write_text(text)
    run = command("run", tmp_path / "e.toml", "--out", tmp_path / "out", "--stage", "map")
    deadline = time.monotonic() + 120
    while not (workers := descendants(run.pid)):
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.2)
    time.sleep(2)
    os.kill(workers[0], signal.SIGKILL)
    assert run.wait(timeout=300) == 0
    assert len((tmp_path / "out" / "ber_map.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("kilobytes", [3, 24])
def test_a_full_disk_is_one_line_and_keeps_what_was_done(tmp_path, kilobytes):
    """No file may grow beyond a size: what a disk that is full does, without one."""
    (tmp_path / "e.toml").write_text(SMALL)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({1024 * kilobytes},)*2)"
    code = (
        f"{limit}\nimport sys\nsys.argv = ['rramsim', 'run', sys.argv[1], '--out', sys.argv[2]]\n"
        "from rramsim.cli import main\nmain()\n"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "e.toml", tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": paths, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    *_, line = ran.stderr.strip().splitlines()
    assert ran.returncode == 1 and "Traceback" not in ran.stderr
    assert line.startswith("rramsim: ") and "the largest size of a file is reached" in line
    assert not list((tmp_path / "out").glob(".partial-*"))
