"""Accuracy and energy of every network under every set of conditions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from rramsim.costs import (
    TRADEOFF_COLUMNS,
    census_on,
    cost_rows,
    gates_of_process,
    sense_energy_at,
    tradeoff_row,
    with_places,
)
from rramsim.counting import conditions_of, load_dataset, statistics_at
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
from rramsim.networks import errors_of_statistics
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
    conditions = conditions_of(dataset)
    networks = networks or trained_networks(experiment, folder, data)
    tests = Evaluations(folder, data, experiment)
    draws = experiment.test.draws
    total = len(networks) * (1 + len(conditions) * draws)
    done = 0
    circuit = experiment.make_circuit()
    gates = gates_of_process(circuit.process)
    rows: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    for trained in networks:
        plan = trained.plan
        census = census_on(trained.network, data)
        clean = tests.right(trained, None, draw=0)
        report(done := done + 1, total)
        for condition in conditions:
            statistics = statistics_at(dataset, condition)
            noisy = []
            for draw in range(draws):
                rng = np.random.default_rng([experiment.test.seed, draw])
                errors = errors_of_statistics(statistics, plan.spec.weights, rng=rng)
                noisy.append(tests.right(trained, errors, draw=draw))
                report(done := done + 1, total)
            sense = sense_energy_at(dataset, condition)
            row = tradeoff_row(
                spec=plan.spec,
                trained_with=plan.trained_with,
                data=data.label,
                conditions=condition,
                statistics=statistics,
                sense=sense,
                census=census,
                clean=clean,
                noisy=np.array(noisy),
            )
            rows.append(row)
            costs += cost_rows(row, census, sense, circuit=circuit, gates=gates)
    table = pd.DataFrame(rows, columns=list(TRADEOFF_COLUMNS))
    with atomic_path(folder.tradeoff) as temporary:
        table.to_csv(temporary, index=False)
    placed = with_places(pd.DataFrame(costs))
    with atomic_path(folder.costs) as temporary:
        placed.to_csv(temporary, index=False)
    if placed.total_j.notna().any():
        save_figure(front_figure(placed), folder.path, "front")
        save_figure(efficiency_figure(placed), folder.path, "efficiency")
    save_figure(loss_figure(table), folder.path, "loss")
    save_figure(energy_accuracy_figure(table), folder.path, "energy_accuracy")
    return table
