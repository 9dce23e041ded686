"""What is explored: an experiment file, or the folder of a run with its trade-off."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rramsim.engines import BatchEngine
from rramsim.experiment import Experiment, load_experiment
from rramsim.explore.accuracy import AccuracyTable
from rramsim.explore.controls import Setting, make_controls
from rramsim.explore.explorer import Explorer
from rramsim.stages import RunFolder
from rramsim.stages.provenance import refuse_changed
from rramsim.stages.rates import rate_cells
from rramsim.stages.sweep import SENSE
from rramsim.stages.tradeoff import TRADEOFF

if TYPE_CHECKING:
    from rramsim.rare import FailureRate

__all__ = ["Subject", "load_subject"]


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
