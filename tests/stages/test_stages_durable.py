"""Every stage's rows, locks, workers and disk: nothing changed, lost or left behind goes unsaid."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from rramsim.exceptions import InputError, MachineError
from rramsim.experiment import Experiment, load_experiment
from rramsim.files import folder_lock
from rramsim.learning import load_images
from rramsim.stages import STAGES, RunFolder, run_stages
from rramsim.stages.folder import Rows
from rramsim.stages.stage import Work
from rramsim.stages.verify import compared_files

LONG = ("map", "chips", "tolerance", "tradeoff")
"""Stages of more than a few seconds: the others are tried in every run of the tests."""
EACH = [pytest.param(s, id=s.name, marks=[pytest.mark.slow] * (s.name in LONG)) for s in STAGES]
ALONE = ("map", "tolerance")
"""Stages that the tests' run does not have."""
RULES = get_args(Experiment.model_fields["training"].annotation.model_fields["rule"].annotation)


def digits():
    return load_images("digits")


@pytest.fixture(scope="session")
def whole(results, small_experiment, tmp_path_factory):
    """A folder with every stage, and the experiment that made it."""
    folder = RunFolder(path=Path(shutil.copytree(results, tmp_path_factory.mktemp("w") / "whole")))
    file = folder.path.parent / "small.toml"
    file.write_text(small_experiment)
    run_stages(load_experiment(file), folder, ALONE, images=digits)
    return folder


@pytest.fixture
def made(request, stage, results):
    """A folder that holds what the stage makes."""
    return request.getfixturevalue("whole") if stage.name in ALONE else RunFolder(path=results)


def without(stage, made, path, *, copy="out"):
    """A copy of a folder without what a stage makes."""
    folder = RunFolder(path=Path(shutil.copytree(made.path, path / copy)))
    for file in stage.files:
        file.path(folder).unlink(missing_ok=True)
    if stage.name in ("train", "tolerance"):
        shutil.rmtree(folder.networks)
    return folder


def differences(stage, made, folder):
    found = compared_files([f for f in stage.made if f.name.endswith((".nc", ".json", ".csv"))],
                           made, folder)  # fmt: skip
    # The seconds that an epoch took are no result.
    return [d for d in found if "training.csv" not in d.what and "wear.csv" not in d.what]


def work(folder, experiment=None):
    experiment = experiment or folder.load_experiment()
    return Work(experiment=experiment, folder=folder, images=digits)


@pytest.mark.parametrize("stage", EACH)
def test_one_letter_or_digit_changed_in_a_file_is_refused_or_made_again(stage, made, tmp_path):
    """At random places of every file: rows are found damaged, all else is made again from them,
    and nobody goes on with it meanwhile."""
    folder = RunFolder(path=Path(shutil.copytree(made.path, tmp_path / "out")))
    rng = np.random.default_rng(7)
    for file in stage.made if stage.name != "report" else ():
        path = file.path(folder)
        if not path.is_file():
            continue
        was = path.read_bytes()
        path.write_bytes(changed(was, rng))
        for other in STAGES:
            if file in other.needs:
                with pytest.raises(
                    InputError, match=rf"{file.name}: (changed since|damaged|not a readable)"
                ):
                    run_stages(folder.load_experiment(), folder, [other], images=digits)
        with suppress(InputError):  # one that cannot be read any more names the command
            stage.run(work(folder))
        assert not differences(stage, made, folder)
    for file in stage.files:
        if not isinstance(file, Rows):
            continue
        path = file.path(folder)
        was = path.read_bytes()
        for _ in range(4):
            damaged = changed(was, rng)
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=rf"{file.name} line \d+: .*checksum does not fit"):
                stage.run(work(folder))
            assert path.read_bytes() == damaged
        path.write_bytes(was)


def changed(content, rng):
    """The content with one letter or digit replaced by another one."""
    places = [k for k, byte in enumerate(content) if chr(byte).isascii() and chr(byte).isalnum()]
    place = int(rng.choice(places))
    other = ord("7") if content[place] != ord("7") else ord("8")
    return content[:place] + bytes([other]) + content[place + 1 :]


def test_what_another_hand_changed_is_not_signed_by_the_next_stage(results, tmp_path):
    folder = RunFolder(path=Path(shutil.copytree(results, tmp_path / "out")))
    from rramsim.stages import verify_folder

    path = folder.path / "shares.json"
    path.write_bytes(changed(path.read_bytes(), np.random.default_rng(1)))
    run_stages(folder.load_experiment(), folder, ["errors"])
    found = verify_folder(folder, data=lambda experiment: digits(), stages=())
    assert [c.found for c in found if c.check == "files"] == ["changed: shares.json"]


@pytest.mark.parametrize("name", ["experiment.json", "provenance.json"])
def test_a_folder_of_a_newer_version_is_left_alone(results, tmp_path, name):
    folder = RunFolder(path=Path(shutil.copytree(results, tmp_path / "out")))
    experiment, path = folder.load_experiment(), folder.path / name
    kind = name.partition(".")[0]
    path.write_text(path.read_text().replace(f"rramsim {kind} 1", f"rramsim {kind} 2"))
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"{name}: written by a newer rramsim"):
        run_stages(experiment, folder, ["errors"])
    assert path.read_bytes() == before


