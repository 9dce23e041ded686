"""From where the sliders stand to error rates, energies and waveforms, by the batch engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit
from rramsim.counting import ErrorStatistics, SenseTally
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.engines import BatchEngine, SenseOutcome, SenseSamples, Waveforms, table_supplies
from rramsim.exceptions import InputError
from rramsim.explore.controls import Controls, Setting
from rramsim.stages.nominal import nominal_pair

__all__ = ["MOST_SENSES", "STEP_SENSES", "Answer", "Explorer", "NominalSense"]

STEP_SENSES = 100
"""Senses of each weight that one step adds: some 40 ms of two cores for all three weights."""

MOST_SENSES = 1000
"""Senses of each weight at most."""

_SEED_WORD = 0xE1


@dataclass(frozen=True, kw_only=True)
class NominalSense:
    """One sense of median devices without mismatch; `waveforms` is None if it did not converge."""

    written: int
    r_bl_ohm: float
    r_blb_ohm: float
    read: int
    resolve_time_s: float
    energy_j: float
    waveforms: Waveforms | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found at a setting: `senses` of each written weight, and one nominal sense."""

    setting: Setting
    senses: int
    statistics: ErrorStatistics
    tallies: dict[int, SenseTally]
    nominal: NominalSense


@dataclass(frozen=True, kw_only=True, eq=False)
class Explorer:
    """A circuit and its devices, ready to be sensed wherever `controls` allow.

    Every setting senses the same devices and transistors (`seed`), scaled to its HRS median:
    what changes between two settings is not blurred by two draws.
    """

    circuit: SenseCircuit
    resistances: ResistanceModel
    controls: Controls
    engine: BatchEngine
    mismatch: bool = True
    seed: int = 1

    def prepare(self, report: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Extract every table and compile, so that `answer` never waits for ngspice.

        `report` is called with the conditions done and in all. Raises `InputError` for a circuit
        that the batch engine cannot solve.
        """
        controls = self.controls
        supplies = table_supplies(controls.vdd_v[0], controls.vdd_v[-1])
        wanted = [
            replace(
                controls.first.conditions, vdd_v=vdd_v, temperature_c=temperature_c, corner=corner
            )
            for corner in controls.corner
            for temperature_c in controls.temperature_c
            for vdd_v in supplies
        ]
        for done, conditions in enumerate(wanted):
            report(done, len(wanted))
            self.engine.prepare(self.circuit, conditions)
        report(len(wanted), len(wanted))

    def answer(self, setting: Setting, *, written: int, senses: int = STEP_SENSES) -> Answer:
        """Sense `senses` of each weight, and the median devices of `written` with waveforms.

        Steps that were sensed before are remembered. Raises `InputError` for a setting that the
        controls do not offer, or a number of senses that is no multiple of `STEP_SENSES` up to
        `MOST_SENSES`.
        """
        self.controls.check(setting)
        if written not in WRITTEN:
            raise InputError(f"written = {written}: a weight is -1, 0 or 1")
        if senses % STEP_SENSES or not STEP_SENSES <= senses <= MOST_SENSES:
            raise InputError(
                f"senses = {senses}: must be a multiple of {STEP_SENSES} up to {MOST_SENSES}"
            )
        steps = [_step(self, setting, step) for step in range(senses // STEP_SENSES)]
        tallies = {
            weight: sum((step[index] for step in steps[1:]), steps[0][index])
            for index, weight in enumerate(WRITTEN)
        }
        return Answer(
            setting=setting,
            senses=senses,
            statistics=ErrorStatistics(counts=np.array([tallies[w].count for w in WRITTEN])),
            tallies=tallies,
            nominal=_nominal(self, setting, written),
        )

    def resistances_at(self, setting: Setting) -> ResistanceModel:
        """The devices' statistics with the setting's HRS median."""
        hrs = self.resistances.hrs
        if setting.hrs_median_ohm == hrs.median_ohm:
            return self.resistances
        return replace(self.resistances, hrs=hrs.scaled(setting.hrs_median_ohm))


@lru_cache(maxsize=4096)
def _step(explorer: Explorer, setting: Setting, step: int) -> tuple[SenseTally, ...]:
    """One step's tallies, in the order of `WRITTEN`; all weights are sensed as one batch."""
    circuit, model = explorer.circuit, explorer.resistances_at(setting)
    sites = len(circuit.mismatch_sites(setting.conditions.corner)) if explorer.mismatch else 0
    scores = _scores(explorer.seed, step, sites)
    on_bl, on_blb = zip(*(model.states(w) for w in WRITTEN), strict=True)
    samples = SenseSamples(
        r_bl_ohm=np.concatenate([m.quantile(u[:, 0]) for m, u in zip(on_bl, scores, strict=True)]),
        r_blb_ohm=np.concatenate(
            [m.quantile(u[:, 1]) for m, u in zip(on_blb, scores, strict=True)]
        ),
        mismatch=scores[:, :, 2:].reshape(-1, sites),
    )
    outcome = explorer.engine.sense(circuit, setting.conditions, samples)
    return tuple(
        SenseTally.of(_part(outcome, slice(k * STEP_SENSES, (k + 1) * STEP_SENSES)))
        for k in range(len(WRITTEN))
    )


@lru_cache(maxsize=64)
def _scores(seed: int, step: int, sites: int) -> NDArray[np.float64]:
    """Standard-normal scores, shape (written, senses, 2 + sites): both devices, then mismatch."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, _SEED_WORD, step]))
    return rng.standard_normal((len(WRITTEN), STEP_SENSES, 2 + sites))


def _part(outcome: SenseOutcome, part: slice) -> SenseOutcome:
    return SenseOutcome(
        read=outcome.read[part],
        resolve_time_s=outcome.resolve_time_s[part],
        margin_v=outcome.margin_v[part],
        energy_j=outcome.energy_j[part],
        clock_energy_j=outcome.clock_energy_j[part],
        word_line_energy_j=outcome.word_line_energy_j[part],
        converged=outcome.converged[part],
    )


@lru_cache(maxsize=256)
def _nominal(explorer: Explorer, setting: Setting, written: int) -> NominalSense:
    pair = nominal_pair(explorer.resistances_at(setting), written)
    outcome = explorer.engine.sense(explorer.circuit, setting.conditions, pair, waveforms=True)
    return NominalSense(
        written=written,
        r_bl_ohm=float(pair.r_bl_ohm[0]),
        r_blb_ohm=float(pair.r_blb_ohm[0]),
        read=int(outcome.read[0]),
        resolve_time_s=float(outcome.resolve_time_s[0]),
        energy_j=float(outcome.energy_j[0]),
        waveforms=outcome.waveforms[0] if outcome.waveforms else None,
    )
