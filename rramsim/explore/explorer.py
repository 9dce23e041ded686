"""From where the sliders stand to error rates, energies and waveforms, by the batch engine."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit
from rramsim.counting import ErrorStatistics, SenseTally
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.engines import BatchEngine, SenseOutcome, SenseSamples, Waveforms, table_supplies
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, load_experiment
from rramsim.explore.controls import Controls, Setting, make_controls
from rramsim.figures.tradeoffs import by_network
from rramsim.records import TradeoffRow
from rramsim.stages import RunFolder
from rramsim.stages.nominal import nominal_pair
from rramsim.stages.provenance import refuse_changed
from rramsim.stages.rates import rate_cells
from rramsim.stages.sweep import SENSE
from rramsim.stages.tradeoff import TRADEOFF

if TYPE_CHECKING:
    from rramsim.rare import FailureRate

_AXES = {"vdd_v": "V", "temperature_c": "°C", "window_s": "s"}
Place = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AccuracyHere:
    """One network's accuracy at a setting; `interpolated` where it lies between tested points.

    The interval is that of the tested point, or spans those of all points around the setting.
    """

    network: str
    value: float
    low: float
    high: float
    without_errors: float
    interpolated: bool


@dataclass(frozen=True, kw_only=True)
class AccuracyTable:
    """The rows of `tradeoff.csv`, and the HRS median (ohm) that they hold for."""

    rows: tuple[TradeoffRow, ...]
    hrs_median_ohm: float

    def at(self, setting: Setting) -> tuple[tuple[AccuracyHere, ...], str]:
        """Every network's accuracy, and, if there is none, why.

        Linear in supply, temperature and the logarithm of the window between neighbouring points
        of the table; nothing outside of them, at another corner or at another HRS median.
        """
        if not math.isclose(setting.hrs_median_ohm, self.hrs_median_ohm, rel_tol=1e-9):
            return (), (
                f"The networks were tested at an HRS median of {self.hrs_median_ohm / 1e3:g} kΩ; "
                "set the slider there."
            )
        corner = setting.conditions.corner
        rows = [row for row in self.rows if row.corner == corner]
        if not rows:
            return (), f"The networks were not tested at corner {corner}."
        found = []
        for name, mine in by_network(rows).items():
            table = {tuple(getattr(row, axis) for axis in _AXES): row for row in mine}
            weights = _weights(list(table), setting)
            if isinstance(weights, str):
                return (), weights
            if any(place not in table for place in weights):
                continue
            around = [(table[place], weight) for place, weight in weights.items()]
            found.append(
                AccuracyHere(
                    network=name,
                    value=sum(weight * row.accuracy for row, weight in around),
                    low=min(row.accuracy_low for row, _ in around),
                    high=max(row.accuracy_high for row, _ in around),
                    without_errors=around[0][0].accuracy_without_errors,
                    interpolated=len(around) > 1,
                )
            )
        return tuple(found), "" if found else "The points around this setting were not tested."


def _weights(places: Sequence[Place], setting: Setting) -> dict[Place, float] | str:
    """The tested places around a setting with their weights; or which axis ends before it."""
    sides: list[list[tuple[float, float]]] = []
    for index, (axis, unit) in enumerate(_AXES.items()):
        values = sorted({place[index] for place in places})
        value = getattr(setting.conditions, axis)
        if not values[0] <= value <= values[-1]:
            ends = " to ".join(f"{v:g}" for v in dict.fromkeys((values[0], values[-1])))
            if axis == "window_s":
                ends = " to ".join(f"{1e9 * v:g}" for v in dict.fromkeys((values[0], values[-1])))
                unit = "ns"
            name = axis.rpartition("_")[0].replace("vdd", "supply")
            return f"Not extrapolated: the networks were tested at a {name} of {ends} {unit}."
        if value in values:
            sides.append([(value, 1.0)])
            continue
        low = max(v for v in values if v < value)
        high = min(v for v in values if v > value)
        scale = math.log if axis == "window_s" else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low))
        sides.append([(low, 1 - share), (high, share)])
    return {
        tuple(v for v, _ in corner): math.prod(weight for _, weight in corner)
        for corner in product(*sides)
    }


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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An experiment with what answers for it; `accuracy` is None, and `lack` says why, without."""

    title: str
    experiment: Experiment
    explorer: Explorer
    accuracy: AccuracyTable | None
    lack: str = ""

    def rates(self, setting: Setting) -> "dict[str, FailureRate]":
        """The rate of each error type ("type 1", ...) at a setting, down to 1e-9.

        The same question as `rramsim rate` and the map ask, so the same answer; some ten seconds
        each where errors are too rare to count. Raises `InputError` as they do, and for a setting
        that the controls do not offer.
        """
        self.explorer.controls.check(setting)
        devices = self.explorer.resistances_at(setting)
        cells = rate_cells(self.experiment, [setting.conditions], resistances=devices)
        return {cell.failure.criterion.name: cell.answer() for cell in cells}


def load_subject(
    path: Path, *, temperatures_c: tuple[float, ...] = (), corners: tuple[str, ...] = ()
) -> Subject:
    """Read an experiment file, or the folder of a run.

    Raises `InputError` if it is neither, is damaged, or describes what cannot be sensed.
    """
    folder = RunFolder(path=path) if path.is_dir() else None
    experiment = folder.load_experiment() if folder else load_experiment(path)
    experiment.sense.refuse_spread("the explorer")
    explorer = Explorer(
        circuit=experiment.make_circuit(),
        resistances=experiment.make_resistances(),
        controls=make_controls(experiment, temperatures_c=temperatures_c, corners=corners),
        engine=BatchEngine(tolerance_v=experiment.errors.tolerance_v),
        mismatch=experiment.sense.mismatch,
        seed=experiment.errors.seed,
    )
    accuracy, lack = _accuracy(folder, explorer)
    return Subject(
        title=f"rramsim explorer: {folder.path.resolve().name if folder else path.stem}",
        experiment=experiment,
        explorer=explorer,
        accuracy=accuracy,
        lack=lack,
    )


def _accuracy(folder: RunFolder | None, explorer: Explorer) -> tuple[AccuracyTable | None, str]:
    """The folder's trade-off, or why it is not shown."""
    rows = TRADEOFF.read(folder) if folder else None
    if folder is None or rows is None:
        return None, (
            "Not there: rramsim run EXPERIMENT.toml --out DIR makes tradeoff.csv, which has the "
            "accuracies; explore DIR then."
        )
    refuse_changed(folder, (TRADEOFF, SENSE))
    sense = SENSE.read(folder)
    if sense is not None and sense.attrs.get("circuit_sha256") != explorer.circuit.sha256:
        return None, (
            "Not shown: the circuit, its column or its process is no longer the one that was "
            "swept; run the experiment again into a new folder."
        )
    return AccuracyTable(rows=rows, hrs_median_ohm=explorer.resistances.hrs.median_ohm), ""
