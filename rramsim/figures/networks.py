"""Figures of networks: training, widths, tolerated errors, chips, wear, equilibrium propagation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rramsim.figures.chart import Axis, Chart, Panel, Point, Rule, Series, Table, without_cliffs
from rramsim.figures.numbers import percent, percent_interval
from rramsim.figures.rates import TYPES
from rramsim.figures.tradeoffs import MOST_LOSS, by_network, rows_of

_CHIPS = {
    "chip": "chips: one amplifier a column",
    "own": "chips: an amplifier for every synapse",
    "iid": "independent errors at the chips' mean rates",
}
_MOST_POINTS = 60
_ERROR = Axis(label="test error", unit="%", log=True)


def training_figure(table: Any, *, caption: str = "") -> Chart:
    """Test error after every epoch: a colour for each network, a line for each seed.

    `table` has the columns of `training.csv`, or is a sequence of such rows.
    """
    rows = rows_of(table)
    series = []
    for index, (name, mine) in enumerate(by_network(rows).items()):
        # Trainings of one seed may differ in their length or their data.
        runs = dict.fromkeys(_run(row) for row in mine)
        for number, run in enumerate(runs):
            points = [
                Point(
                    x=row.epoch, y=100 * max(1 - row.test_accuracy, 1e-5),
                    tip=f"{name}\nafter epoch {row.epoch}: test error "
                    f"{percent(1 - row.test_accuracy)}",
                )
                for row in sorted(mine, key=lambda row: int(row.epoch))
                if _run(row) == run
            ]  # fmt: skip
            # Hundreds of epochs are a line.
            mark = index if len(points) <= _MOST_POINTS else None
            series.append(
                Series(
                    points=points, label="" if number else name, colour=index, mark=mark,
                    line="solid",
                )
            )  # fmt: skip
    seeds = len({row.seed for row in rows})
    training = "one training each" if seeds == 1 else f"{seeds} seeds, a line each"
    source = caption or f"{getattr(rows[0], 'data', '')}; {training}"
    return Chart(
        key="training",
        title="Training",
        panels=(
            Panel(x=Axis(label="epoch", unit="", whole=True), y=_ERROR, series=series),
        ),
        footer=f"{source.rstrip('. ')}; test images classified wrong without read errors. What "
        "other seeds and other test images would give is not in it.",
    )  # fmt: skip


def _run(row: Any) -> tuple[Any, ...]:
    return row.seed, getattr(row, "data", ""), getattr(row, "epochs", 0)


def training_table(rows: Sequence[Any]) -> Table:
    """The last epoch of every network."""
    last = [max(mine, key=lambda row: int(row.epoch)) for mine in by_network(rows).values()]
    return Table(
        title="After the last epoch, without read errors",
        header=("network", "trained with", "seed", "epochs", "test accuracy"),
        rows=tuple(
            (
                row.network, _trained_with(row), str(row.seed), str(row.epoch),
                percent(row.test_accuracy),
            )
            for row in last
        ),
        numeric=(2, 3, 4),
    )  # fmt: skip


def _trained_with(row: Any) -> str:
    return (
        "no errors"
        if row.trained_with_errors == "none"
        else f"errors of {row.trained_with_errors} V"
    )


def width_figure(table: pd.DataFrame) -> Chart:
    """Test accuracy without errors against width, by kind of weights.

    `table` has a row a training, with the columns `network` ("vgg16-ternary-ternary"), `seed`,
    `epochs`, `test_accuracy` (0 to 1) and `data`. Widths that were trained for the fewest epochs
    are joined by a line; hollow points were trained for longer, as the footer says.
    """
    names = table.network.str.extract(r"^[a-z]+(?P<width>\d+)-(?P<kind>.+)$")
    table = table.assign(width=names.width.astype(int), kind=names.kind)
    shortest = table.epochs.min()
    series = []
    for index, (kind, mine) in enumerate(table.groupby("kind", sort=False)):
        grouped = mine.assign(percent=100 * mine.test_accuracy).groupby(["epochs", "width"])
        found = grouped.percent.agg(["mean", "std", "count"]).fillna(0.0).reset_index()
        short: list[Point] = []
        longer: list[Point] = []
        for row in rows_of(found.sort_values("width")):
            one = row.epochs > shortest
            point = Point(
                x=float(row.width), y=row.mean,
                y_bar=None if one or row.count < 2 else (row.mean - row.std, row.mean + row.std),
                tip=f"{kind}, width {row.width}, {row.epochs} epochs\n{row.mean:.1f} %",
            )  # fmt: skip
            (longer if one else short).append(point)
        label = str(kind).replace("-", " weights, ") + " activations"
        series += [
            Series(points=short, label=label, colour=index, mark=index, line="solid"),
            Series(points=longer, colour=index, mark=index, hollow=True),
        ]
    widths = sorted(set(table.width))
    seeds = table[table.epochs == shortest].seed.nunique()
    longest = table[table.epochs > shortest].groupby("width").epochs.max()
    hollow = ", ".join(f"{epochs} epochs at width {width}" for width, epochs in longest.items())
    return Chart(
        key="width",
        title="Accuracy against the width of the network",
        panels=(
            Panel(
                x=Axis(
                    label="width N (channels of the first convolution)", unit="", log=True,
                    low=0.8 * widths[0], high=1.3 * widths[-1],
                    ticks=tuple((w, f"{w}") for w in widths),
                ),
                y=Axis(label="test accuracy", unit="%"),
                series=series,
            ),
        ),
        footer=f"{table.data.iloc[0]}. Lines: {shortest} epochs, mean of {seeds} seeds"
        + (f"; hollow: {hollow}, one seed." if hollow else "."),
        bars="standard deviation between seeds",
    )  # fmt: skip


def tolerance_figure(table: pd.DataFrame, *, max_loss: float) -> Chart:
    """Accuracy lost against the rate of each error type, a panel for each network.

    `table` holds the columns of `tolerance.csv`; `max_loss` (points) is the loss that is tolerated.
    Losses are against the network of the same seed trained and read without errors, on the same
    images; dashed: trained with errors of that type.
    """
    plain = table[table.trained_with == "none"].groupby(["network", "seed"])
    clean = plain.accuracy_without_errors.first().rename("clean").reset_index()
    table = table.merge(clean, on=["network", "seed"])
    table = table.assign(loss=100 * (table.clean - table.accuracy))
    limit = 100 * MOST_LOSS
    panels = []
    for network, mine in table.groupby("network", sort=False):
        series = []
        for trained_with, kind in dict.fromkeys(zip(mine.trained_with, mine.type, strict=True)):
            rows = mine[(mine.trained_with == trained_with) & (mine.type == kind)]
            aware = trained_with != "none"
            name = TYPES[f"type{kind}"]
            label = f"{name.partition(':')[0]}, trained with {trained_with}" if aware else name
            by_rate = rows.groupby("rate").loss.agg(["mean", "min", "max"])
            points = [
                Point(
                    x=float(rate), y=min(mean, limit), bound="up" if mean > limit else "",
                    y_bar=(min(low, limit), min(high, limit)),
                    tip=f"{network}, {label}\nrate {rate:g}: loss {mean:.2f} points",
                )
                for rate, mean, low, high in by_rate.itertuples()
            ]  # fmt: skip
            series.append(
                Series(
                    points=points, label=label, colour=int(kind) - 1 + 3 * aware,
                    mark=int(kind) - 1, hollow=aware, line="dashed" if aware else "solid",
                )
            )  # fmt: skip
        panels.append(
            Panel(
                x=Axis(label="probability that such a value is read wrong", unit="", log=True),
                y=Axis(label="accuracy lost", unit="points", high=1.04 * limit),
                series=series, choice=str(network), dodge=True,
                rules=(Rule(y=max_loss, label=f"{max_loss:g} points"), Rule(y=0.0)),
            )
        )  # fmt: skip
    first = table.iloc[0]
    return Chart(
        key="tolerance",
        title="Accuracy lost against the rate of each error type",
        panels=panels,
        footer=f"{first.data}, {first.epochs} epochs; independent errors, frozen; mean of "
        f"{table.seed.nunique()} seeds with {first.draws} draws each. Losses against the same "
        "network trained and read without errors, on the same test images. Arrows: more than "
        f"{limit:g} points.",
        bars="lowest and highest seed",
        choice="Network",
        columns=min(2, len(panels)),
    )


def chips_figure(table: Any, *, data: str = "", images: int = 0, conditions: str) -> Chart:
    """Share of chips at or below an accuracy, a panel for each network.

    `table`: a row a chip, with network, kind, accuracy, accuracy_without_errors (data, images).
    """
    rows = rows_of(table)
    panels = []
    for name in dict.fromkeys(row.network for row in rows):
        mine = [row for row in rows if row.network == name]
        series = []
        for index, (kind, label) in enumerate(_CHIPS.items()):
            values = sorted(100 * row.accuracy for row in mine if row.kind == kind)
            if not values:
                continue
            share = [(k + 1) / len(values) for k in range(len(values))]
            shown = np.unique(np.linspace(0, len(values) - 1, min(len(values), 9)).astype(int))
            points = [
                Point(
                    x=values[k], y=share[k],
                    tip=f"{label}\n{percent(share[k], 0)} of {len(values)} at or below "
                    f"{values[k]:.2f} %",
                )
                for k in shown.tolist()
            ]  # fmt: skip
            series += [
                Series.trace([values[0], *values], [0.0, *share], colour=index, line="step"),
                Series(points=points, label=label, colour=index, mark=index),
            ]
        clean = 100 * mine[0].accuracy_without_errors
        panels.append(
            Panel(
                x=Axis(label="test accuracy", unit="%"),
                y=Axis(label="share of chips at or below", unit="", low=0.0, high=1.15),
                series=series, choice=str(name), rules=(Rule(x=clean, label="no errors"),),
            )
        )  # fmt: skip
    first = rows[0]
    networks = len(panels)
    count = sum(row.kind == "chip" for row in rows) // networks
    return Chart(
        key="chips",
        title="Accuracy of virtual chips",
        panels=panels,
        footer=f"{data or first.data}, {images or first.images} test images, {conditions}; {count} "
        "simulated chips of each kind: every device and every amplifier drawn once and kept.",
        choice="Network",
        columns=min(2, networks),
    )


def chips_table(ensembles: Sequence[Any]) -> Table:
    """The distributions with intervals."""
    return Table(
        title="Distributions over chips, with 95 % intervals",
        header=("network", "kind", "number", "mean", "standard deviation", "1st percentile",
                "lowest", "no errors"),
        rows=tuple(
            (
                one.network, _CHIPS.get(one.kind, one.kind), str(one.count),
                percent_interval(one.mean, one.mean_low, one.mean_high),
                percent(one.deviation), _percentile(one), percent(one.lowest),
                percent(one.accuracy_without_errors),
            )
            for one in ensembles
        ),
        numeric=(2, 3, 4, 5, 6, 7),
    )  # fmt: skip


def chip_rates_table(rates: Sequence[Any]) -> list[Table]:
    """What chips misread, beside the rates of single senses of the same devices."""
    rows = tuple(
        (
            one.type, "" if one.chips is None else f"{one.chips:.3g}",
            "" if one.rate is None else f"{one.rate:.3g} ({one.low:.3g} to {one.high:.3g})", one.by,
        )
        for one in rates
    )  # fmt: skip
    title = (
        "Error rates of all chips, by the fitted read surface, beside those of single senses; "
        "where they differ the chips' are an approximation"
    )
    header = ("error", "all chips", "single senses (95 %)", "found by")
    return [Table(title=title, header=header, rows=rows, numeric=(1, 2))][: len(rows)]


def _percentile(one: Any) -> str:
    if one.percentile1_low is None or one.percentile1_high is None:
        return f"{percent(one.percentile1)} (too few chips for an interval)"
    return percent_interval(one.percentile1, one.percentile1_low, one.percentile1_high)


def wear_figure(rows: Sequence[Any]) -> Chart:
    """Mean and most writes of a device by layer; a panel for each network."""
    panels = []
    for name, mine in by_network(rows).items():
        series = []
        for index, (field, label) in enumerate(
            (("mean_writes", "mean of the devices"), ("most", "most written device"))
        ):
            points = [
                Point(
                    x=getattr(row, field), y=k + 0.16 * (2 * index - 1),
                    tip=f"{row.weight}, {label}\n{getattr(row, field):.3g} writes",
                )
                for k, row in enumerate(mine)
                if getattr(row, field) > 0
            ]  # fmt: skip
            series.append(Series(points=points, label=label, colour=index, mark=index))
        endurance = max(row.endurance_writes for row in mine)
        panels.append(
            Panel(
                x=Axis(label="writes of a device", unit="", log=True),
                y=Axis.names([row.weight for row in mine], downwards=True),
                series=series, choice=name, rules=(Rule(x=endurance, label="endurance"),),
            )
        )  # fmt: skip
    return Chart(
        key="wear",
        title="Writes of a device",
        panels=panels,
        footer=f"Counted over the whole training on {rows[0].data}; a write is one SET or one "
        f"RESET. Dotted: the endurance of {rows[0].endurance_writes:g} writes that the experiment "
        "assumes. Forming is not counted.",
        choice="Network",
        columns=min(2, len(panels)),
    )


def wear_table(rows: Sequence[Any]) -> Table:
    """Devices, writes and wear of every layer."""
    return Table(
        title="Writes by layer",
        header=("network", "trained with", "layer", "devices", "SETs", "RESETs", "mean writes",
                "most", "of the endurance"),
        rows=tuple(
            (
                row.network, _trained_with(row), row.weight, f"{row.devices:,}", f"{row.sets:,}",
                f"{row.resets:,}", f"{row.mean_writes:.3g}", f"{row.most:,}",
                percent(row.most / row.endurance_writes, 4),
            )
            for row in rows
        ),
        numeric=(3, 4, 5, 6, 7, 8),
    )  # fmt: skip


def gradient_bias_figure(table: pd.DataFrame, *, caption: str) -> Chart:
    """Relative error of the gradient against beta, one line an estimator.

    `table` has columns `estimator`, `beta` and `relative_error`.
    """
    series = [
        Series.trace(rows.beta, rows.relative_error, label=str(name), colour=k, mark=k)
        for k, (name, rows) in enumerate(table.sort_values("beta").groupby("estimator", sort=False))
    ]
    betas = sorted(set(table.beta))
    x = Axis(label="nudge |β|", unit="", log=True, ticks=[(beta, f"{beta:g}") for beta in betas])
    y = Axis(label="relative error of the gradient", unit="", log=True)
    return Chart(
        key="gradient-bias", title="Bias of the gradient against the nudge",
        panels=(Panel(x=x, y=y, series=series),), footer=f"{caption.rstrip('. ')}.",
    )  # fmt: skip


def noise_robustness_figure(table: pd.DataFrame, *, caption: str) -> Chart:
    """Test error against the noise of the neurons' inputs, one line an estimator.

    `table` has columns `estimator`, `noise`, `seed` and `test_error` (0 to 1).
    """
    series = []
    for index, (name, rows) in enumerate(table.groupby("estimator", sort=False)):
        found = 100 * rows.groupby("noise").test_error.agg(["mean", "min", "max"])
        points = [
            Point(x=noise, y=mean, y_bar=(low, high), tip=f"{name}, noise {noise:g}\n{mean:.2f} %")
            for noise, mean, low, high in found.itertuples()
        ]
        series.append(
            Series(
                points=without_cliffs(points, factor=3), label=str(name), colour=index, mark=index,
                line="solid",
            )
        )  # fmt: skip
    x = Axis(label="standard deviation of the noise in every neuron's input", unit="")
    seeds = table.seed.nunique() if "seed" in table else 1
    return Chart(
        key="noise", title="Test error against noise",
        panels=(Panel(x=x, y=_ERROR, series=series, dodge=True),),
        footer=f"{caption.rstrip('. ')}. Mean of {seeds} seed{'s' * (seeds > 1)}; "
        "a change by more than a factor of 3 is not joined.",
        bars="lowest and highest seed",
    )  # fmt: skip
