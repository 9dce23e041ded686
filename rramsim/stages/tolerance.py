"""Accuracy against the rate of each error type, with and without noise-aware training."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, ToleranceSection
from rramsim.figures import save_figure, tolerance_figure
from rramsim.files import atomic_path, folder_lock, output_folder
from rramsim.learning import EpochMetrics, ImageData, tolerance_factor, tolerated_rate
from rramsim.networks import BinaryFlips, TransitionErrors, WeightErrors
from rramsim.stages.evaluations import Evaluations
from rramsim.stages.folder import RunFolder
from rramsim.stages.train import NetworkPlan, network_plans, train_plan

__all__ = ["errors_of_type", "tolerance_stage", "tolerated_rates"]


def errors_of_type(kind: int, rate: float, weights: str) -> WeightErrors:
    """Read errors of one type alone: 1 sign flips, 2 a ±1 read as 0, 3 a 0 read as ±1, evenly.

    `rate` is the probability for a value that can make the error. Raises `InputError` for types 2
    and 3 of binary weights, which have no zero.

    >>> errors_of_type(3, 0.2, "ternary").matrix[1].tolist()
    [0.1, 0.8, 0.1]
    """
    if kind == 1:
        return BinaryFlips(rate)
    if weights == "binary":
        raise InputError(f"error type {kind} of binary weights: they have no zero; must be type 1")
    vanish, appear = (rate, 0.0) if kind == 2 else (0.0, rate)
    return TransitionErrors(
        [
            [1 - vanish, vanish, 0.0],
            [appear / 2, 1 - appear, appear / 2],
            [0.0, vanish, 1 - vanish],
        ]
    )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One training, and the error types that it is tested with."""

    plan: NetworkPlan
    trained_rate: float | None
    types: tuple[int, ...]

    @property
    def trained_with(self) -> str:
        """ "none", or the type and rate of the errors in training."""
        if self.trained_rate is None:
            return "none"
        return f"type {self.types[0]} at {self.trained_rate:g}"


def _cases(plans: tuple[NetworkPlan, ...], section: ToleranceSection) -> Iterator[_Case]:
    for seed in section.seeds:
        for base in plans:
            plan = replace(base, settings=replace(base.settings, seed=seed))
            weights = plan.spec.weights
            types = tuple(kind for kind in section.types if kind == 1 or weights == "ternary")
            # The reference of all others comes first.
            yield _Case(plan=plan, trained_rate=None, types=types)
            for rate in section.train_rates:
                for kind in types:
                    if rate != "none":
                        errors = errors_of_type(kind, float(rate), weights)
                        yield _Case(
                            plan=replace(plan, errors=errors), trained_rate=rate, types=(kind,)
                        )


