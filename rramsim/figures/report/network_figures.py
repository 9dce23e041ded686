"""Training curves, accuracy against the supply, and chips' distributions."""

from collections.abc import Sequence

import numpy as np

from rramsim.figures.report.figure import ReportFigure, ReportTable, Variant, record_csv
from rramsim.figures.report.numbers import percent, percent_interval
from rramsim.figures.report.plot import DODGED, Plot, Point
from rramsim.figures.report.records import (
    ChipRow,
    ChipsRecord,
    EnsembleRecord,
    TradeoffRow,
    TrainingRow,
    by_network,
)
from rramsim.figures.report.scales import linear

__all__ = [
    "accuracy_figure",
    "by_environment",
    "chips_figure",
    "chips_table",
    "training_figure",
    "training_table",
]

_KINDS = {
    "chip": "chips, one amplifier a column",
    "own": "chips, an amplifier a synapse",
    "iid": "independent errors, same rates",
}
_MOST_POINTS = 60


def by_environment(rows: Sequence[TradeoffRow]) -> dict[str, list[TradeoffRow]]:
    """The trade-off's rows by temperature, corner and window."""
    groups: dict[str, list[TradeoffRow]] = {}
    for row in rows:
        groups.setdefault(row.environment, []).append(row)
    return groups


def training_figure(rows: Sequence[TrainingRow]) -> ReportFigure:
    """Test accuracy after every epoch, a line a network."""
    groups = by_network(rows)
    plot = Plot(
        label="Test accuracy after every epoch", x_label="epoch", y_label="test accuracy (%)",
        legend=list(groups),
    )  # fmt: skip
    plot.axes(
        linear([row.epoch for row in rows], *plot.x_range, whole=True),
        linear([100 * row.test_accuracy for row in rows], *plot.y_range),
    )
    for series, (name, mine) in enumerate(groups.items()):
        points = [
            Point(
                x=row.epoch,
                y=100 * row.test_accuracy,
                tip=f"{name}\nafter epoch {row.epoch}: {percent(row.test_accuracy, 2)}",
            )
            for row in mine
        ]
        plot.line([(p.x, p.y) for p in points], series=series)
        # Hundreds of epochs are a line; the last one keeps its point.
        plot.points(points if len(points) <= _MOST_POINTS else points[-1:], series=series)
    return ReportFigure(
        key="training",
        title="Training",
        caption=(
            f"{rows[0].data}: share of test images classified right without read errors, "
            "one training run each; what other seeds and other test images would give is not in it."
        ),
        variants=(Variant(label="", svg=plot.svg()),),
        csv=record_csv(rows),
    )


def training_table(rows: Sequence[TrainingRow]) -> ReportTable:
    """The last epoch of every network."""
    last = [max(mine, key=lambda row: row.epoch) for mine in by_network(rows).values()]
    return ReportTable(
        title="After the last epoch, without read errors",
        header=("network", "trained with", "seed", "epochs", "test accuracy"),
        rows=tuple(
            (
                row.network,
                "no errors"
                if row.trained_with_errors == "none"
                else f"errors of {row.trained_with_errors} V",
                str(row.seed),
                str(row.epoch),
                percent(row.test_accuracy, 2),
            )
            for row in last
        ),
        numeric=(2, 3, 4),
    )


def accuracy_figure(rows: Sequence[TradeoffRow]) -> ReportFigure:
    """Accuracy with read errors against VDD; dashes without errors."""
    return ReportFigure(
        key="accuracy",
        title="Accuracy with read errors against the supply",
        caption=(
            f"{rows[0].data}; mean over {rows[0].draws} draws of simulated read errors, "
            "95 % intervals (draws and choice of test images, not training seeds). "
            f"Dashes: without read errors. {DODGED}"
        ),
        variants=tuple(
            Variant(label=environment, svg=_accuracy(mine, environment))
            for environment, mine in by_environment(rows).items()
        ),
        csv=record_csv(rows),
        choice="Conditions",
    )


