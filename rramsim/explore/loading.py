"""What is explored: an experiment file, or the folder of a run with its trade-off."""

from dataclasses import dataclass
from pathlib import Path

from rramsim.engines import BatchEngine
from rramsim.experiment import Experiment, load_experiment
from rramsim.explore.accuracy import AccuracyTable
from rramsim.explore.controls import make_controls
from rramsim.explore.explorer import Explorer
from rramsim.stages import RunFolder
from rramsim.stages.sweep import SENSE
from rramsim.stages.tradeoff import TRADEOFF

__all__ = ["Subject", "load_subject"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An experiment with what answers for it; `accuracy` is None, and `lack` says why, without."""

    title: str
    experiment: Experiment
    explorer: Explorer
    accuracy: AccuracyTable | None
    lack: str = ""


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
    sense = SENSE.read(folder)
    if sense is not None and sense.attrs.get("circuit_sha256") != explorer.circuit.sha256:
        return None, (
            "Not shown: the circuit, its column or its process is no longer the one that was "
            "swept; run the experiment again into a new folder."
        )
    return AccuracyTable(rows=rows, hrs_median_ohm=explorer.resistances.hrs.median_ohm), ""
