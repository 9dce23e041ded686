"""What networks lose to read errors and what their reads cost, from the rows of the trade-off."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rramsim.costs import pareto_front
from rramsim.figures.chart import Axis, Chart, Panel, Point, Rule, Series, Table
from rramsim.figures.numbers import (
    engineering_interval,
    percent,
    percent_interval,
    points_interval,
    rate_text,
)
from rramsim.figures.rates import TYPES, environment, place_of

MOST_LOSS = 0.10
"""A network that loses more than this share of test images to read errors does not work: losses
beyond are arrows, and such designs are in no front."""

_CLIFF = 0.05
"""Supplies between which the loss changes by more than this are not joined: what lies between
them was not simulated."""

_FEW = 24
"""Of more designs than this only those on the front have bars: else nothing is seen for bars."""

_BARS = f"95 % intervals (of more than {_FEW} designs, on the front only)"

_FLOWS = {
    "once": ("weights read once an image", "nJ", 1e9),
    "per_use": ("weights read for every use", "µJ", 1e6),
}
_COST_FLOWS = {
    "once": "each weight read once an image", "per_row": "each weight read once an output row",
    "per_use": "each weight read for every use", "parallel": "whole arrays read in parallel",
}  # fmt: skip
_SUPPLY = Axis(label="supply VDD", unit="V")
_LEAVES_OUT = f"that lose at most {100 * MOST_LOSS:g} points of accuracy to read errors"


def rows_of(table: Any) -> list[Any]:
    """Rows with attributes, of a table or as they are."""
    return list(table.itertuples(index=False) if isinstance(table, pd.DataFrame) else table)


def network_label(row: Any) -> str:
    """A network's name with the errors that it was trained with."""
    if row.trained_with_errors == "none":
        return str(row.network)
    return f"{row.network}, trained with errors of {row.trained_with_errors} V"


def by_network(rows: Iterable[Any]) -> dict[str, list[Any]]:
    """The rows of each network, in the order in which the networks appear."""
    return _grouped(rows, network_label)


def _grouped(rows: Iterable[Any], key: Any) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _outside(row: Any) -> str:
    """What a design must bear: temperature and corner. Supply and window are its own."""
    return f"{row.temperature_c:g} °C, {row.corner}"


def _lost(row: Any) -> float:
    return float(row.accuracy_without_errors - row.accuracy)


def _warmth(row: Any) -> float:
    return float(row.temperature_c)


def _working(rows: Sequence[Any]) -> list[Any]:
    """The designs that work; all where none does."""
    return [row for row in rows if _lost(row) <= MOST_LOSS] or list(rows)


def loss_figure(table: Any) -> Chart:
    """Accuracy lost to read errors against VDD, a panel for each temperature, corner and window.

    `table` has the columns of `rramsim.costs.TRADEOFF_COLUMNS`, or is a sequence of such rows.
    """
    rows = rows_of(table)
    groups = _grouped(rows, environment)
    shown = [row for row in rows if row.loss <= MOST_LOSS]
    beyond = len(shown) < len(rows)
    ends: dict[str, Any] = {}
    if beyond:
        low = min([100 * row.loss_low for row in shown], default=0.0)
        high = max([100 * row.loss_high for row in shown], default=0.0)
        most = 100 * MOST_LOSS
        ends = {"low": max(1.1 * min(low, 0.0) - 0.5, -most),
                "high": min(max(1.05 * high, 1.1 * most), 2 * most)}  # fmt: skip
    panels = []
    for where, mine in groups.items():
        series = []
        for index, (name, own) in enumerate(by_network(mine).items()):
            points: list[Point] = []
            before = math.nan
            for row in sorted(own, key=lambda row: float(row.vdd_v)):
                steep = abs(row.loss - before) > _CLIFF
                before = float(row.loss)
                points.append(_loss_point(row, name, gap=steep))
            series.append(Series(points=points, label=name, colour=index, mark=index, line="solid"))
        panels.append(
            Panel(
                x=_SUPPLY, y=Axis(label="accuracy lost to read errors", unit="points", **ends),
                series=series, rules=(Rule(y=0.0),), dodge=True,
                choice=where if len(groups) > 1 else "",
            )
        )  # fmt: skip
    first = rows[0]
    arrows = f" Arrows: more than {100 * MOST_LOSS:g} points." if beyond else ""
    return Chart(
        key="loss",
        title="Accuracy lost to read errors, against the supply",
        panels=panels,
        footer=f"{first.data}; simulated read errors{_only(groups)}; mean of {first.draws} draws. "
        f"Loss against the same network without errors, on the same {_images(first)}test images; "
        f"one training each.{arrows} Supplies between which the loss changes by more than "
        f"{100 * _CLIFF:g} points are not joined.{_limited(shown)}",
        bars="95 % intervals (draws of errors and choice of test images)",
        choice="Conditions",
    )


