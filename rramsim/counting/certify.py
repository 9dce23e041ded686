"""Certification of a campaign: a random share of its samples, sensed again by ngspice."""

import logging
from collections.abc import Mapping

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions, sense_circuit
from rramsim.counting import CHUNK_SAMPLES, SenseTally, SenseTask, draw_samples
from rramsim.devices import WRITTEN, LogNormal, ResistanceModel
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine, SenseSamples
from rramsim.engines.certification import Agreement, certify
from rramsim.processes import load_process

__all__ = ["certify_campaign", "certify_engine", "random_cases"]

_log = logging.getLogger(__name__)


def certify_campaign(
    tasks: tuple[SenseTask, ...],
    tallies: Mapping[str, SenseTally],
    *,
    samples: int,
    seed: int,
    reference: SenseEngine | None = None,
) -> Agreement:
    """Sense random samples of a campaign, drawn evenly over all it counted, again in ngspice."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCE27]))
    reference = reference or NgspiceEngine()
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


def certify_engine(
    *,
    samples: int,
    seed: int,
    engine: SenseEngine | None = None,
    reference: SenseEngine | None = None,
    groups: int = 10,
) -> Agreement:
    """Compare `engine` (batch) with `reference` (ngspice) on random senses of the shipped PCSA."""
    cases = random_cases(samples=samples, seed=seed, groups=groups)
    return certify(engine or BatchEngine(), reference or NgspiceEngine(), cases)


def random_cases(
    *, samples: int, seed: int, groups: int
) -> list[tuple[SenseCircuit, SenseConditions, SenseSamples]]:
    """Random senses in `groups` conditions: all corners, 0.9 to 1.3 V, -40 to 125 degrees.

    Resistances are those of the device model (10 kohm and 630 kohm medians), every third weight
    each; mismatch is the foundry's.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xD0C]))
    circuit = sense_circuit(process=load_process("sky130-5v"))
    corners = tuple(circuit.process.corners)
    resistances = ResistanceModel(
        lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22),
        hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0),
    )
    cases = []
    for group in range(groups):
        conditions = SenseConditions(
            vdd_v=float(np.round(rng.uniform(0.9, 1.3), 3)),
            temperature_c=float(np.round(rng.uniform(-40, 125))),
            corner=corners[group % len(corners)],
        )
        count = samples // groups + (group < samples % groups)
        written = rng.choice(WRITTEN, size=count)
        pairs = [resistances.draw(int(w), 1, rng) for w in written]
        sites = len(circuit.mismatch_sites(conditions.corner))
        drawn = SenseSamples(
            r_bl_ohm=np.array([float(pair[0][0]) for pair in pairs]),
            r_blb_ohm=np.array([float(pair[1][0]) for pair in pairs]),
            mismatch=rng.standard_normal((count, sites)),
        )
        cases.append((circuit, conditions, drawn))
    return cases
