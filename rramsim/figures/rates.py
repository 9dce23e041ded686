"""Error rates: against the supply, as tables, by source, and as maps."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rramsim.figures.chart import Axis, Cells, Chart, Panel, Point, Series, Table, without_cliffs
from rramsim.figures.numbers import CountedRate, percent, rate_text

TYPES = {
    "type1": "type 1: sign flip",
    "type2": "type 2: ±1 read as 0",
    "type3": "type 3: 0 read as ±1",
}
_EXACT = "exact 95 % intervals; arrows: no error seen, upper end of the interval"
_CLIFF = 10.0
"""Neighbours whose rates differ by more than this factor are not joined: between them nothing is
known."""

_FLOOR = 1e-9


def environment(row: Any) -> str:
    """All conditions but the supply, as a short text."""
    return f"{row.temperature_c:g} °C, {row.corner}, {row.window_s * 1e9:g} ns"


def _value(rate: CountedRate) -> float:
    return rate.events / rate.trials if rate.trials else math.nan


def _rate_point(place: float, rate: CountedRate, name: str, *, along: str) -> Point:
    """A rate at a place of the other axis; `along` is the axis of the rate."""
    bound: Any = "" if rate.events else "down" if along == "y" else "left"
    at = _value(rate) if rate.events or not rate.trials else rate.high
    x, y = (place, at) if along == "y" else (at, place)
    bar: dict[str, Any] = {f"{along}_bar": (rate.low, rate.high)}
    tip = f"{name}\n{rate_text(rate)}\n{rate.events} of {rate.trials} senses"
    return Point(x=x, y=y, bound=bound, tip=tip, **bar)


def _rate_axis(label: str = "error rate") -> Axis:
    return Axis(label=label, unit="", log=True)


def error_rates_figure(
    rows: Sequence[tuple[Any, Any]], *, source: str, found: Sequence[Any] = ()
) -> Chart:
    """The three rates against VDD, a panel for each temperature, corner and window.

    `rows` pair conditions (`vdd_v`, `temperature_c`, `corner`, `window_s`) with what was counted
    (`type1`, `type2`, `type3`). `found`: rates (`rramsim.stages.rates.RateRow`) that take the place
    of what was counted.
    """
    known = {(place_of(row), f"type{row.type}"): row for row in found if row.rate}
    groups: dict[str, list[tuple[Any, Any]]] = {}
    for row in sorted(rows, key=lambda row: row[0].vdd_v):
        groups.setdefault(environment(row[0]), []).append(row)
    several = len(groups) > 1
    panels = []
    for where, mine in groups.items():
        series = []
        for index, (kind, name) in enumerate(TYPES.items()):
            points: list[Point] = []
            for at, counted in mine:
                rate, told = getattr(counted, kind), f"{at.vdd_v:g} V, {name}"
                one = known.get((place_of(at), kind))
                if one is None:
                    points.append(_rate_point(at.vdd_v, rate, told, along="y"))
                    continue
                tip = f"{told}\n{one.rate:.2g} ({one.low:.2g} to {one.high:.2g})"
                points.append(
                    Point(x=at.vdd_v, y=one.rate, y_bar=(one.low, one.high),
                          tip=f"{tip}\n{one.method}, {one.engine}")
                )  # fmt: skip
            points = without_cliffs(points, factor=_CLIFF)
            series.append(Series(points=points, label=name, colour=index, mark=index, line="solid"))
        panels.append(
            Panel(
                x=Axis(label="supply VDD", unit="V"), y=_rate_axis(), series=series, dodge=True,
                choice=where if several else "",
            )
        )  # fmt: skip
    at = "" if several else f", {next(iter(groups))}"
    return Chart(
        key="error-rates",
        title="Error rates against the supply",
        panels=panels,
        footer=f"{source.rstrip('. ')}{at}. Neighbours that differ by more than a factor of "
        f"{_CLIFF:g} are not joined.{_by(known.values())}",
        bars=_EXACT if not known else _EXACT.replace("exact 95 % intervals", "95 % intervals"),
        choice="Conditions",
    )


def place_of(row: Any) -> tuple[Any, ...]:
    """The conditions that a row holds for."""
    return row.vdd_v, row.temperature_c, row.corner, row.window_s


def _by(rows: Iterable[Any]) -> str:
    """How rates that are no counts were found."""
    more = {"counting": "longer counts"}
    by = sorted({(row.engine.split(" (")[0], more.get(row.method, row.method)) for row in rows})
    engines = {e: " or ".join(how for engine, how in by if engine == e) for e, _ in by}
    told = "; ".join(f"{how} by {engine}" for engine, how in engines.items())
    return f" Types hardly seen in these counts: {told}." if told else ""


def error_table_figure(rows: Sequence[tuple[Any, Any]], *, source: str) -> Chart:
    """Counts written x read for each set of conditions, errors shaded by their rate.

    `rows` pair conditions with what was counted (`counts`, shape (3, 4)).
    """
    panels = []
    for conditions, counted in rows:
        counts = np.asarray(counted.counts)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        wrong = share.copy()
        np.fill_diagonal(wrong, 0)
        texts = [
            [f"{n}\n{percent(s)}" if n else "0" for n, s in zip(line, shares, strict=True)]
            for line, shares in zip(counts.tolist(), share.tolist(), strict=True)
        ]
        panels.append(
            Panel(
                x=Axis.names(["−1", "0", "+1", "none"], label="read"),
                y=Axis.names(["−1", "0", "+1"], label="written", downwards=True),
                cells=Cells(
                    x=range(4), y=range(3), shades=(-0.8 * wrong).tolist(), texts=texts,
                    strong=frozenset((k, k) for k in range(3)),
                ),
                choice=f"{conditions.vdd_v:g} V, {environment(conditions)}",
            )
        )  # fmt: skip
    return Chart(
        key="error-counts",
        title="What was read of what was written",
        panels=panels,
        footer=f"{source.rstrip('. ')}. Numbers of senses and their share of the row; none: the "
        "simulation did not converge.",
        choice="Conditions",
        columns=min(4, len(panels)),
    )


def shares_figure(record: Any) -> Chart:
    """Rates of each type with everything on and with one source off, from a `SharesRecord`."""
    panels = []
    for row in record.conditions:
        entries = {"everything on": row.all}
        entries |= {f"without {name}": entry for name, entry in row.without.items()}
        series = []
        for index, (kind, name) in enumerate(TYPES.items()):
            points = [
                _rate_point(k + 0.22 * (index - 1), getattr(entry, kind), f"{label}, {name}",
                            along="x")
                for k, (label, entry) in enumerate(entries.items())
            ]  # fmt: skip
            series.append(Series(points=points, label=name, colour=index, mark=index))
        panels.append(
            Panel(
                x=_rate_axis(), y=Axis.names(list(entries), downwards=True), series=series,
                choice=row.label,
            )
        )  # fmt: skip
    return Chart(
        key="error-shares",
        title="Error rates with one source of variation switched off",
        panels=panels,
        footer=f"Simulated, {record.engine.split(' (')[0]}, {record.circuit}. The farther left of "
        "“everything on”, the more of the errors come from that source.",
        bars=_EXACT,
        choice="Conditions",
        columns=min(2, len(panels)),
    )


def ber_map_figure(table: pd.DataFrame) -> Chart:
    """A map for each error type, temperature and window: supply across, corners down.

    `table` holds the columns of `ber_map.csv`. Fields carry the rate's power of ten.
    """
    corners = list(dict.fromkeys(table.corner))
    supplies = sorted(table.vdd_v.unique())
    panels = []
    for (window_s, temperature, kind), mine in table.groupby(["window_s", "temperature_c", "type"]):
        found = {(row.corner, row.vdd_v): _field(row) for row in mine.itertuples()}
        fields = [[found.get((c, v), (math.nan, "")) for v in supplies] for c in corners]
        panels.append(
            Panel(
                x=Axis.names([f"{v:g}" for v in supplies], label="supply VDD (V)"),
                y=Axis.names(corners, label="corner", downwards=True),
                title=TYPES[f"type{kind}"],
                choice=f"{temperature:g} °C, {1e9 * float(str(window_s)):g} ns",
                cells=Cells(
                    x=range(len(supplies)), y=range(len(corners)),
                    shades=[[shade for shade, _ in line] for line in fields],
                    texts=[[text for _, text in line] for line in fields],
                ),
            )
        )  # fmt: skip
    unknown = int((~table.settled).sum())
    return Chart(
        key="ber-map",
        title="Error rates over supply, corner and temperature",
        panels=panels,
        footer=f"Simulated, {table.engine.iloc[0]}. Numbers: power of ten of the error rate; <: "
        f"below 1e-9, or that power of ten; ?: no answer. {len(table) - unknown} of {len(table)} "
        "rates are known to 20 % (standard error) or lie below 1e-9; intervals of all are in "
        "ber_map.csv.",
        choice="Conditions",
        columns=table.type.nunique(),
    )


def _field(row: Any) -> tuple[float, str]:
    """The shade and the text of one rate."""
    if row.status == "refused":
        return math.nan, "?"
    if row.high < _FLOOR or row.rate < _FLOOR:
        return 0.0, "<"
    if row.status == "bounded":
        return math.nan, f"<{math.log10(row.high):.0f}".replace("-", "−")
    power = math.log10(row.rate)
    # Adding 0 takes the sign of a rounded -0.0.
    text = f"{round(power, 1) + 0.0:.1f}".replace("-", "−")
    return -max(0.02, 1 - power / math.log10(_FLOOR)), text


def rate_bars(rates: Mapping[str, CountedRate], *, least: float = 1e-4) -> Chart:
    """The three rates with their intervals on an axis that stands still while a slider moves."""
    names = [name.partition(":")[0] for name in TYPES.values()]
    series = [
        Series(points=(_rate_point(k, rates[kind], name, along="x"),), colour=k, mark=k)
        for k, (kind, name) in enumerate(TYPES.items())
    ]
    axis = Axis(label="error rate", unit="", log=True, low=least, high=1.0)
    panel = Panel(x=axis, y=Axis.names(names, downwards=True), series=series)
    return Chart(
        key="rates", title="Error rates", panels=(panel,), footer="Simulated.", bars=_EXACT,
        height=100,
    )  # fmt: skip


def error_table(rows: Sequence[Any]) -> Table:
    """Every rate with its interval; `rows`: conditions with what was counted."""
    return Table(
        title="Error rates with 95 % intervals",
        header=(
            "VDD", "T, corner, window", *TYPES.values(), "binary: ±1 not read right", "unconverged"
        ),
        rows=tuple(
            (
                f"{row.vdd_v:g} V", environment(row),
                *(rate_text(getattr(row, kind)) for kind in (*TYPES, "binary")),
                f"{row.unconverged.events} of {row.unconverged.trials}",
            )
            for row in rows
        ),
        numeric=(0, 2, 3, 4, 5, 6),
        folded=len(rows) > 12,
    )  # fmt: skip


def count_table(rows: Sequence[Any]) -> Table:
    """Counts of written against read weights."""
    return Table(
        title="Counts: written against read",
        header=("VDD", "T, corner, window", "written", "read −1", "read 0", "read +1",
                "unconverged"),
        rows=tuple(
            (f"{row.vdd_v:g} V", environment(row), name, *(str(n) for n in counts))
            for row in rows
            for name, counts in zip(("−1", "0", "+1"), row.counts, strict=True)
        ),
        numeric=(0, 2, 3, 4, 5, 6),
        folded=True,
    )  # fmt: skip


def fall_table(record: Any) -> Table:
    """What each source's absence takes from each rate."""
    return Table(
        title="What a rate loses without a source, in percentage points, with 95 % intervals",
        header=("conditions", "without", *TYPES.values()),
        rows=tuple(
            (row.label, name, *(_fall(getattr(entry, f"{kind}_fall")) for kind in TYPES))
            for row in record.conditions
            for name, entry in row.without.items()
        ),
        numeric=(2, 3, 4),
    )


def _fall(fall: Any) -> str:
    if fall.value is None or fall.low is None or fall.high is None:
        return "–"
    part = "" if fall.share is None else f"; {percent(fall.share, 0)} of it"
    numbers = f"{100 * fall.value:.3g} ({100 * fall.low:.2g} to {100 * fall.high:.2g})"
    return numbers.replace("-", "−") + part
