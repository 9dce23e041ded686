"""A task: one written value under one set of conditions, identified by all it depends on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.counting.tally import SenseTally
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.durable import Job, Say
from rramsim.engines import SenseEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.numbers import LARGEST_SEED

__all__ = ["CHUNK_SAMPLES", "SenseTask", "draw_samples", "sense_chunk"]

CHUNK_SAMPLES = 100
"""Senses per row: about 1.5 s of ngspice, so little is lost by a kill and little by writing."""


@dataclass(frozen=True, kw_only=True)
class SenseTask:
    """Sense `written` with resistances, mismatch and noise drawn at random."""

    circuit: SenseCircuit
    conditions: SenseConditions
    resistances: ResistanceModel
    written: int
    seed: int
    engine: SenseEngine
    mismatch: bool = True
    noise: bool = False

    def __post_init__(self) -> None:
        if self.written not in WRITTEN:
            raise InputError(f"written = {self.written}: a weight is -1, 0 or +1")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed = {self.seed}: must be a whole number from 0 to {LARGEST_SEED}")

    @cached_property
    def id(self) -> str:
        """The identity of everything that the results depend on."""
        return identity(
            "sense task",
            2,
            circuit=self.circuit.sha256,
            conditions=self.conditions,
            resistances=self.resistances,
            written=self.written,
            seed=self.seed,
            mismatch=self.mismatch,
            noise=self.noise,
            engine=self.engine.name,
        )

    @property
    def name(self) -> str:
        """The task in words."""
        return f"written {self.written:+d} at {self.conditions.label}"

    def attributes(self) -> dict[str, str | int]:
        """What its results were simulated with, as attributes of a dataset."""
        return {
            "status": "simulated",
            "engine": self.engine.name,
            "circuit": self.circuit.name,
            "circuit_sha256": self.circuit.sha256,
            "process": self.circuit.process.name,
            "resistances": repr(self.resistances),
            "seed": self.seed,
            "mismatch": int(self.mismatch),
            "noise": int(self.noise),
        }

    @property
    def version(self) -> str:
        """The engine with its version."""
        return self.engine.name

    def job(self, chunk: int, samples: int) -> Job:
        """The job of sensing one chunk."""
        return Job(
            key=f"{self.id} {chunk} {samples}",
            name=f"{self.name}, chunk {chunk}",
            shared=self,
            part=(chunk, samples),
        )

    def do(self, part: tuple[int, int], say: Say) -> dict[str, list[float]]:
        """What a worker runs: sense one chunk."""
        return sense_chunk(self, *part).to_value()


def sense_chunk(task: SenseTask, chunk: int, samples: int = CHUNK_SAMPLES) -> SenseTally:
    """Draw and sense one chunk."""
    drawn = draw_samples(task, chunk=chunk, samples=samples, chunk_samples=CHUNK_SAMPLES)
    return SenseTally.of(task.engine.sense(task.circuit, task.conditions, drawn))


def draw_samples(task: SenseTask, *, chunk: int, samples: int, chunk_samples: int) -> SenseSamples:
    """Draw the first `samples` of the `chunk`-th group of `chunk_samples` synapses.

    The draw depends on the seed, the written value and the resistance model alone, so a sweep
    senses the same devices at every supply, temperature and corner (common random numbers: the
    difference between two supplies is then not blurred by two draws), and every engine, in one
    process or in many, sees the same ones.
    """
    key = f"{task.seed} {task.written} {task.resistances!r}"
    entropy = int(hashlib.sha256(key.encode()).hexdigest()[:32], 16)
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(chunk,)))
    r_bl, r_blb = task.resistances.draw(task.written, chunk_samples, rng)
    sites = len(task.circuit.mismatch_sites(task.conditions.corner)) if task.mismatch else 0
    mismatch = rng.standard_normal((chunk_samples, sites))
    noise_v = None
    if task.noise:
        # Drawn apart, so that the devices are the same with and without noise.
        rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(chunk, 1)))
        sigma_v = task.circuit.noise_sigma_v(task.conditions)
        noise_v = sigma_v * rng.standard_normal(chunk_samples)[:samples]
    return SenseSamples(
        r_bl_ohm=r_bl[:samples],
        r_blb_ohm=r_blb[:samples],
        mismatch=mismatch[:samples],
        noise_v=noise_v,
    )
