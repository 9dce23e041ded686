"""A task: one written value under one set of conditions, identified by all it depends on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.counting.statistics import SenseTally
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.durable import Job, Say
from rramsim.engines import SenseEngine, SenseSamples
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.numbers import LARGEST_SEED, check_limits, limited

CHUNK_SAMPLES = 100
"""Senses per row: about 1.5 s of ngspice, so little is lost by a kill and little by writing."""


_STEPS = 5
"""Points that stand for a normal distribution: exact for polynomials up to the ninth degree."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What differs from sense to sense beside devices and mismatch: the die, supply, temperature.

    `global_variation` gives every sense a die of its own. Supply (V) and temperature (degrees
    Celsius) are normal around those of the task; each is drawn from five points with their weights
    (Gauss-Hermite), so that engines need few sets of conditions.
    """

    global_variation: bool = False
    """Whether every sense draws a die of its own, as the PDK's foundry spreads them around tt."""
    vdd_sigma_v: float = limited(0.0, low=0)
    """Standard deviation of the supply from sense to sense; normal, in five steps."""
    temperature_sigma_c: float = limited(0.0, low=0)
    """Standard deviation of the temperature from sense to sense; normal, in five steps."""

    def __post_init__(self) -> None:
        check_limits(self)

    def draw(
        self, conditions: SenseConditions, samples: int, rng: np.random.Generator
    ) -> list[tuple[SenseConditions, NDArray[np.int64]]]:
        """The conditions that are met, each with the samples that meet them."""
        z, weights = np.polynomial.hermite_e.hermegauss(_STEPS)
        drawn = rng.choice(_STEPS, size=(samples, 2), p=weights / weights.sum())
        drawn *= np.array([self.vdd_sigma_v > 0, self.temperature_sigma_c > 0])
        met = []
        for pair in sorted({(int(v), int(t)) for v, t in drawn}):
            at = conditions
            if self.vdd_sigma_v:
                at = replace(at, vdd_v=at.vdd_v + float(z[pair[0]]) * self.vdd_sigma_v)
            if self.temperature_sigma_c:
                moved_c = at.temperature_c + float(z[pair[1]]) * self.temperature_sigma_c
                at = replace(at, temperature_c=moved_c)
            met.append((at, np.flatnonzero((drawn == pair).all(axis=1))))
        return met

    def extremes(self, conditions: SenseConditions) -> tuple[SenseConditions, SenseConditions]:
        """The lowest and the highest conditions that are drawn; refused if they cannot be."""
        z = float(np.polynomial.hermite_e.hermegauss(_STEPS)[0][-1])
        low, high = (
            replace(
                conditions,
                vdd_v=conditions.vdd_v + sign * z * self.vdd_sigma_v,
                temperature_c=conditions.temperature_c + sign * z * self.temperature_sigma_c,
            )
            for sign in (-1, 1)
        )
        return low, high


@dataclass(frozen=True, kw_only=True)
class SenseTask:
    """Sense `written` with resistances, mismatch, noise and `spread` drawn at random."""

    circuit: SenseCircuit
    conditions: SenseConditions
    resistances: ResistanceModel
    written: int
    engine: SenseEngine
    seed: int = limited(1, low=0, high=LARGEST_SEED)
    """Of the devices, mismatch and noise that are drawn."""
    mismatch: bool = True
    noise: bool = False
    spread: Spread = Spread()

    def __post_init__(self) -> None:
        if self.written not in WRITTEN:
            raise InputError(f"written = {self.written}: a weight is -1, 0 or +1")
        check_limits(self)

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
            **({} if self.spread == Spread() else {"spread": self.spread}),
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


def sense_tasks(
    conditions: Iterable[SenseConditions],
    *,
    circuit: SenseCircuit,
    resistances: ResistanceModel,
    engine: SenseEngine,
    seed: int = SenseTask.seed,
    mismatch: bool = True,
    noise: bool = False,
    spread: Spread | None = None,
    written: Sequence[int] = WRITTEN,
) -> tuple[SenseTask, ...]:
    """A task for every written value under every set of conditions."""
    return tuple(
        SenseTask(
            circuit=circuit,
            conditions=one,
            resistances=resistances,
            written=value,
            seed=seed,
            engine=engine,
            mismatch=mismatch,
            noise=noise,
            spread=spread or Spread(),
        )
        for one in conditions
        for value in written
    )


def sense_chunk(task: SenseTask, chunk: int, samples: int = CHUNK_SAMPLES) -> SenseTally:
    """Draw and sense one chunk."""
    drawn = draw_samples(task, chunk=chunk, samples=samples, chunk_samples=CHUNK_SAMPLES)
    spread = task.spread
    if not (spread.vdd_sigma_v or spread.temperature_sigma_c):
        return SenseTally.of(task.engine.sense(task.circuit, task.conditions, drawn))
    met = spread.draw(task.conditions, CHUNK_SAMPLES, _generator(task, chunk, 3))
    tally = None
    for conditions, every in met:
        chosen = every[every < samples]
        if len(chosen):
            found = SenseTally.of(task.engine.sense(task.circuit, conditions, drawn.at(chosen)))
            tally = found if tally is None else tally + found
    assert tally is not None
    return tally


def _generator(task: SenseTask, chunk: int, *what: int) -> np.random.Generator:
    """Random numbers of a chunk; those of each `what` apart, so that none moves the others."""
    key = identity(
        "synapses", 1, seed=task.seed, written=task.written, resistances=task.resistances
    )
    entropy = int(key[:32], 16)
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(chunk, *what)))


def draw_samples(task: SenseTask, *, chunk: int, samples: int, chunk_samples: int) -> SenseSamples:
    """Draw the first `samples` of the `chunk`-th group of `chunk_samples` synapses.

    The draw depends on the seed, the written value and the resistance model alone, so a sweep
    senses the same devices at every supply, temperature and corner (common random numbers: the
    difference between two supplies is then not blurred by two draws), and every engine, in one
    process or in many, sees the same ones.
    """
    rng = _generator(task, chunk)
    r_bl, r_blb = task.resistances.draw(task.written, chunk_samples, rng)
    sites = len(task.circuit.mismatch_sites(task.conditions.corner)) if task.mismatch else 0
    mismatch = rng.standard_normal((chunk_samples, sites))
    noise_v = None
    if task.noise:
        sigma_v = task.circuit.noise_sigma_v(task.conditions)
        noise_v = sigma_v * _generator(task, chunk, 1).standard_normal(chunk_samples)[:samples]
    global_z = None
    if task.spread.global_variation:
        shape = chunk_samples, len(task.circuit.global_factors)
        global_z = _generator(task, chunk, 2).standard_normal(shape)[:samples]
    return SenseSamples(
        r_bl_ohm=r_bl[:samples],
        r_blb_ohm=r_blb[:samples],
        mismatch=mismatch[:samples],
        noise_v=noise_v,
        global_z=global_z,
    )
