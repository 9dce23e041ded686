"""Training curves, accuracy against the supply, and chips' distributions."""

import numpy as np
import pandas as pd

from rramsim.figures.report.figure import ReportFigure, ReportTable, Variant, csv_text
from rramsim.figures.report.numbers import percent, percent_interval
from rramsim.figures.report.plot import Plot, Point
from rramsim.figures.report.records import ChipsRecord
from rramsim.figures.report.scales import linear

__all__ = [
    "accuracy_figure",
    "chips_figure",
    "chips_table",
    "environments",
    "network_label",
    "training_figure",
    "training_table",
]

_KINDS = {
    "chip": "chips, one amplifier a column",
    "own": "chips, an amplifier a synapse",
    "iid": "independent errors, same rates",
}


def network_label(name: object, trained_with: object) -> str:
    """A network's name with the errors that it was trained with."""
    return (
        f"{name}" if trained_with == "none" else f"{name}, trained with errors of {trained_with} V"
    )


def environments(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The trade-off's rows by temperature, corner and window."""
    keys = ["temperature_c", "corner", "window_s"]
    return [
        (f"{t:g} °C, {corner}, {float(window) * 1e9:g} ns", rows)
        for (t, corner, window), rows in table.groupby(keys, sort=False)
    ]


def _frame_csv(table: pd.DataFrame) -> str:
    return csv_text(list(table.columns), table.itertuples(index=False, name=None))


def training_figure(table: pd.DataFrame) -> ReportFigure:
    """Test accuracy after every epoch, a line a network."""
    groups = [
        (network_label(name, errors), rows)
        for (name, errors), rows in table.groupby(["network", "trained_with_errors"], sort=False)
    ]
    plot = Plot(
        label="Test accuracy after every epoch", x_label="epoch", y_label="test accuracy (%)",
        legend=[name for name, _ in groups],
    )  # fmt: skip
    plot.axes(
        linear(table.epoch, *plot.x_range, whole=True),
        linear(100 * table.test_accuracy, *plot.y_range),
    )
    for series, (name, rows) in enumerate(groups):
        points = [
            Point(
                x=float(row.epoch), y=100 * float(row.test_accuracy),
                tip=f"{name}\nafter epoch {row.epoch}: {percent(float(row.test_accuracy), 2)}",
            )
            for row in rows.itertuples()
        ]  # fmt: skip
        plot.line([(p.x, p.y) for p in points], series=series)
        # Hundreds of epochs are a line; the last one keeps its point.
        plot.points(points if len(points) <= 60 else points[-1:], series=series)
    return ReportFigure(
        key="training",
        title="Training",
        caption=(
            f"{table.data.iloc[0]}: share of test images classified right without read errors, "
            "one training run each; what other seeds and other test images would give is not in it."
        ),
        variants=(Variant(label="", svg=plot.svg()),),
        csv=_frame_csv(table),
    )


def training_table(table: pd.DataFrame) -> ReportTable:
    """The last epoch of every network."""
    last = table.groupby(["network", "trained_with_errors", "seed"], sort=False).tail(1)
    return ReportTable(
        title="After the last epoch, without read errors",
        header=("network", "trained with", "seed", "epochs", "test accuracy"),
        rows=tuple(
            (
                str(row.network),
                "no errors" if row.trained_with_errors == "none" else f"errors of "
                f"{row.trained_with_errors} V",
                str(row.seed), str(row.epoch), percent(float(row.test_accuracy), 2),
            )
            for row in last.itertuples()
        ),
        numeric=(2, 3, 4),
    )  # fmt: skip


def accuracy_figure(table: pd.DataFrame) -> ReportFigure:
    """Accuracy with read errors against VDD; dashes without errors."""
    variants = []
    for environment, rows in environments(table):
        groups = list(rows.groupby(["network", "trained_with_errors"], sort=False))
        plot = Plot(
            label=f"Accuracy against the supply, {environment}", x_label="supply VDD (V)",
            y_label="test accuracy (%)", legend=[network_label(*key) for key, _ in groups],
            dodge=4,
        )  # fmt: skip
        ends = rows[["accuracy_low", "accuracy_high", "accuracy_without_errors"]]
        plot.axes(
            linear(rows.vdd_v, *plot.x_range), linear(100 * ends.to_numpy().ravel(), *plot.y_range)
        )
        for series, (_, mine) in enumerate(groups):
            clean = 100 * float(mine.accuracy_without_errors.iloc[0])
            plot.line([(plot.x.low, clean), (plot.x.high, clean)], series=series, kind="dashed")
        for series, (key, mine) in enumerate(groups):
            mine = mine.sort_values("vdd_v")
            points = [
                Point(
                    x=float(row.vdd_v), y=100 * float(row.accuracy),
                    y_interval=(100 * float(row.accuracy_low), 100 * float(row.accuracy_high)),
                    tip=f"{network_label(*key)}, {row.vdd_v:g} V\n"
                    + percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)
                    + f"\nwithout errors {percent(float(row.accuracy_without_errors))}",
                )
                for row in mine.itertuples()
            ]  # fmt: skip
            plot.line([(p.x, p.y) for p in points], series=series)
            plot.points(points, series=series)
        variants.append(Variant(label=environment, svg=plot.svg()))
    return ReportFigure(
        key="accuracy",
        title="Accuracy with read errors against the supply",
        caption=(
            f"{table.data.iloc[0]}; mean over {table.draws.iloc[0]} draws of simulated read "
            "errors, 95 % intervals (draws and choice of test images, not training seeds). "
            "Dashes: without read errors."
        ),
        variants=tuple(variants),
        csv=_frame_csv(table),
        choice="Conditions",
    )