@pytest.mark.parametrize("rule", RULES)
def test_two_trainings_in_one_folder_are_one(tmp_path, rule):
    text = f'[training]\nrule = "{rule}"\ndata = "digits"\nepochs = 1\n'
    text += '[equilibrium]\nactivation = "sigmoid"\n' * (rule != "backprop")
    (tmp_path / "e.toml").write_text(text)
    experiment, folder = load_experiment(tmp_path / "e.toml"), RunFolder.create(tmp_path / "out")
    with (
        folder_lock(folder.path),
        pytest.raises(InputError, match="another run is writing there"),
    ):
        run_stages(experiment, folder, ["train"], images=digits)
    assert list(folder.path.iterdir()) == []


@contextmanager
def largest_file(size):
    """No file may grow beyond a size: what a disk that is full does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("stage", EACH)
def test_a_full_disk_is_one_line_and_the_stage_goes_on_when_there_is_room(stage, made, tmp_path):
    folder, experiment = without(stage, made, tmp_path), made.load_experiment()
    refused = 0
    for size in (40, 700, 5000, 20_000):
        try:
            with largest_file(size):
                run_stages(experiment, folder, [stage], images=digits)
        except MachineError as error:
            refused += 1
            assert "largest size of a file is reached; what was done is kept" in str(error)
            assert "\n" not in str(error)
        assert not list(folder.path.rglob(".partial-*"))
    assert refused >= 2
    run_stages(experiment, folder, [stage], images=digits)
    assert not differences(stage, made, folder)


def command(*arguments):
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", "rramsim", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def descendants(pid):
    with suppress(OSError):
        found = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found + [d for child in found for d in descendants(child)]
    return []


def seen(run, folder, stage, *, starting):
    """Wait for a worker (later for a first row too), or for the command's end."""
    rows = stage.rows.path(folder) if stage.rows else None
    deadline, workers = time.monotonic() + 300, []
    while run.poll() is None:
        assert time.monotonic() < deadline
        workers = descendants(run.pid) or workers
        grown = rows is None or (rows.is_file() and rows.stat().st_size > 0)
        if workers and (starting or grown):
            break
        time.sleep(0.02)
    return workers


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(s, id=s.name, marks=[pytest.mark.slow] * (s.name not in ("sweep", "boundary")))
        for s in STAGES
        if s.name not in ("errors", "report")  # they only write anew what others found
    ],
)
def test_killed_commands_and_workers_leave_nothing_and_lose_nothing(
    stage, made, small_experiment, tmp_path
):
    """A worker killed and then its command asked to end; the command killed; then the whole."""
    folder = without(stage, made, tmp_path)
    file = tmp_path / "small.toml"
    file.write_text(small_experiment.replace("workers = 1", "workers = 2"))
    arguments = ("run", file, "--out", folder.path, "--stage", stage.name)
    killed = 0
    for how, starting in ((signal.SIGTERM, True), (signal.SIGKILL, False)):
        run = command(*arguments)
        workers = seen(run, folder, stage, starting=starting)
        if how is signal.SIGTERM and workers:
            with suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
                killed += 1
            time.sleep(0.5)
        workers += descendants(run.pid)
        run.send_signal(how)
        run.communicate()
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "a worker outlived its command"
            time.sleep(0.1)
    run = command(*arguments)
    if workers := seen(run, folder, stage, starting=True):
        with suppress(ProcessLookupError):
            os.kill(workers[-1], signal.SIGKILL)
    _, said = run.communicate()
    assert run.returncode == 0, said
    assert killed
    assert not differences(stage, made, folder)


@pytest.mark.slow
def test_map_tolerance_and_chips_on_dask_with_a_worker_killed_are_those_alone(
    whole, small_experiment, tmp_path, cluster
):
    stages = [s for s in STAGES if s.name in ("map", "boundary", "chips", "tolerance")]
    folder = RunFolder(path=Path(shutil.copytree(whole.path, tmp_path / "out")))
    for stage in stages:
        for file in stage.files:
            file.path(folder).unlink(missing_ok=True)
    shutil.rmtree(folder.networks)
    (tmp_path / "small.toml").write_text(small_experiment)
    experiment = load_experiment(tmp_path / "small.toml")
    run_stages(experiment, folder, ["train"], images=digits)
    with cluster(tmp_path, workers=2) as (address, workers, _):

        def killed(done, total, note):
            if done and workers[0].poll() is None:
                workers[0].send_signal(signal.SIGKILL)

        run_stages(
            experiment.with_scheduler(address), folder, stages, images=digits,
            progress=lambda stage: nullcontext(killed),
        )  # fmt: skip
        assert workers[0].wait(timeout=10) == -signal.SIGKILL
    for stage in stages:
        assert not differences(stage, whole, folder), stage.name