def _accuracy(rows: Sequence[TradeoffRow], environment: str) -> str:
    groups = by_network(rows)
    plot = Plot(
        label=f"Accuracy against the supply, {environment}", x_label="supply VDD (V)",
        y_label="test accuracy (%)", legend=list(groups), dodge=4,
    )  # fmt: skip
    ends = [
        100 * value
        for row in rows
        for value in (row.accuracy_low, row.accuracy_high, row.accuracy_without_errors)
    ]
    plot.axes(linear([row.vdd_v for row in rows], *plot.x_range), linear(ends, *plot.y_range))
    for series, mine in enumerate(groups.values()):
        clean = 100 * mine[0].accuracy_without_errors
        plot.line([(plot.x.low, clean), (plot.x.high, clean)], series=series, kind="dashed")
    for series, (name, mine) in enumerate(groups.items()):
        points = [
            Point(
                x=row.vdd_v,
                y=100 * row.accuracy,
                y_interval=(100 * row.accuracy_low, 100 * row.accuracy_high),
                tip=f"{name}, {row.vdd_v:g} V\n"
                + percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)
                + f"\nwithout errors {percent(row.accuracy_without_errors)}",
            )
            for row in sorted(mine, key=lambda row: row.vdd_v)
        ]
        plot.line([(p.x, p.y) for p in points], series=series)
        plot.points(points, series=series)
    return plot.svg()


def chips_figure(rows: Sequence[ChipRow], record: ChipsRecord) -> ReportFigure:
    """Share of chips at or below an accuracy, a variant for each network."""
    names = list(dict.fromkeys(row.network for row in rows))
    return ReportFigure(
        key="chips",
        title="Accuracy of virtual chips",
        caption=(
            f"{record.data}, {record.images} test images, {record.conditions}; simulated chips: "
            "every device and every amplifier drawn once and kept."
        ),
        variants=tuple(
            Variant(label=name, svg=_chips([row for row in rows if row.network == name], name))
            for name in names
        ),
        csv=record_csv(rows),
        choice="Network",
    )


def _chips(rows: Sequence[ChipRow], name: str) -> str:
    kinds = [kind for kind in _KINDS if any(row.kind == kind for row in rows)]
    plot = Plot(
        label=f"Accuracy of chips, {name}", x_label="test accuracy (%)",
        y_label="share of chips at or below", legend=[_KINDS[kind] for kind in kinds],
    )  # fmt: skip
    clean = 100 * rows[0].accuracy_without_errors
    plot.axes(
        linear([*(100 * row.accuracy for row in rows), clean], *plot.x_range),
        linear([0.0, 1.0], *plot.y_range, zero=True, margin=0.02),
    )
    plot.rule(x=clean, name="no errors")
    for series, kind in enumerate(kinds):
        values = sorted(100 * row.accuracy for row in rows if row.kind == kind)
        share = [(k + 1) / len(values) for k in range(len(values))]
        steps = [(values[0], 0.0)]
        for value, level in zip(values, share, strict=True):
            steps += [(value, steps[-1][1]), (value, level)]
        plot.line(steps, series=series)
        shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), 25)).astype(int))
        plot.points(
            [
                Point(
                    x=values[k],
                    y=share[k],
                    tip=f"{_KINDS[kind]}\n{percent(share[k], 0)} of {len(values)} at or below "
                    f"{values[k]:.2f} %",
                )
                for k in shown.tolist()
            ],
            series=series,
        )
    return plot.svg()


def chips_table(record: ChipsRecord) -> ReportTable:
    """The distributions with intervals."""
    return ReportTable(
        title="Distributions over chips, with 95 % intervals",
        header=("network", "kind", "number", "mean", "deviation", "1st percentile", "lowest",
                "no errors"),
        rows=tuple(
            (
                one.network, _KINDS.get(one.kind, one.kind), str(one.count),
                percent_interval(one.mean, one.mean_low, one.mean_high, 2),
                percent(one.deviation, 2), _percentile(one), percent(one.lowest, 2),
                percent(one.accuracy_without_errors, 2),
            )
            for one in record.ensembles
        ),
        numeric=(2, 3, 4, 5, 6, 7),
    )  # fmt: skip


def _percentile(one: EnsembleRecord) -> str:
    if one.percentile1_low is None or one.percentile1_high is None:
        return f"{percent(one.percentile1, 2)} (too few chips for an interval)"
    return percent_interval(one.percentile1, one.percentile1_low, one.percentile1_high, 2)