_HOLLOW = "Hollow: limited by samples, an error type that was never seen is drawn from its prior"


def _limited(rows: Iterable[Any]) -> str:
    """What hollow marks mean, where there are any."""
    return f" {_HOLLOW}." if any(row.limited_by_samples for row in rows) else ""


def _images(row: Any) -> str:
    count = getattr(row, "images", None)
    return f"{count:,} " if count else ""


def _loss_point(row: Any, name: str, *, gap: bool) -> Point:
    over = row.loss > MOST_LOSS
    text = points_interval(row.loss, row.loss_low, row.loss_high)
    return Point(
        x=float(row.vdd_v),
        y=100 * min(row.loss, MOST_LOSS),
        y_bar=None if over else (100 * row.loss_low, 100 * row.loss_high),
        bound="up" if over else "",
        gap=gap,
        hollow=row.limited_by_samples,
        tip=f"{name}, {row.vdd_v:g} V\nloss {text}\naccuracy "
        + percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)
        + f"\nwithout errors {percent(row.accuracy_without_errors)}\n"
        + "\n".join(_found_by(row)),
    )


def _front_panel(
    rows: Sequence[Any], cost: Any, tip: Any, *, axis: Axis, choice: str,
    details: Mapping[int, str] | None = None, more: Sequence[Series] = (),
) -> Panel:  # fmt: skip
    """Accuracy over cost with its front: a colour for each network, a mark for each window.

    `cost` gives a row's value and the ends of its interval, `tip` what is told of it.
    """
    front = pareto_front([cost(row)[0] for row in rows], [row.accuracy for row in rows])
    best = {id(row) for row, on in zip(rows, front, strict=True) if on}
    windows = sorted({float(row.window_s) for row in rows})
    several = len(windows) > 1
    series = []
    for colour, (name, mine) in enumerate(by_network(rows).items()):
        for mark, window_s in enumerate(windows):
            points: list[Point] = []
            before = math.nan
            for row in sorted(mine, key=lambda row: float(row.vdd_v)):
                if row.window_s != window_s:
                    continue
                on, (value, low, high) = id(row) in best, cost(row)
                barred = on or len(rows) <= _FEW
                at = f"{row.vdd_v:g} V" + (f", {1e9 * window_s:g} ns" if several else "")
                accuracy = row.accuracy, row.accuracy_low, row.accuracy_high
                points.append(
                    Point(
                        x=value, y=100 * row.accuracy, x_bar=(low, high) if barred else None,
                        y_bar=(100 * accuracy[1], 100 * accuracy[2]) if barred else None,
                        gap=abs(row.accuracy - before) > _CLIFF, ringed=on,
                        hollow=row.limited_by_samples,
                        label=at if on else "", detail=(details or {}).get(id(row)),
                        tip=f"{name}\n{at}{', on the front' if on else ''}\n"
                        f"{percent_interval(*accuracy)}\n{tip(row)}",
                    )
                )  # fmt: skip
                before = row.accuracy
            series.append(
                Series(
                    points=points, label="" if mark else name, colour=colour,
                    mark=mark if several else colour, line="thin",
                )
            )  # fmt: skip
    joined = sorted((p.x, p.y) for s in series for p in s.points if p.ringed)
    if len(joined) > 1:
        line = Series.trace(*zip(*joined, strict=True), label="front", colour=6, line="step")
        series.insert(0, line)
    if several:
        series += [
            Series(label=f"window {1e9 * w:g} ns", colour=6, mark=k) for k, w in enumerate(windows)
        ]
    y = Axis(label="test accuracy", unit="%")
    return Panel(x=axis, y=y, series=[*series, *more], choice=choice)


_FRONT = (
    "Ringed and joined: the front, where nothing is both cheaper and at least as accurate (by the "
    "means; intervals may overlap), with its supplies"
)


