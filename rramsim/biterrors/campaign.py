"""Run many tasks in chunks, on several processes, until each has counted enough.

A task's chunks are counted in their order, and the stop rule is asked after each: which chunks
count does not depend on the number of workers, nor on how often the campaign was interrupted.
"""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from rramsim.biterrors.rows import ChunkKey, RowFile
from rramsim.biterrors.tally import SenseTally
from rramsim.biterrors.task import SenseTask, draw_samples
from rramsim.exceptions import InputError, MachineError

__all__ = ["CHUNK_SAMPLES", "CampaignProgress", "StopRule", "available_workers", "run_campaign"]

CHUNK_SAMPLES = 100
"""Senses per row: about 1.5 s of ngspice, so little is lost by a kill and little by writing."""


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
    """What a campaign reports after each chunk: senses counted, and at most to count."""

    counted: int
    at_most: int


def available_workers() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_campaign(
    tasks: tuple[SenseTask, ...],
    *,
    rows_path: Path,
    stop: StopRule,
    workers: int | None = None,
    report: Callable[[CampaignProgress], None] = lambda progress: None,
) -> dict[str, SenseTally]:
    """Sense until every task has enough; returns the tally of each task's id.

    Chunks that `rows_path` holds are not sensed again. Raises `InputError` if another process
    writes there, `MachineError` if a worker dies.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers = {workers}: must be at least 1")
    with RowFile(rows_path) as rows:
        states = [_State(task, stop) for task in tasks]

        def tell() -> None:
            report(
                CampaignProgress(
                    counted=sum(state.tally.samples for state in states),
                    at_most=sum(
                        state.tally.samples if state.done else stop.max_samples for state in states
                    ),
                )
            )

        for state in states:
            state.fold(rows.rows)
        tell()
        if not all(state.done for state in states):
            for key, tally in _senses(states, workers or available_workers()):
                rows.append(key, tally)
                for state in states:
                    if state.task.id == key[0]:
                        state.fold(rows.rows)
                tell()
    return {state.task.id: state.tally for state in states}


class _State:
    """Where a task stands: the tally of its leading chunks, and the next chunk to ask for."""

    def __init__(self, task: SenseTask, stop: StopRule) -> None:
        self.task, self._stop = task, stop
        self._sizes = stop.chunks()
        self._folded = 0
        self._asked = 0
        self.tally = SenseTally.empty()
        self.done = False

    def fold(self, rows: dict[ChunkKey, SenseTally]) -> None:
        """Count the chunks that follow those counted, until the stop rule says enough."""
        while not self.done:
            tally = rows.get(self._key(self._folded))
            if tally is None:
                break
            self.tally = self.tally + tally
            self._folded += 1
            self.done = self._stop.enough(self.tally, self.task.written)
        self._asked = max(self._asked, self._folded)

    def ask(self, rows: set[ChunkKey]) -> ChunkKey | None:
        """The next chunk that nobody senses yet, or None."""
        while not self.done and self._asked < len(self._sizes):
            key = self._key(self._asked)
            self._asked += 1
            if key not in rows:
                return key
        return None

    def _key(self, chunk: int) -> ChunkKey:
        samples = self._sizes[chunk] if chunk < len(self._sizes) else 0
        return (self.task.id, chunk, samples)


def _wanted(states: list[_State]) -> Iterator[tuple[SenseTask, ChunkKey]]:
    """Chunks to sense, one of each task in turn, so that few are asked for in vain."""
    while True:
        found = False
        for state in states:
            key = state.ask(set())
            if key is not None:
                found = True
                yield state.task, key
        if not found:
            return


def _senses(states: list[_State], workers: int) -> Iterator[tuple[ChunkKey, SenseTally]]:
    """Sense what is wanted, yielding chunks as they finish."""
    wanted = _wanted(states)
    if workers == 1:
        for task, key in wanted:
            yield key, sense_chunk(task, key)
        return
    # spawn: a forked child would inherit a loaded ngspice, which is one per process.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    pending: dict[Future[SenseTally], ChunkKey] = {}
    try:
        while True:
            while len(pending) < workers + 1 and (item := next(wanted, None)):
                pending[pool.submit(sense_chunk, *item)] = item[1]
            if not pending:
                return
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield pending.pop(future), future.result()
    except BrokenProcessPool as error:
        raise MachineError(
            "a worker process died (out of memory, or killed); what was counted is kept, "
            "run again to go on"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def sense_chunk(task: SenseTask, key: ChunkKey) -> SenseTally:
    """Draw and sense one chunk; what a worker process runs."""
    _, chunk, samples = key
    drawn = draw_samples(task, chunk=chunk, samples=samples, chunk_samples=CHUNK_SAMPLES)
    return SenseTally.of(task.engine.sense(task.circuit, task.conditions, drawn))
