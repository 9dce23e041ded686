"""Run many tasks in chunks, on several processes, until each has counted enough.

A task's chunks are counted in their order, and the stop rule is asked after each: which chunks
count does not depend on the number of workers, nor on how often the campaign was interrupted.
"""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rramsim.counting.chunk import (
    CHUNK_SAMPLES,
    ChunkKey,
    FailedChunk,
    Job,
    Pool,
    WorkLimits,
    sense_chunk,
)
from rramsim.counting.dask_pool import DaskPool
from rramsim.counting.local_pool import LocalPool
from rramsim.counting.rows import RowFile
from rramsim.counting.tally import SenseTally
from rramsim.counting.task import SenseTask
from rramsim.exceptions import InputError, MachineError

__all__ = [
    "CHUNK_SAMPLES",
    "CampaignProgress",
    "CampaignResult",
    "FailedTask",
    "StopRule",
    "available_workers",
    "run_campaign",
    "sense_chunk",
]

_log = logging.getLogger(__name__)

_MOST_FAILED = 3
"""Failed chunks after which a task is given up: each may have cost the limit several times."""


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """A task stops at `max_samples`, or earlier when its error rate is known to
    `relative_error` (half the 95 % interval's width over the rate).

    >>> StopRule(relative_error=0.1, max_samples=1000).max_samples
    1000
    """

    relative_error: float
    max_samples: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.relative_error) and self.relative_error > 0):
            raise InputError(f"relative_error = {self.relative_error}: must be above 0")
        if self.max_samples < 1:
            raise InputError(f"max_samples = {self.max_samples}: must be at least 1")

    def enough(self, tally: SenseTally, written: int) -> bool:
        """Tell whether a task needs no further chunk."""
        if tally.samples >= self.max_samples:
            return True
        return tally.error_rate(written).relative_error <= self.relative_error

    def chunks(self) -> tuple[int, ...]:
        """The number of senses of each chunk that a task can need."""
        whole, rest = divmod(self.max_samples, CHUNK_SAMPLES)
        return (CHUNK_SAMPLES,) * whole + ((rest,) if rest else ())


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
        return f"written {self.task.written:+d} at {self.task.conditions.label}"


class CampaignResult(Mapping[str, SenseTally]):
    """The tally of each task by its id, and what failed by name in `failed`."""

    def __init__(self, tallies: dict[str, SenseTally], failed: tuple[FailedTask, ...]) -> None:
        self._tallies = tallies
        self.failed = failed

    def __getitem__(self, task_id: str) -> SenseTally:
        return self._tallies[task_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tallies)

    def __len__(self) -> int:
        return len(self._tallies)


def available_workers() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_campaign(
    tasks: tuple[SenseTask, ...],
    *,
    rows_path: Path,
    stop: StopRule,
    workers: int | None = None,
    scheduler: str | None = None,
    limits: WorkLimits | None = None,
    retry_failed: bool = False,
    report: Callable[[CampaignProgress], None] = lambda progress: None,
) -> CampaignResult:
    """Sense until every task has enough; returns the tally of each task's id.

    `workers` processes of this machine sense (None: one per core), or those of the dask scheduler
    at the address `scheduler`. Chunks that `rows_path` holds are not sensed again. A worker that
    dies or hangs costs no more than its chunk, which is tried again and at last counted as failed
    (`limits`); `retry_failed` tries again what an earlier run counted as failed.

    Raises `InputError` if another process writes there or the file is damaged, `MachineError` if
    the disk is full, the scheduler is not there, or nothing at all could be sensed.
    """
    limits = limits or WorkLimits()
    pool: Pool = (
        LocalPool(workers=available_workers() if workers is None else workers, limits=limits)
        if scheduler is None
        else DaskPool(address=scheduler, limits=limits)
    )
    with RowFile(rows_path, retry_failed=retry_failed) as rows:
        states = {task.id: _State(task, stop) for task in tasks}

        def tell() -> None:
            report(
                CampaignProgress(
                    counted=sum(state.tally.samples for state in states.values()),
                    at_most=sum(
                        state.tally.samples if state.done else stop.max_samples
                        for state in states.values()
                    ),
                    failed=sum(chunk.samples for s in states.values() for chunk in s.failed),
                )
            )

        for state in states.values():
            state.fold(rows.rows)
        tell()
        for state in states.values():
            _log.debug("%s: %d senses kept of an earlier run", state.name, state.tally.samples)
        if not all(state.done for state in states.values()):
            # What is still being sensed when every task has enough is left undone.
            with closing(pool.sense(_wanted(tuple(states.values()), rows))) as outcomes:
                for key, outcome in outcomes:
                    rows.append(key, outcome)
                    states[key[0]].fold(rows.rows)
                    tell()
                    if all(state.done for state in states.values()):
                        break
    failed = tuple(state.failure() for state in states.values() if state.failed)
    if failed and not any(state.tally.samples for state in states.values()):
        raise MachineError(f"nothing could be sensed: {failed[0].name}: {failed[0].reason}")
    return CampaignResult({key: state.tally for key, state in states.items()}, failed)


class _State:
    """Where a task stands: the tally of its leading chunks, and the next chunk to ask for."""

    def __init__(self, task: SenseTask, stop: StopRule) -> None:
        self.task, self._stop = task, stop
        self._sizes = stop.chunks()
        self._folded = 0
        self._asked = 0
        self._failed_chunks: list[int] = []
        self.failed: list[FailedChunk] = []
        self.tally = SenseTally.empty()
        self.done = False

    @property
    def name(self) -> str:
        """The task in words."""
        return f"written {self.task.written:+d} at {self.task.conditions.label}"

    def fold(self, rows: Mapping[ChunkKey, SenseTally | FailedChunk]) -> None:
        """Count the chunks that follow those counted, until the stop rule says enough."""
        while not self.done:
            outcome = rows.get(self._key(self._folded))
            if outcome is None:
                break
            if isinstance(outcome, FailedChunk):
                self.failed.append(outcome)
                self._failed_chunks.append(self._folded)
            else:
                self.tally = self.tally + outcome
            self._folded += 1
            self.done = (
                self._folded == len(self._sizes)
                or len(self.failed) >= _MOST_FAILED
                or self._stop.enough(self.tally, self.task.written)
            )
            if self.done:
                rate = self.tally.error_rate(self.task.written)
                _log.debug(
                    "%s: enough after %d senses, error rate %.3g (%.3g to %.3g)",
                    self.name, self.tally.samples, rate.value, rate.low, rate.high,
                )  # fmt: skip
        self._asked = max(self._asked, self._folded)

    def ask(self, rows: Mapping[ChunkKey, SenseTally | FailedChunk]) -> ChunkKey | None:
        """The next chunk that nobody senses yet, or None."""
        while not self.done and self._asked < len(self._sizes):
            key = self._key(self._asked)
            self._asked += 1
            if key not in rows:
                return key
        return None

    def failure(self) -> FailedTask:
        """What this task lost."""
        return FailedTask(
            task=self.task,
            chunks=tuple(self._failed_chunks),
            senses=sum(chunk.samples for chunk in self.failed),
            reason=self.failed[-1].reason,
        )

    def _key(self, chunk: int) -> ChunkKey:
        samples = self._sizes[chunk] if chunk < len(self._sizes) else 0
        return (self.task.id, chunk, samples)


def _wanted(states: tuple[_State, ...], rows: RowFile) -> Iterator[Job]:
    """Chunks to sense, one of each task in turn, so that few are asked for in vain."""
    while True:
        found = False
        for state in states:
            key = state.ask(rows.rows)
            if key is not None:
                found = True
                yield state.task, key
        if not found:
            return
