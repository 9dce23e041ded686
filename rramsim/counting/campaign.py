"""Run many tasks in chunks, on several processes, until each has counted enough; certify a share.

A task's chunks are counted in their order, and the stop rule is asked after each: which chunks
count does not depend on the number of workers, nor on how often the campaign was interrupted.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.counting.statistics import SenseTally
from rramsim.counting.task import CHUNK_SAMPLES, SenseTask, draw_samples
from rramsim.durable import Failed, Job, RowFile, Runner
from rramsim.engines import SenseEngine, SenseSamples
from rramsim.exceptions import InputError, MachineError
from rramsim.numbers import check_limits, limited

if TYPE_CHECKING:
    from rramsim.engines import Agreement

_log = logging.getLogger(__name__)

_MOST_FAILED = 3
"""Failed chunks after which a task is given up: each may have cost the limit several times."""

_Rows = Mapping[str, SenseTally | Failed]


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """A task stops at `max_samples`, or earlier when its error rate is known to
    `relative_error` (half the 95 % interval's width over the rate).

    >>> StopRule(relative_error=0.1, max_samples=1000).max_samples
    1000
    """

    relative_error: float = limited(0.1, low=0, above=True)
    """A rate is counted until its 95 % interval is this share of it to either side."""
    # A thousand million: weeks of the fastest engine, and more rows than a disk's worth.
    max_samples: int = limited(
        1000, low=1, high=10**9, why="'rramsim rate' finds rates that are too small to count"
    )
    """Senses of each written weight, at most."""

    def __post_init__(self) -> None:
        check_limits(self)

    def enough(self, tally: SenseTally, written: int) -> bool:
        """Tell whether a task needs no further chunk."""
        if tally.samples >= self.max_samples:
            return True
        return tally.error_rate(written).relative_error <= self.relative_error

    @property
    def chunks(self) -> int:
        """The chunks that a task can need."""
        return -(-self.max_samples // CHUNK_SAMPLES)

    def samples(self, chunk: int) -> int:
        """The number of senses of a chunk: the last one's may be smaller."""
        return min(CHUNK_SAMPLES, self.max_samples - chunk * CHUNK_SAMPLES)


@dataclass(frozen=True, kw_only=True)
class CampaignProgress:
    """What a campaign reports after each chunk: senses counted, at most to count, and failed."""

    counted: int
    at_most: int
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class FailedTask:
    """What a task lost: chunks that gave no result, the senses in them, and the last reason."""

    task: SenseTask
    chunks: tuple[int, ...]
    senses: int
    reason: str

    @property
    def name(self) -> str:
        """The task in words."""
        return self.task.name


class CampaignResult(dict[str, SenseTally]):
    """The tally of each task by its id, and what failed by name in `failed`."""

    def __init__(self, tallies: dict[str, SenseTally], failed: tuple[FailedTask, ...]) -> None:
        super().__init__(tallies)
        self.failed = failed


def run_campaign(
    tasks: tuple[SenseTask, ...],
    *,
    rows_path: Path,
    stop: StopRule,
    runner: Runner | None = None,
    retry_failed: bool = False,
    report: Callable[[CampaignProgress], None] = lambda progress: None,
) -> CampaignResult:
    """Sense until every task has enough; returns the tally of each task's id.

    `runner` says where (None: a process on each core). Chunks that `rows_path` holds are not sensed
    again. A worker that dies or hangs costs no more than its chunk, which is tried again and at
    last counted as failed; `retry_failed` tries again what an earlier run counted as failed.

    Raises `InputError` if another process writes there or the file is damaged, `MachineError` if
    the disk is full, the scheduler is not there, or nothing at all could be sensed.
    """
    with RowFile(rows_path, parse=SenseTally.from_value, retry_failed=retry_failed) as rows:
        states = {task.id: _State(task, stop) for task in tasks}
        every = tuple(states.values())

        def tell() -> None:
            report(
                CampaignProgress(
                    counted=sum(state.tally.samples for state in every),
                    at_most=sum(
                        state.tally.samples if state.done else stop.max_samples for state in every
                    ),
                    failed=sum(state.lost for state in every),
                )
            )

        for state in every:
            state.fold(rows.rows)
        tell()
        for state in every:
            _log.debug("%s: %d senses kept of an earlier run", state.task.name, state.tally.samples)
        if not all(state.done for state in every):
            most = sum(state.left for state in every)
            pool = (runner or Runner()).pool(most=most)
            # What is still being sensed when every task has enough is left undone.
            with closing(pool.run(_wanted(every, rows.rows), _hear_nothing)) as outcomes:
                for job, outcome in outcomes:
                    rows.append(job.key, job.name, outcome)
                    states[job.shared.id].fold(rows.rows)
                    tell()
                    if all(state.done for state in every):
                        break
    failed = tuple(state.failure() for state in every if state.failed)
    if failed and not any(state.tally.samples for state in every):
        raise MachineError(f"nothing could be sensed: {failed[0].name}: {failed[0].reason}")
    senses = sum(state.tally.samples for state in every)
    if senses and not any(state.tally.count[:3].any() for state in every):
        raise MachineError(
            f"none of {senses} senses converged, so nothing was read: the simulator cannot solve "
            "this circuit so; look at one with 'rramsim sense', or try smaller steps or the other "
            "engine"
        )
    return CampaignResult({key: state.tally for key, state in states.items()}, failed)


class _State:
    """Where a task stands: the tally of its leading chunks, and the next chunk to ask for."""

    def __init__(self, task: SenseTask, stop: StopRule) -> None:
        self.task, self._stop = task, stop
        self._folded = 0
        self._asked = 0
        self.failed: dict[int, str] = {}
        self.tally = SenseTally.empty()
        self.done = False

    @property
    def left(self) -> int:
        """Chunks that may still be needed."""
        return 0 if self.done else self._stop.chunks - self._folded

    @property
    def lost(self) -> int:
        """Senses in chunks that gave no result."""
        return sum(self._stop.samples(chunk) for chunk in self.failed)

    def fold(self, rows: _Rows) -> None:
        """Count the chunks that follow those counted, until the stop rule says enough."""
        while not self.done and (outcome := rows.get(self._job(self._folded).key)) is not None:
            if isinstance(outcome, Failed):
                self.failed[self._folded] = outcome.reason
            elif outcome.samples == self._stop.samples(self._folded):
                self.tally = self.tally + outcome
            else:
                raise InputError(
                    f"{self.task.name}, chunk {self._folded}: its row counts {outcome.samples} "
                    "senses, which do not add up; remove that row to sense it again"
                )
            self._folded += 1
            self.done = (
                self._folded == self._stop.chunks
                or len(self.failed) >= _MOST_FAILED
                or self._stop.enough(self.tally, self.task.written)
            )
            if self.done:
                rate = self.tally.error_rate(self.task.written)
                _log.debug(
                    "%s: enough after %d senses, error rate %.3g (%.3g to %.3g)",
                    self.task.name, self.tally.samples, rate.value, rate.low, rate.high,
                )  # fmt: skip
        self._asked = max(self._asked, self._folded)

    def ask(self, rows: _Rows) -> Job | None:
        """The next chunk that nobody senses yet, or None."""
        while not self.done and self._asked < self._stop.chunks:
            job = self._job(self._asked)
            self._asked += 1
            if job.key not in rows:
                return job
        return None

    def failure(self) -> FailedTask:
        """What this task lost."""
        chunks = tuple(self.failed)
        return FailedTask(
            task=self.task, chunks=chunks, senses=self.lost, reason=self.failed[chunks[-1]]
        )

    def _job(self, chunk: int) -> Job:
        return self.task.job(chunk, self._stop.samples(chunk))


def _wanted(states: tuple[_State, ...], rows: _Rows) -> Iterator[Job]:
    """Chunks to sense, one of each task in turn, so that few are asked for in vain."""
    found = True
    while found:
        found = False
        for state in states:
            if (job := state.ask(rows)) is not None:
                found = True
                yield job


def _hear_nothing(job: Job, said: Any) -> None:
    """Senses say nothing while they run."""


def certify_campaign(
    tasks: tuple[SenseTask, ...],
    tallies: Mapping[str, SenseTally],
    *,
    samples: int,
    seed: int,
    reference: SenseEngine,
) -> "Agreement":
    """Sense random samples of a campaign again, drawn evenly over all it counted, and compare."""
    from rramsim.engines import certify

    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCE27]))
    counted = np.array([tallies[task.id].samples for task in tasks])
    picked = np.sort(rng.choice(counted.sum(), size=min(samples, counted.sum()), replace=False))
    owner = np.searchsorted(np.cumsum(counted), picked, side="right")
    cases: list[tuple[SenseCircuit, SenseConditions, SenseSamples]] = []
    for index in np.unique(owner):
        task = tasks[index]
        inside = picked[owner == index] - counted[:index].sum()
        cases.append((task.circuit, task.conditions, _drawn(task, inside)))
    found = certify(tasks[0].engine, reference, cases)
    _log.debug("%s senses repeated by %s: %s", samples, reference.name, found.fault() or found.text)
    return found


def _drawn(task: SenseTask, numbers: np.ndarray) -> SenseSamples:
    """Some of a task's samples by their number in the campaign's order."""
    parts = []
    for chunk in np.unique(numbers // CHUNK_SAMPLES):
        drawn = draw_samples(
            task, chunk=int(chunk), samples=CHUNK_SAMPLES, chunk_samples=CHUNK_SAMPLES
        )
        at = numbers[numbers // CHUNK_SAMPLES == chunk] % CHUNK_SAMPLES
        parts.append((drawn.r_bl_ohm[at], drawn.r_blb_ohm[at], drawn.mismatch[at]))
    r_bl, r_blb, mismatch = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return SenseSamples(r_bl_ohm=r_bl, r_blb_ohm=r_blb, mismatch=mismatch)