def energy_accuracy_figure(table: Any, errors: Sequence[Any] = ()) -> Chart:
    """Energy of an image's weight reads against accuracy, with the front.

    A panel for each data flow, temperature and corner. `errors`: conditions with counted rates,
    told beside each point where they are there.
    """
    rows = rows_of(table)
    keys, counted = _keys(rows), _counted(errors)
    works = _working(rows)
    groups = _grouped(sorted(works, key=_warmth), _outside)
    panels = []
    for flow, (title, unit, scale) in _FLOWS.items():

        def cost(row: Any, flow: str = flow, scale: float = scale) -> list[float]:
            return [scale * value for value in _energy_j(row, flow)]

        def tip(row: Any, flow: str = flow) -> str:
            rates = (f"\n{n.partition(':')[0]}: {r}" for n, r in _rates(row, counted))
            return f"{_energy_text(row, flow)} per image{''.join(rates)}"

        axis = Axis(label="energy of weight reads per image", unit=unit, log=True)
        for where, mine in groups.items():
            choice = f"{title}; {where}" if len(groups) > 1 else title
            panels.append(_front_panel(mine, cost, tip, axis=axis, choice=choice, details=keys))
    return Chart(
        key="front",
        title="Energy of weight reads against accuracy",
        panels=panels,
        footer=f"{rows[0].data}; simulated read errors and energies{_only(groups)} (sense, "
        "recharge, clock and word line; adders and buffers are not in it). Designs "
        f"{_LEAVES_OUT}; {len(rows) - len(works)} of {len(rows)} lose more and are not shown. "
        f"{_FRONT}.{_limited(works)}",
        bars=_BARS,
        choice="Weights",
        columns=2,
    )


def _only(groups: Mapping[str, Any]) -> str:
    """The one set of conditions; with several, each panel says its own."""
    return "" if len(groups) > 1 else f", {next(iter(groups))}"


def _energy_j(row: Any, flow: str) -> tuple[float, float, float]:
    """Energy per image of a data flow, and the ends of its interval."""
    value, low, high = (getattr(row, f"energy_{flow}{end}_j") for end in ("", "_low", "_high"))
    return float(value), float(low), float(high)


def _energy_text(row: Any, flow: str) -> str:
    return engineering_interval(*_energy_j(row, flow), "J")


def front_figure(costs: pd.DataFrame, *, flow: str = "per_use") -> Chart:
    """Total energy of an image against accuracy, with what other memories would take.

    A panel for each temperature and corner. `costs` holds the columns of `costs.csv`.
    """
    rows = rows_of(costs[(costs.flow == flow) & costs.total_j.notna()])
    groups = _grouped(sorted(_working(rows), key=_warmth), _outside)

    def cost(row: Any) -> list[float]:
        return [1e6 * value for value in (row.total_j, row.total_low_j, row.total_high_j)]

    def tip(row: Any) -> str:
        return f"{engineering_interval(row.total_j, row.total_low_j, row.total_high_j, 'J')}"

    panels = [
        _front_panel(
            mine, cost, tip, axis=Axis(label="energy per image", unit="µJ", log=True),
            choice=where if len(groups) > 1 else "", more=_other_memories(mine),
        )
        for where, mine in groups.items()
    ]  # fmt: skip
    return Chart(
        key="total-front",
        title="Energy of an inference against accuracy",
        panels=panels,
        footer=f"{rows[0].data}{_only(groups)}; {_COST_FLOWS[flow]}; reads simulated, logic from "
        "simulated gates, drivers and buffers estimated. Other memories read without errors, at "
        f"the supply nearest to 1.2\u00a0V. Designs {_LEAVES_OUT}. {_FRONT}."
        f"{_limited(_working(rows))}",
        bars=_BARS,
        choice="Conditions",
        columns=min(2, len(panels)),
    )


def _other_memories(rows: Sequence[Any]) -> list[Series]:
    """The same networks in other memories, which read without errors."""
    series = []
    for mark, (column, label) in enumerate(
        (("secded_total_j", "1T1R with SECDED (modelled)"), ("sram_total_j", "SRAM (estimated)"))
    ):
        for colour, (name, mine) in enumerate(by_network(rows).items()):
            near = min(mine, key=lambda row: abs(row.vdd_v - 1.2))
            value = 1e6 * getattr(near, column)
            point = Point(x=value, y=100 * near.accuracy_without_errors,
                          tip=f"{name}, {label}\n{value:.3g} µJ per image")  # fmt: skip
            series.append(Series(points=(point,), colour=colour, mark=4 + mark, hollow=True))
        series.append(Series(label=label, colour=6, mark=4 + mark, hollow=True))
    return series