def chips_figure(table: pd.DataFrame, record: ChipsRecord) -> ReportFigure:
    """Share of chips at or below an accuracy, a variant for each network."""
    variants = []
    for network, mine in table.groupby("network", sort=False):
        kinds = [kind for kind in _KINDS if (mine.kind == kind).any()]
        plot = Plot(
            label=f"Accuracy of chips, {network}", x_label="test accuracy (%)",
            y_label="share of chips at or below", legend=[_KINDS[kind] for kind in kinds],
        )  # fmt: skip
        clean = 100 * float(mine.accuracy_without_errors.iloc[0])
        plot.axes(
            linear([*(100 * mine.accuracy), clean], *plot.x_range),
            linear([0.0, 1.0], *plot.y_range, zero=True, margin=0.02),
        )
        plot.rule(x=clean, name="no errors")
        for series, kind in enumerate(kinds):
            values = np.sort(100 * mine.accuracy[mine.kind == kind].to_numpy())
            share = np.arange(1, len(values) + 1) / len(values)
            steps = [(values[0], 0.0)]
            for value, level in zip(values, share, strict=True):
                steps += [(value, steps[-1][1]), (value, level)]
            plot.line(steps, series=series)
            shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), 25)).astype(int))
            plot.points(
                [
                    Point(
                        x=values[k], y=share[k],
                        tip=f"{_KINDS[kind]}\n{percent(share[k], 0)} of {len(values)} at or below "
                        f"{values[k]:.2f} %",
                    )
                    for k in shown
                ],
                series=series,
            )  # fmt: skip
        variants.append(Variant(label=str(network), svg=plot.svg()))
    return ReportFigure(
        key="chips",
        title="Accuracy of virtual chips",
        caption=(
            f"{record.data}, {record.images} test images, {record.conditions}; simulated chips: "
            "every device and every amplifier drawn once and kept."
        ),
        variants=tuple(variants),
        csv=_frame_csv(table),
        choice="Network",
    )


def chips_table(record: ChipsRecord) -> ReportTable:
    """The distributions with intervals."""
    rows = []
    for e in record.ensembles:
        known = e.percentile1_low is not None and e.percentile1_high is not None
        rows.append(
            (
                e.network, _KINDS.get(e.kind, e.kind), str(e.count),
                percent_interval(e.mean, e.mean_low, e.mean_high, 2), percent(e.deviation, 2),
                percent_interval(e.percentile1, e.percentile1_low, e.percentile1_high, 2)  # type: ignore[arg-type]
                if known
                else f"{percent(e.percentile1, 2)} (too few chips for an interval)",
                percent(e.lowest, 2), percent(e.accuracy_without_errors, 2),
            )
        )  # fmt: skip
    return ReportTable(
        title="Distributions over chips, with 95 % intervals",
        header=("network", "kind", "number", "mean", "deviation", "1st percentile", "lowest",
                "no errors"),
        rows=tuple(rows),
        numeric=(2, 3, 4, 5, 6, 7),
    )  # fmt: skip
