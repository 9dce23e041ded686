"""Accuracy and energy of every network under every set of conditions."""

from collections.abc import Callable

import pandas as pd

from rramsim.costs import TestedNetwork, tradeoff_tables
from rramsim.counting import load_dataset
from rramsim.experiment import Experiment
from rramsim.figures import (
    efficiency_figure,
    energy_accuracy_figure,
    front_figure,
    loss_figure,
    save_figure,
)
from rramsim.files import atomic_path, folder_lock
from rramsim.learning import ImageData
from rramsim.stages.evaluations import Evaluations
from rramsim.stages.folder import RunFolder
from rramsim.stages.train import TrainedNetwork, trained_networks

__all__ = ["tradeoff_stage"]


def tradeoff_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    networks: tuple[TrainedNetwork, ...] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Test every network with the errors of every supply into `tradeoff.csv`, `costs.csv` and
    figures.

    Each draw draws the error rates from what the counts leave open, then the errors: so the spread
    between draws holds what is not known of the rates.

    `networks`: those just trained; read from the folder if None. `report` gets the tests done
    and their total. Raises `InputError` if another run is writing in the folder.
    """
    with folder_lock(folder.path):
        return _test(experiment, folder, data, networks, report)


def _test(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    networks: tuple[TrainedNetwork, ...] | None,
    report: Callable[[int, int], None],
) -> pd.DataFrame:
    dataset = load_dataset(folder.sense)
    networks = networks or trained_networks(experiment, folder, data)
    tests = Evaluations(folder, data, experiment)
    tested = {
        TestedNetwork(
            spec=one.plan.spec, network=one.network, trained_with=one.plan.trained_with
        ): one
        for one in networks
    }
    table, placed = tradeoff_tables(
        tuple(tested),
        dataset,
        data,
        circuit=experiment.make_circuit(),
        right=lambda one, errors, draw: tests.right(tested[one], errors, draw=draw),
        draws=experiment.test.draws,
        seed=experiment.test.seed,
        report=report,
    )
    with atomic_path(folder.tradeoff) as temporary:
        table.to_csv(temporary, index=False)
    with atomic_path(folder.costs) as temporary:
        placed.to_csv(temporary, index=False)
    if placed.total_j.notna().any():
        save_figure(front_figure(placed), folder.path, "front")
        save_figure(efficiency_figure(placed), folder.path, "efficiency")
    save_figure(loss_figure(table), folder.path, "loss")
    save_figure(energy_accuracy_figure(table), folder.path, "energy_accuracy")
    return table