def tolerance_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    train_report: Callable[[NetworkPlan, EpochMetrics], None] = lambda plan, metrics: None,
    report: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> pd.DataFrame:
    """Train the networks with every seed and test them into `tolerance.csv` and a figure.

    Takes the networks of [network] and the axes of [tolerance] (its defaults, if there is none);
    `report` is called with the trainings done, all of them and the one under way. What an
    interrupted run has trained and tested is not done again.
    """
    section = experiment.tolerance or ToleranceSection()
    plans = tuple(p for p in network_plans(experiment, folder, data) if p.errors is None)
    if not plans:
        raise InputError("[training] errors_vdd_v: must hold 'none' for rramsim tolerance")
    cases = list(_cases(plans, section))
    with folder_lock(folder.path):
        output_folder(folder.networks)
        folder.save_experiment(experiment)
        evaluations = Evaluations(folder, data, experiment)
        rows: list[dict[str, Any]] = []
        for number, case in enumerate(cases):
            name = f"{case.plan.spec.name}, seed {case.plan.settings.seed}, {case.trained_with}"
            report(number, len(cases), name)
            trained, _ = train_plan(case.plan, folder, data, report=train_report)
            clean = float(evaluations.right(trained, None, draw=0).mean())
            for kind in case.types:
                for rate in section.rates:
                    errors = errors_of_type(kind, rate, case.plan.spec.weights)
                    found = [
                        float(evaluations.right(trained, errors, draw=draw).mean())
                        for draw in range(experiment.test.draws)
                    ]
                    rows.append(
                        {
                            "network": case.plan.spec.name,
                            "weights": case.plan.spec.weights,
                            "seed": case.plan.settings.seed,
                            "trained_with": case.trained_with,
                            "data": data.label,
                            "epochs": case.plan.settings.epochs,
                            "type": kind,
                            "rate": rate,
                            "accuracy": float(np.mean(found)),
                            "lowest": min(found),
                            "highest": max(found),
                            "draws": len(found),
                            "images": evaluations.images,
                            "accuracy_without_errors": clean,
                        }
                    )
            table = pd.DataFrame(rows)
            with atomic_path(folder.path / "tolerance.csv") as temporary:
                table.to_csv(temporary, index=False)
        report(len(cases), len(cases), "")
        summary = tolerated_rates(table, max_loss=section.max_loss)
        with atomic_path(folder.path / "tolerated_rates.csv") as temporary:
            summary.to_csv(temporary, index=False)
        save_figure(tolerance_figure(table, max_loss=section.max_loss), folder.path, "tolerance")
    return summary


def tolerated_rates(table: pd.DataFrame, *, max_loss: float) -> pd.DataFrame:
    """Tolerated rates out of the rows of `tolerance.csv`, a row for each network, training, type.

    The rate is where the accuracy falls `max_loss` points below that of the same seed's network
    that was trained and is read without errors. Geometric mean over seeds; `factor` is against
    training without errors, with Student's 95 % interval over seeds; `own_factor` is it if each
    network is held to its own accuracy without errors, which training with errors lowers. A rate is
    0, or infinite, if a seed's lies below, or above, all that were tested.
    """
    reference = (
        table[table.trained_with == "none"]
        .drop_duplicates(["network", "seed"])
        .set_index(["network", "seed"])
        .accuracy_without_errors
    )

    def rates_of(rows: pd.DataFrame, network: str, *, own: bool) -> list[float]:
        rates = []
        for seed, mine in rows.sort_values("rate").groupby("seed"):
            clean = mine.accuracy_without_errors if own else reference[(network, seed)]
            losses = 100 * (clean - mine.accuracy)
            rates.append(tolerated_rate(mine.rate.tolist(), losses.tolist(), max_loss))
        return rates

    found: dict[tuple[str, str, int], list[float]] = {}
    own: dict[tuple[str, str, int], list[float]] = {}
    for _, rows in table.groupby(["network", "trained_with", "type"], sort=False):
        first = rows.iloc[0]
        key = (first.network, first.trained_with, first.type)
        found[key] = rates_of(rows, first.network, own=False)
        own[key] = rates_of(rows, first.network, own=True)
    summary = []
    for (network, trained_with, kind), rates in found.items():
        mean = float(np.exp(np.mean(np.log(rates)))) if min(rates) > 0 else 0.0
        rows = table[(table.network == network) & (table.trained_with == trained_with)]
        row: dict[str, Any] = {
            "network": network,
            "trained_with": trained_with,
            "type": kind,
            "seeds": len(rates),
            "accuracy_without_errors": rows.accuracy_without_errors.mean(),
            "max_loss": max_loss,
            "tolerated_rate": mean,
            "lowest": min(rates),
            "highest": max(rates),
        }
        if trained_with != "none":
            factor = tolerance_factor(rates, found[(network, "none", kind)])
            row |= {"factor": factor.value, "factor_low": factor.low, "factor_high": factor.high}
            factor = tolerance_factor(
                own[(network, trained_with, kind)], own[(network, "none", kind)]
            )
            row |= {
                "own_factor": factor.value,
                "own_factor_low": factor.low,
                "own_factor_high": factor.high,
            }
        summary.append(row)
    return pd.DataFrame(summary)
