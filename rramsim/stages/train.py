"""Train the experiment's networks, by whichever rule it names."""

import logging
import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim import figures, learning
from rramsim.durable import Failed, Job, Say, available_workers
from rramsim.exceptions import InputError, MachineError
from rramsim.files import atomic_path, output_folder
from rramsim.records import TrainingRow, WearRow
from rramsim.stages.evaluations import network_version
from rramsim.stages.folder import PROVENANCE, RunFolder, Table
from rramsim.stages.plans import Plan, TrainedNetwork, network_plans, plans_of
from rramsim.stages.provenance import present_machine
from rramsim.stages.stage import Difference, Redone, Results, Stage, Work
from rramsim.stages.verify import compared_files

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table as Texts

_log = logging.getLogger(__name__)

TRAINING = Table(
    name="training.csv", schema="rramsim training 1", record=TrainingRow,
    holds="loss and accuracy after every epoch of every network",
)  # fmt: skip
WEAR = Table(
    name="wear.csv", schema="rramsim wear 1", record=WearRow,
    holds="writes of the devices of networks that learned on them",
)  # fmt: skip


_LONGEST_EPOCH_S = 7 * 86400.0
"""A training is no chunk of senses: between two epochs it is taken for hung only after a week."""


def train_plan(
    plan: Plan,
    folder: RunFolder,
    data: "learning.ImageData",
    *,
    report: "Callable[[learning.EpochMetrics | float], None]" = lambda said: None,
) -> TrainedNetwork:
    """Train a network, going on from its checkpoint, and save it."""
    output_folder(folder.networks)
    checkpoint = folder.networks / f"{plan.name}.checkpoint.pt"
    _log.debug(
        "%s, trained with errors of %s: %s", plan.network_name, plan.trained_with,
        f"goes on from {checkpoint}" if checkpoint.exists() else "starts",
    )  # fmt: skip
    return plan.train(
        data, file=folder.networks / f"{plan.name}.pt", checkpoint=checkpoint, report=report
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trainings:
    """What the trainings of a folder share; each is a job, which goes on from its checkpoint."""

    folder: RunFolder
    data: "learning.ImageData"
    version: str

    @property
    def id(self) -> str:
        """Its data; what else a training depends on is its plan."""
        return f"trainings on {self.data.label}"

    def do(self, part: Plan, say: Say) -> tuple[TrainedNetwork, bytes]:
        """Train one network; another machine, which lacks the folder, returns the file."""
        with tempfile.TemporaryDirectory() as scratch:
            here = self.folder if self.folder.path.is_dir() else RunFolder(path=Path(scratch))
            one = train_plan(part, here, self.data, report=say)
            return one, one.path.read_bytes()


def train_plans(
    work: Work,
    plans: Sequence[Plan],
    *,
    say: "Callable[[Plan, learning.EpochMetrics | float], None]",
) -> tuple[TrainedNetwork, ...]:
    """Train networks, going on from their checkpoints; returns them in the order of the plans.

    One after the other with every core, or beside one another where the experiment names workers
    or a scheduler. Either way each has as many threads, so that its numbers are the same. Raises
    `MachineError`, after all others are trained, for one that could not be.
    """
    shared = _Trainings(folder=work.folder, data=work.images(), version=network_version())
    jobs = [
        Job(
            key=plan.name, name=plan.network_name, shared=shared, part=plan,
            limit_s=_LONGEST_EPOCH_S,
        )
        for plan in plans
    ]  # fmt: skip
    found: dict[str, TrainedNetwork] = {}
    runner = replace(work.runner, workers=work.runner.workers or 1)
    for job, outcome in runner.outcomes(
        jobs, safe=True, threads=available_workers(), say=lambda job, said: say(job.part, said)
    ):
        if isinstance(outcome, Failed):
            raise MachineError(f"{job.name}: {outcome.reason}; run again to go on")
        one, content = outcome
        path = output_folder(work.folder.networks) / f"{job.key}.pt"
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        found[job.key] = replace(one, path=path)
    return tuple(found[plan.name] for plan in plans)


def _run(work: Work) -> tuple[TrainedNetwork, ...]:
    """Train every network, resuming from checkpoints, into `training.csv` and, for devices,
    `wear.csv`."""
    data = work.images()
    plans = plans_of(work.experiment, work.folder, data)
    training = work.experiment.training
    if told := learning.bfloat16_remark(bfloat16=training.bfloat16, device=training.device):
        work.notice(told)
    total, done = sum(plan.epochs for plan in plans), dict.fromkeys((p.name for p in plans), 0.0)
    notes: dict[str, str] = {}

    def say(plan: Plan, said: "learning.EpochMetrics | float") -> None:
        note = notes.get(plan.name, plan.network_name)
        if isinstance(said, float):
            done[plan.name] = said
        else:
            done[plan.name] = said.epoch
            note = f"{plan.network_name}: {100 * said.test_accuracy:.1f} %"
            notes[plan.name] = note
        work.report(sum(done.values()), total, note)

    work.report(0, total, "")
    trained = train_plans(work, plans, say=say)
    rows: list[dict[str, Any]] = []
    worn: list[dict[str, Any]] = []
    for plan, one in zip(plans, trained, strict=True):
        common = {
            "network": plan.network_name,
            "trained_with_errors": plan.trained_with,
            "data": data.label,
            "seed": plan.settings.seed,
        }
        rows += [common | asdict(metrics) for metrics in one.epochs]
        worn += [common | wear for wear in one.wear]
        if one.remark:
            work.notice(one.remark)
    TRAINING.write(work.folder, rows)
    if worn:
        WEAR.write(work.folder, worn)
    work.report(total, total, "")
    return trained


def trained_networks(
    experiment: "Experiment", folder: RunFolder, data: "learning.ImageData"
) -> tuple[TrainedNetwork, ...]:
    """The experiment's networks as an earlier training by back-propagation left them."""
    trained = []
    for plan in network_plans(experiment, folder, data):
        path = folder.networks / f"{plan.name}.pt"
        if not path.is_file():
            raise InputError(
                f"{path}: {plan.spec.name} is not trained yet on {data.label}; name its images "
                f"with --data, or make it with {TRAINING.made_by(folder)}"
            )
        _, network = learning.load_network(path, expected=plan.spec)
        trained.append(TrainedNetwork(plan=plan, network=network, path=path))
    return tuple(trained)


class _Stop(Exception):
    """What was to be learnt of a training is known."""


def _again(work: Work, original: RunFolder, share: float, seed: int) -> Redone:
    """Make the tables again from the checkpoints, then the first epoch of a share of the networks.

    Not the whole training: the first epoch has every step of it, and takes one epoch's time.
    """
    data = work.images()
    plans = plans_of(work.experiment, work.folder, data)
    named: dict[str, Any] = {"of": len(plans), "unit": "first epochs"}
    then = PROVENANCE.need(original).machine
    now = present_machine()
    if then != now:
        other = "; ".join(f"{k} {then.get(k)} then, {v} now" for k, v in now.items())
        return Redone(done=0, unchecked=f"trained on another machine: {other}", **named)

    def refuse(_: float, __: int, note: str) -> None:
        if note:
            raise _Stop

    try:
        _run(replace(work, report=refuse))
    except _Stop:
        return Redone(done=0, lacking=True, **named)
    differences = compared_files((TRAINING, WEAR), original, work.folder)
    recorded = {
        (row.network, row.trained_with_errors, row.epoch): row for row in TRAINING.need(original)
    }
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x7E57]))
    chosen = rng.permutation(len(plans))[: max(1, round(share * len(plans)))].tolist()
    for number, index in enumerate(chosen):
        work.report(number, len(chosen), plans[index].network_name)

        def first(metrics: "learning.EpochMetrics | float", plan: Plan = plans[index]) -> None:
            if isinstance(metrics, float):
                return
            row = recorded.get((plan.network_name, plan.trained_with, metrics.epoch))
            for name in ("train_loss", "train_accuracy", "test_accuracy"):
                there, made = getattr(row, name, None), getattr(metrics, name)
                if there is None or not math.isclose(there, made, rel_tol=1e-9, abs_tol=1e-12):
                    what = f"{plan.network_name}, epoch {metrics.epoch}: {name}"
                    why = f"there {there}, made again {made}"
                    differences.append(Difference(what=what, why=why))
            raise _Stop

        (work.folder.networks / f"{plans[index].name}.checkpoint.pt").unlink(missing_ok=True)
        with suppress(_Stop):
            train_plan(plans[index], work.folder, data, report=first)
    return Redone(done=len(chosen), differences=tuple(differences), **named)


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.networks import training_table, wear_table

    worn = WEAR.read(folder)
    return [training_table(TRAINING.need(folder)), *([wear_table(worn)] if worn else [])]


def _sections(results: Results) -> "list[figures.Section]":
    from rramsim.figures.networks import training_table, wear_table

    sections = []
    if rows := results.read(TRAINING):
        sections.append(
            figures.Section(
                key="training",
                title="Training",
                figures=(figures.training_figure(rows),),
                tables=(training_table(rows),),
            )
        )
    if worn := results.read(WEAR):
        sections.append(
            figures.Section(
                key="wear",
                title="Wear",
                figures=(figures.wear_figure(worn),),
                tables=(wear_table(worn),),
            )
        )
    return sections


TRAIN = Stage(
    name="train",
    title="Training",
    answers="How accurate are the networks without read errors?",
    run=_run,
    unit="epochs",
    files=(TRAINING, WEAR),
    of_run=True,
    images=True,
    again=_again,
    sections=_sections,
    summary=_summary,
)
