"""Accuracy against the rate of each error type, with and without noise-aware training."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim import figures, networks
from rramsim.exceptions import InputError
from rramsim.records import ToleranceRow, ToleratedRow
from rramsim.stages.evaluations import EVALUATIONS, Evaluations, Right
from rramsim.stages.folder import RunFolder, Table
from rramsim.stages.plans import NetworkPlan, Plan, TrainedNetwork, network_plans
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.tradeoff import only_backprop
from rramsim.stages.train import train_plans

if TYPE_CHECKING:
    import pandas as pd

    from rramsim.experiment import Experiment, ToleranceSection
    from rramsim.figures.chart import Table as Texts
    from rramsim.learning import EpochMetrics

TOLERANCE = Table(
    name="tolerance.csv", schema="rramsim tolerance 1", record=ToleranceRow,
    holds="accuracy of every network against the rate of each error type",
)  # fmt: skip
TOLERATED = Table(
    name="tolerated_rates.csv", schema="rramsim tolerated rates 1", record=ToleratedRow,
    holds="the rate at which each network loses a given accuracy",
)  # fmt: skip


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


def _cases(plans: tuple[NetworkPlan, ...], section: "ToleranceSection") -> Iterator[_Case]:
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
                        errors = networks.errors_of_type(kind, float(rate), weights)
                        yield _Case(
                            plan=replace(plan, errors=errors), trained_rate=rate, types=(kind,)
                        )


def _run(work: Work) -> None:
    """Train the networks with every seed and test them into `tolerance.csv` and a figure.

    Takes the networks of [network] and the axes of [tolerance] (its defaults, if there is none).
    """
    import pandas as pd

    from rramsim.experiment import ToleranceSection

    experiment, folder, data = work.experiment, work.folder, work.images()
    section = experiment.tolerance or ToleranceSection()
    plans = tuple(p for p in network_plans(experiment, folder, data) if p.errors is None)
    cases = list(_cases(plans, section))
    named = {
        case.plan.name: f"{case.plan.spec.name}, seed {case.plan.settings.seed}, "
        f"{case.trained_with}"
        for case in cases
    }
    done = dict.fromkeys(named, 0.0)
    steps = 1 + sum(case.plan.epochs for case in cases)

    def say(plan: Plan, said: "EpochMetrics | float") -> None:
        done[plan.name] = said if isinstance(said, float) else said.epoch
        work.report(sum(done.values()), steps, named[plan.name])

    trained = train_plans(work, [case.plan for case in cases], say=say)
    tests = Evaluations(folder, data, experiment, work.runner)

    def rows_of(right: Right) -> list[dict[str, Any]]:
        return [
            row
            for case, network in zip(cases, trained, strict=True)
            for row in _rows(case, network, section, experiment.test.draws, right)
        ]

    rows = [
        row | {"data": data.label, "images": tests.images}
        for row in tests.made(rows_of, report=work.report)
    ]
    TOLERANCE.write(folder, rows)
    table = pd.DataFrame(rows)
    summary = tolerated_rates(table, max_loss=section.max_loss)
    TOLERATED.write(folder, summary.to_dict("records"))


def _rows(
    case: _Case, network: TrainedNetwork, section: "ToleranceSection", draws: int, right: Right
) -> Iterator[dict[str, Any]]:
    """A row for each type and rate that a training is tested with."""
    plan = case.plan
    clean = float(right(network, None, 0).mean())
    for kind in case.types:
        for rate in section.rates:
            errors = networks.errors_of_type(kind, rate, plan.spec.weights)
            found = [float(right(network, errors, draw).mean()) for draw in range(draws)]
            yield {
                "network": plan.spec.name,
                "weights": plan.spec.weights,
                "seed": plan.settings.seed,
                "trained_with": case.trained_with,
                "epochs": plan.settings.epochs,
                "type": kind,
                "rate": rate,
                "accuracy": float(np.mean(found)),
                "lowest": min(found),
                "highest": max(found),
                "draws": draws,
                "accuracy_without_errors": clean,
            }


def _lacks(experiment: "Experiment") -> str:
    if why := only_backprop(experiment):
        return why
    if "none" not in experiment.training.errors_vdd_v:
        return "[training] errors_vdd_v must hold 'none'"
    return ""


def tolerated_rates(table: "pd.DataFrame", *, max_loss: float) -> "pd.DataFrame":
    """Tolerated rates out of the rows of `tolerance.csv`, a row for each network, training, type.

    The rate is where the accuracy falls `max_loss` points below that of the same seed's network
    that was trained and is read without errors. Geometric mean over seeds; `factor` is against
    training without errors, with Student's 95 % interval over seeds; `own_factor` is it if each
    network is held to its own accuracy without errors, which training with errors lowers. A rate is
    0, or infinite, if a seed's lies below, or above, all that were tested.
    """
    import pandas as pd

    reference = (
        table[table.trained_with == "none"]
        .drop_duplicates(["network", "seed"])
        .set_index(["network", "seed"])
        .accuracy_without_errors
    )

    def rates_of(rows: "pd.DataFrame", network: str, *, own: bool) -> list[float]:
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


def tolerated_rate(rates: Sequence[float], losses: Sequence[float], limit: float) -> float:
    """The error rate at which the loss of accuracy first reaches `limit`.

    `rates` rise, above 0; `losses` are those at them, in the unit of `limit`. Between two rates the
    loss is taken as linear in the rate's logarithm. 0 if the lowest rate loses that much already,
    infinity if the highest does not. Raises `InputError` for rates that do not rise.

    >>> round(tolerated_rate([0.001, 0.01, 0.1], [0.0, 1.0, 5.0], 3.0), 4)
    0.0316
    >>> tolerated_rate([0.001, 0.01], [0.0, 1.0], 3.0)
    inf
    """
    rising = list(rates) == sorted(set(rates))
    if not rates or rates[0] <= 0 or not rising or len(rates) != len(losses):
        raise InputError(f"rates = {list(rates)}: must rise from above 0, with a loss for each")
    if losses[0] >= limit:
        return 0.0
    for (low, before), (high, after) in itertools.pairwise(zip(rates, losses, strict=True)):
        if after >= limit:
            share = (limit - before) / (after - before)
            return math.exp(math.log(low) + share * math.log(high / low))
    return math.inf


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A ratio of tolerated rates: the geometric mean over seeds and its 95 % interval.

    Not a number where a seed's rate lies outside of the rates that were tested; the interval, where
    there is one seed.
    """

    value: float
    low: float
    high: float


