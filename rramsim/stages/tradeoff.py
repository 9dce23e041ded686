"""Accuracy and energy of every network under every set of conditions."""

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rramsim import costs, figures
from rramsim.exceptions import InputError
from rramsim.records import CostRow, TradeoffRow
from rramsim.stages.errors import ERROR_STATISTICS, ERRORS
from rramsim.stages.evaluations import EVALUATIONS, Evaluations
from rramsim.stages.folder import RunFolder, Table
from rramsim.stages.rates import FOUND, RARE, found_rates
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.sweep import SENSE
from rramsim.stages.train import TRAINING, trained_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from rramsim.circuits import SenseConditions
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table as Texts

TRADEOFF = Table(
    name="tradeoff.csv", schema="rramsim tradeoff 1", record=TradeoffRow,
    holds="accuracy and read energy of every network under every set of conditions",
)  # fmt: skip
COSTS = Table(
    name="costs.csv", schema="rramsim costs 1", record=CostRow,
    holds="what an image costs, part by part, for every data flow",
)  # fmt: skip

Point = tuple[Any, ...]
_POINT = ["network", "trained_with_errors", "vdd_v", "temperature_c", "corner", "window_s"]
_LOOKS = 5
"""How often a question is looked at while draws are added."""


def only_backprop(experiment: "Experiment") -> str:
    """Why networks of another rule cannot be tested layer by layer; empty where they can."""
    rule = experiment.training.rule
    if rule == "backprop":
        return ""
    return f"[training] rule = {rule!r}: defined for networks of rule 'backprop' only"


def _run(work: Work) -> None:
    """Test every network with the errors of every supply.

    Each draw draws the error rates from what the counts leave open, or, where they saw nothing,
    from what the authority knows (`found_rates`), then the errors: so the spread between draws
    holds what is not known of the rates. Draws that a question added (`decided`) stay.
    """
    kept: dict[Point, int] = {}
    with suppress(InputError):  # a damaged table is made again
        if TRADEOFF.read(work.folder):
            kept = _draws(TRADEOFF.frame(work.folder))
    least = work.experiment.test.draws
    table, paid = _tables(work, lambda one, at: max(least, kept.get(_point(one, at), 0)))
    TRADEOFF.write(work.folder, table.to_dict("records"))
    COSTS.write(work.folder, paid.to_dict("records"))


def _tables(
    work: Work, draws: "Callable[[costs.TestedNetwork, SenseConditions], int]"
) -> "tuple[DataFrame, DataFrame]":
    """The trade-off and its costs with so many draws of each point; what was tested is kept."""
    experiment, folder, data = work.experiment, work.folder, work.images()
    dataset = SENSE.need(folder)
    found = found_rates(work, dataset)
    networks = work.kept.get("train") or trained_networks(experiment, folder, data)
    tests = Evaluations(folder, data, experiment, work.runner)
    tested = {
        costs.TestedNetwork(
            spec=one.plan.spec, network=one.network, trained_with=one.plan.trained_with
        ): one
        for one in networks
    }
    return tests.made(
        lambda right: costs.tradeoff_tables(
            tuple(tested),
            dataset,
            data,
            circuit=experiment.make_circuit(),
            right=lambda one, errors, draw: right(tested[one], errors, draw),
            draws=draws,
            seed=experiment.test.seed,
            found=lambda conditions: found[conditions],
            adapted_with=tests.adaptation.inferences,
        ),
        report=work.report,
    )


def decided(work: Work, target: "costs.SupplyTarget") -> "costs.SupplyAnswer":
    """The answer to a question, with draws added until every network is decided.

    Designs of a network that is not get two to four times as many draws, as they seem to need, the
    nearest first: those that are open on the test images themselves, and one that is open only on
    images like them as long as draws can decide it. At most `_LOOKS` looks in all, each at a
    confidence that makes all of them hold at 95 %; and in all at most as many tests again as the
    trade-off had. What remains is undecided in the answer.
    """
    target = replace(target, looks=_LOOKS)
    table = TRADEOFF.frame(work.folder)
    draws = _draws(table)
    left = sum(draws.values())
    answer = costs.lowest_supply(table, target)
    for _ in range(_LOOKS - 1):
        wanted = wanted_draws(table, target, draws, left)
        if not wanted:
            break
        left -= sum(wanted.values())
        draws.update({point: draws[point] + more for point, more in wanted.items()})
        table, paid = _tables(
            work,
            lambda one, at: draws[_point(one, at)],
        )
        TRADEOFF.write(work.folder, table.to_dict("records"))
        COSTS.write(work.folder, paid.to_dict("records"))
        table = TRADEOFF.frame(work.folder)
        answer = costs.lowest_supply(table, target)
    return answer


