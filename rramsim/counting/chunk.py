"""A chunk of senses: its key, and what became of it."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from rramsim.counting.tally import SenseTally
from rramsim.counting.task import SenseTask, draw_samples
from rramsim.exceptions import InputError

__all__ = [
    "CHUNK_SAMPLES",
    "ChunkKey",
    "ChunkOutcome",
    "FailedChunk",
    "Job",
    "Pool",
    "WorkLimits",
    "sense_chunk",
]

CHUNK_SAMPLES = 100
"""Senses per row: about 1.5 s of ngspice, so little is lost by a kill and little by writing."""

ChunkKey = tuple[str, int, int]
"""(task id, number of the chunk, samples in it)."""

Job = tuple[SenseTask, ChunkKey]


@dataclass(frozen=True, kw_only=True)
class FailedChunk:
    """Senses that gave no result, however often they were tried; they count as no reads.

    `reason` names what happened: the worker hung past its limit, died, or met a fault.
    """

    samples: int
    reason: str

    def after(self, tries: int) -> "FailedChunk":
        """The same, saying how often it was tried."""
        return replace(self, reason=f"{self.reason}, {tries} time{'' if tries == 1 else 's'}")


ChunkOutcome = tuple[ChunkKey, SenseTally | FailedChunk]


@dataclass(frozen=True, kw_only=True)
class WorkLimits:
    """How long a chunk may take, and how often it is tried before it counts as failed.

    The default limit is some two hundred times what 100 senses take on the PCSA.

    >>> WorkLimits().attempts
    3
    """

    chunk_s: float = 600.0
    attempts: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.chunk_s <= 7 * 86400:
            raise InputError(
                f"chunk_limit_s = {self.chunk_s:g}: must be above 0 s and at most a week"
            )
        if self.attempts < 1:
            raise InputError(f"attempts = {self.attempts}: must be at least 1")


class Pool(Protocol):
    """Something that senses chunks: processes of this machine, or a dask cluster."""

    def sense(self, wanted: Iterator[Job]) -> Generator[ChunkOutcome, None, None]:
        """Sense what is wanted, yielding chunks as they finish, in any order.

        Raises `InputError` if an engine refuses the circuit.
        """
        ...


def sense_chunk(task: SenseTask, key: ChunkKey) -> SenseTally:
    """Draw and sense one chunk; what a worker process runs."""
    _, chunk, samples = key
    drawn = draw_samples(task, chunk=chunk, samples=samples, chunk_samples=CHUNK_SAMPLES)
    return SenseTally.of(task.engine.sense(task.circuit, task.conditions, drawn))