def tolerance_factor(trained: Sequence[float], plain: Sequence[float]) -> Factor:
    """By which factor the tolerated rates `trained` exceed `plain`, seed by seed.

    Student's interval for the mean logarithm of the ratios.

    >>> factor = tolerance_factor([0.02, 0.04], [0.01, 0.01])
    >>> round(factor.value, 3)
    2.828
    """
    from scipy import stats

    if len(trained) != len(plain) or not trained:
        raise InputError(f"{len(trained)} rates against {len(plain)}: must be as many, at least 1")
    pairs = np.array([trained, plain], dtype=float)
    if not (np.isfinite(pairs).all() and (pairs > 0).all()):
        return Factor(value=math.nan, low=math.nan, high=math.nan)
    logs = np.log(pairs[0] / pairs[1])
    half = math.nan
    if len(logs) > 1:
        half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs))
    mean = float(logs.mean())
    return Factor(value=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half))


_HEADER = (
    "network", "trained with", "no errors", "type", "tolerated rate", "factor (95 %)",
    "to its own accuracy",
)  # fmt: skip


def _cells(row: ToleratedRow) -> tuple[str, ...]:
    """A row's texts for a table."""

    def factor(name: str) -> str:
        if row.trained_with == "none":
            return ""
        value, low, high = (getattr(row, f"{name}{end}") for end in ("", "_low", "_high"))
        if value is None:
            return "beyond the tested rates"
        if low is None or high is None:  # one seed
            return f"{value:.2f}"
        return f"{value:.2f} ({low:.2f}–{high:.2f})"

    return (
        row.network,
        row.trained_with,
        f"{100 * row.accuracy_without_errors:.1f} %",
        str(row.type),
        f"{row.tolerated_rate:.3g} ({row.lowest:.3g}–{row.highest:.3g})",
        factor("factor"),
        factor("own_factor"),
    )


def _title(rows: tuple[ToleratedRow, ...]) -> str:
    return (
        f"rate at which {rows[0].max_loss:g} points of accuracy are lost (mean and range over "
        "seeds)"
    )


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    max_loss = TOLERATED.need(folder)[0].max_loss
    return {"tolerance": figures.tolerance_figure(TOLERANCE.frame(folder), max_loss=max_loss)}


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.chart import Table as Texts

    rows = TOLERATED.need(folder)
    cells = tuple(_cells(row) for row in rows)
    return [Texts(title=_title(rows).capitalize(), header=_HEADER, rows=cells, numeric=(2, 3, 4))]


def _sections(results: Results) -> "list[figures.Section]":
    from rramsim.figures.chart import Table as Texts
    from rramsim.figures.numbers import percent_interval

    tables = list(_summary(results.folder)) if results.read(TOLERATED) else []
    if tested := results.read(TOLERANCE):
        header = ("network", "trained with", "seed", "type", "rate", "accuracy")
        tables.append(
            Texts(
                title="Accuracy at every rate (mean and range over draws)",
                header=header,
                rows=tuple(
                    (
                        row.network, row.trained_with, str(row.seed), str(row.type),
                        f"{row.rate:.3g}",
                        percent_interval(row.accuracy, row.lowest, row.highest),
                    )
                    for row in tested
                ),
                numeric=(2, 3, 4, 5),
                folded=True,
            )
        )  # fmt: skip
    if not tables:
        return []
    drawn = tuple(_draw(results.folder).values()) if len(tables) == 2 else ()
    title = "Tolerated error rates"
    return [figures.Section(key="tolerance", title=title, figures=drawn, tables=tuple(tables))]


TOLERATED_RATES = Stage(
    name="tolerance",
    title="Tolerated error rates",
    answers="Which rate of each error type does a network tolerate? (No circuit is simulated.)",
    run=_run,
    unit="trainings",
    files=(EVALUATIONS, TOLERANCE, TOLERATED),
    rows=EVALUATIONS,
    images=True,
    lacks=_lacks,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