def efficiency_figure(costs: pd.DataFrame, *, flow: str = "per_use") -> Chart:
    """Operations per energy against the supply, at each supply's cheapest window that works."""
    rows = rows_of(costs[(costs.flow == flow) & costs.total_j.notna()])
    groups = _grouped(rows, _outside)
    panels = []
    for where, mine in groups.items():
        series = []
        for index, (name, own) in enumerate(by_network(mine).items()):
            cheapest: dict[float, Any] = {}
            for row in sorted(own, key=lambda row: float(row.total_j)):
                if _lost(row) <= MOST_LOSS:
                    cheapest.setdefault(float(row.vdd_v), row)
            points = [
                Point(
                    x=v, y=row.tops_per_w,
                    tip=f"{name}, {v:g} V, {1e9 * row.window_s:g} ns\n{row.tops_per_w:.3g} TOPS/W",
                )
                for v, row in sorted(cheapest.items())
            ]  # fmt: skip
            series.append(Series(points=points, label=name, colour=index, mark=index, line="solid"))
        panels.append(
            Panel(
                x=_SUPPLY, y=Axis(label="energy efficiency", unit="TOPS/W", zero=True),
                series=series, choice=where if len(groups) > 1 else "",
            )
        )  # fmt: skip
    return Chart(
        key="efficiency",
        title="Energy efficiency against the supply",
        panels=panels,
        footer=f"{rows[0].data}{_only(groups)}; {_COST_FLOWS[flow]}; reads simulated, logic from "
        f"simulated gates, drivers and buffers estimated. At each supply the cheapest window of "
        f"those {_LEAVES_OUT}.",
        choice="Conditions",
        columns=min(2, len(panels)),
    )


@dataclass(frozen=True, kw_only=True)
class DetailPoint:
    """What is told of one point of the front when it is chosen."""

    key: str
    title: str
    facts: tuple[tuple[str, str], ...]
    waveforms: str | None


def _keys(rows: Sequence[Any]) -> dict[int, str]:
    """The key of each row's details, by the row's identity."""
    return {id(row): f"point-{number}" for number, row in enumerate(rows)}


def front_details(
    rows: Sequence[Any], errors: Sequence[Any], waveforms: frozenset[str]
) -> tuple[DetailPoint, ...]:
    """All that is known of every point; `waveforms` are the labels of those that were drawn."""
    keys, counted = _keys(rows), _counted(errors)
    details = []
    for row in _working(rows):
        facts = [
            ("supply", f"{row.vdd_v:g} V; {environment(row)}"),
            ("accuracy with read errors",
             percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)),
            ("accuracy without", percent(row.accuracy_without_errors)),
            ("loss", points_interval(row.loss, row.loss_low, row.loss_high)),
            *((f"energy per image, {_FLOWS[f][0]}", _energy_text(row, f)) for f in _FLOWS),
            *_rates(row, counted),
            ("rates found by", "; ".join(_found_by(row))),
        ]  # fmt: skip
        label = f"{row.vdd_v:g} V"
        details.append(
            DetailPoint(
                key=keys[id(row)],
                title=f"{network_label(row)} at {row.vdd_v:g} V",
                facts=tuple(facts),
                waveforms=label if label in waveforms else None,
            )
        )
    return tuple(details)


def _counted(errors: Sequence[Any]) -> dict[tuple[Any, ...], Any]:
    return {place_of(row): row for row in errors}


def _rates(row: Any, counted: Mapping[tuple[Any, ...], Any]) -> list[tuple[str, str]]:
    """The name and rate of each type of error, with intervals where the counts are there."""
    at = counted.get(place_of(row))
    if at is not None:
        return [(name, rate_text(getattr(at, kind))) for kind, name in TYPES.items()]
    shares = ((name, getattr(row, kind)) for kind, name in TYPES.items())
    return [(name, percent(share, 2)) for name, share in shares if share is not None]


def _found_by(row: Any) -> list[str]:
    """How each rate was found and by which engine, types that were found alike together."""
    groups: dict[str, list[str]] = {}
    for part in row.rates_by.split("; "):
        name, _, by = part.partition(": ")
        groups.setdefault(by, []).append(TYPES.get(name, name).partition(":")[0])
    return [f"{', '.join(names)}: {by}" for by, names in groups.items()]


def front_table(rows: Sequence[Any]) -> Table:
    """Every point of the trade-off."""
    limited = any(row.limited_by_samples for row in rows)
    title = "Every point, with 95 % intervals"
    return Table(
        title=f"{title}; *: limited by samples" if limited else title,
        header=("network", "VDD", "T, corner, window", "accuracy", "loss, points", "read once",
                "read per use"),
        rows=tuple(
            (
                network_label(row), f"{row.vdd_v:g} V", environment(row),
                percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high),
                points_interval(row.loss, row.loss_low, row.loss_high)
                + ("*" if row.limited_by_samples else ""),
                _energy_text(row, "once"), _energy_text(row, "per_use"),
            )
            for row in rows
        ),
        numeric=(1, 3, 4, 5, 6),
        folded=True,
    )  # fmt: skip