def _point(one: "costs.TestedNetwork", at: "SenseConditions") -> Point:
    return one.spec.name, one.trained_with, at.vdd_v, at.temperature_c, at.corner, at.window_s


def _draws(table: "DataFrame") -> dict[Point, int]:
    """Of each point, how many draws it has."""
    return dict(zip(map(tuple, table[_POINT].to_numpy()), table.draws, strict=True))


def wanted_draws(
    table: "DataFrame", target: "costs.SupplyTarget", draws: dict[Point, int], left: int
) -> dict[Point, int]:
    """How many draws more of which points, of `left` in all."""
    these = costs.lowest_supply(table, replace(target, these_images=True)).open
    alike = [
        d for d in costs.lowest_supply(table, target).undecided if d.is_decided_by_draws(target)
    ]
    wanted: dict[Point, int] = {}
    for design in sorted((*these, *alike), key=lambda design: design.bound):
        points = [tuple(row) for row in table[design.rows(table, target)][_POINT].to_numpy()]
        new = {point: draws[point] for point in points if point not in wanted}
        affordable = left // max(sum(new.values()), 1)
        if times := min(design.times_more(target), affordable):
            wanted |= {point: times * many for point, many in new.items()}
            left -= times * sum(new.values())
    return wanted


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    table, paid = TRADEOFF.frame(folder), COSTS.frame(folder)
    drawn = {
        "loss": figures.loss_figure(table),
        "energy_accuracy": figures.energy_accuracy_figure(table),
    }
    drawn |= {"errors": ERROR_STATISTICS.draw(folder)["errors"]}  # with the rare rates
    if paid.total_j.notna().any():
        drawn |= {
            "front": figures.front_figure(paid),
            "efficiency": figures.efficiency_figure(paid),
        }
    return drawn


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.tradeoffs import front_table

    return [front_table(TRADEOFF.need(folder))]


def _sections(results: Results) -> "list[figures.Section]":
    from rramsim.figures.senses import waveform_label
    from rramsim.figures.tradeoffs import front_details

    rows = results.read(TRADEOFF)
    if rows is None:
        return []
    record, nominal = results.read(ERRORS), results.nominal
    errors = record.conditions if record else []
    drawn = frozenset(
        waveform_label(v) for v in ([] if nominal is None else nominal.vdd.values.tolist())
    )
    return [
        figures.answer_section(rows, results.target),
        figures.Section(
            key="accuracy",
            title="Accuracy lost to read errors",
            figures=(figures.loss_figure(rows),),
        ),
        figures.Section(
            key="front",
            title="Energy and accuracy",
            figures=(figures.energy_accuracy_figure(rows, errors),),
            details=front_details(rows, errors, drawn),
            tables=(*_summary(results.folder), *_costs(results)),
        ),
    ]


def _costs(results: Results) -> "list[Texts]":
    """What an image costs, part by part, of every design."""
    from rramsim.figures.chart import Table as Texts
    from rramsim.figures.numbers import engineering
    from rramsim.figures.rates import environment
    from rramsim.figures.tradeoffs import network_label

    def joule(*parts: float | None) -> str:
        known = [part for part in parts if part is not None]
        return engineering(sum(known), "J") if len(known) == len(parts) else ""

    header = (
        "network", "VDD", "T, corner, window", "data flow", "reads", "drivers", "logic", "buffers",
        "total", "latency", "place",
    )  # fmt: skip
    rows = tuple(
        (
            network_label(row),
            f"{row.vdd_v:g} V",
            environment(row),
            row.flow,
            joule(row.amplifier_j, row.clock_j, row.word_line_j),
            joule(row.drivers_j),
            joule(row.products_j, row.tree_j, row.accumulators_j, row.thresholds_j),
            joule(row.buffers_j),
            joule(row.total_j),
            "" if row.latency_s is None else engineering(row.latency_s, "s"),
            row.place,
        )
        for row in results.read(COSTS) or ()
    )
    title = "Energy of one image, part by part: reads simulated, logic counted, the rest estimated"
    numeric = (1, 4, 5, 6, 7, 8, 9)
    return [Texts(title=title, header=header, rows=rows, numeric=numeric, folded=True)][: len(rows)]


TRADE_OFF = Stage(
    name="tradeoff",
    title="Energy and accuracy",
    first=True,
    answers="What accuracy is left, for which energy, at every supply?",
    run=_run,
    unit="tests",
    files=(FOUND, RARE, EVALUATIONS, TRADEOFF, COSTS),
    needs=(SENSE, TRAINING),
    rows=EVALUATIONS,
    of_run=True,
    images=True,
    lacks=only_backprop,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
