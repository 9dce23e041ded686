"""Error rates against the supply, tables of counts, and the shares of the sources of variation."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rramsim.figures.report.figure import ReportFigure, ReportTable, Variant, csv_text
from rramsim.figures.report.numbers import percent, rate_text
from rramsim.figures.report.plot import DODGED, Plot, Point
from rramsim.figures.report.records import (
    ErrorsRecord,
    ErrorsRow,
    FallRecord,
    RateRecord,
    SharesRecord,
    SharesRow,
)
from rramsim.figures.report.scales import Scale, linear, logarithmic

__all__ = [
    "TYPES",
    "count_table",
    "error_figure",
    "error_table",
    "fall_table",
    "shares_figure",
]

TYPES = {
    "type1": "type 1: sign flip",
    "type2": "type 2: ±1 read as 0",
    "type3": "type 3: 0 read as ±1",
}
_ARROWS = "an arrow stands at the upper end of the interval where no error was seen"


def _rates_header(lead: Sequence[str]) -> list[str]:
    return [*lead, "type", "rate", "low", "high", "events", "trials"]


def _rate_cells(rate: RateRecord) -> list[object]:
    return [rate.rate, rate.low, rate.high, rate.events, rate.trials]


def _rate_axis(rates: Iterable[RateRecord], start: float, end: float) -> Scale:
    ends = [v for rate in rates for v in (rate.low, rate.high) if v > 0]
    # Room below the smallest for the arrows.
    return logarithmic([min(ends, default=1.0) / 2.5, *ends, 1.0], start, end, unit=False)


def error_figure(record: ErrorsRecord) -> ReportFigure:
    """The three rates against VDD, a variant for each temperature, corner and window."""
    groups: dict[str, list[ErrorsRow]] = {}
    for row in record.conditions:
        groups.setdefault(row.environment, []).append(row)
    variants = []
    for environment, rows in groups.items():
        plot = Plot(
            label=f"Error rates against the supply, {environment}",
            x_label="supply VDD (V)", y_label="error rate", legend=tuple(TYPES.values()), dodge=5,
        )  # fmt: skip
        rates = [getattr(row, kind) for row in rows for kind in TYPES]
        plot.axes(
            linear([row.vdd_v for row in rows], *plot.x_range), _rate_axis(rates, *plot.y_range)
        )
        rows = sorted(rows, key=lambda row: row.vdd_v)
        for series, (kind, name) in enumerate(TYPES.items()):
            points = [
                _rate_point(row.vdd_v, getattr(row, kind), f"{row.vdd_v:g} V, {name}")
                for row in rows
                if getattr(row, kind).rate is not None
            ]
            plot.line([(p.x, p.y) for p in points if not p.bound], series=series)
            plot.points(points, series=series)
        variants.append(Variant(label=environment, svg=plot.svg()))
    lead = ["vdd_v", "temperature_c", "corner", "window_s"]
    return ReportFigure(
        key="error-rates",
        title="Error rates against the supply",
        caption=f"Simulated, {record.engine}. Bars: {record.interval}; {_ARROWS}. {DODGED}",
        variants=tuple(variants),
        csv=csv_text(
            _rates_header(lead),
            (
                [r.vdd_v, r.temperature_c, r.corner, r.window_s, kind,
                 *_rate_cells(getattr(r, kind))]
                for r in record.conditions
                for kind in TYPES
            ),
        ),
        choice="Conditions",
    )  # fmt: skip


def _rate_point(x: float, rate: RateRecord, name: str) -> Point:
    return Point(
        x=x,
        y=rate.rate if rate.events else rate.high,  # type: ignore[arg-type]
        y_interval=(rate.low, rate.high),
        bound="" if rate.events else "down",
        tip=f"{name}\n{rate_text(rate)}\n{rate.events} of {rate.trials} senses",
    )


def error_table(record: ErrorsRecord) -> ReportTable:
    """Every rate with its interval."""
    return ReportTable(
        title="Error rates with 95 % intervals",
        header=(
            "VDD", "T, corner, window", *TYPES.values(), "binary: ±1 not read right", "unconverged"
        ),
        rows=tuple(
            (
                f"{row.vdd_v:g} V", row.environment,
                *(rate_text(getattr(row, kind)) for kind in (*TYPES, "binary")),
                f"{row.unconverged.events} of {row.unconverged.trials}",
            )
            for row in record.conditions
        ),
        numeric=(0, 2, 3, 4, 5, 6),
    )  # fmt: skip


def count_table(record: ErrorsRecord) -> ReportTable:
    """Counts of written against read weights."""
    return ReportTable(
        title="Counts: written against read",
        header=("VDD", "T, corner, window", "written", "read −1", "read 0", "read +1",
                "unconverged"),
        rows=tuple(
            (f"{row.vdd_v:g} V", row.environment, name, *(str(n) for n in counts))
            for row in record.conditions
            for name, counts in zip(("−1", "0", "+1"), row.counts, strict=True)
        ),
        numeric=(0, 2, 3, 4, 5, 6),
        folded=True,
    )  # fmt: skip


def shares_figure(record: SharesRecord) -> ReportFigure:
    """Rates with everything on and with one source off; a variant for each set of conditions."""
    lead = ["vdd_v", "temperature_c", "corner", "window_s", "without"]
    return ReportFigure(
        key="error-shares",
        title="Error rates with one source of variation switched off",
        caption=(
            f"Simulated, {record.engine}, {record.circuit}. Bars: {record.interval}; {_ARROWS}. "
            "The farther left of “everything on”, the more of the errors are the source's."
        ),
        variants=tuple(
            Variant(label=row.label, svg=_shares(row)) for row in record.conditions
        ),
        csv=csv_text(
            _rates_header(lead),
            (
                [r.vdd_v, r.temperature_c, r.corner, r.window_s, name, kind,
                 *_rate_cells(getattr(entry, kind))]
                for r in record.conditions
                for name, entry in {"nothing": r.all, **r.without}.items()
                for kind in TYPES
            ),
        ),
        choice="Conditions",
    )  # fmt: skip


def _shares(row: SharesRow) -> str:
    entries = {"everything on": row.all, **{f"no {n}": e for n, e in row.without.items()}}
    plot = Plot(
        label=f"Error rates without each source, {row.label}", x_label="error rate", y_label="",
        legend=tuple(TYPES.values()), height=96 + 40.0 * len(entries), left=112,
    )  # fmt: skip
    rates = [getattr(entry, kind) for entry in entries.values() for kind in TYPES]
    count = len(entries)
    ticks = tuple((float(count - 1 - k), name) for k, name in enumerate(entries))
    start, end = plot.y_range
    y = Scale(low=-0.5, high=count - 0.5, start=start, end=end, log=False, ticks=ticks)
    plot.axes(_rate_axis(rates, *plot.x_range), y)
    for series, (kind, name) in enumerate(TYPES.items()):
        points = []
        for k, (label, entry) in enumerate(entries.items()):
            rate: RateRecord = getattr(entry, kind)
            if rate.rate is None:
                continue
            bound: Literal["", "left"] = "" if rate.events else "left"
            points.append(
                Point(
                    x=rate.high if bound else rate.rate,
                    y=count - 1 - k + 0.22 * (1 - series),
                    x_interval=(rate.low, rate.high),
                    bound=bound,
                    tip=f"{label}, {name}\n{rate_text(rate)}\n"
                    f"{rate.events} of {rate.trials} senses",
                )
            )
        plot.points(points, series=series)
    return plot.svg()


def fall_table(record: SharesRecord) -> ReportTable:
    """What each source's absence takes from each rate."""
    return ReportTable(
        title="What a rate loses without a source, in percentage points, with 95 % intervals",
        header=("conditions", "without", *TYPES.values()),
        rows=tuple(
            (row.label, name, *(_fall(getattr(entry, f"{kind}_fall")) for kind in TYPES))
            for row in record.conditions
            for name, entry in row.without.items()
        ),
        numeric=(2, 3, 4),
    )


def _fall(fall: FallRecord) -> str:
    if fall.value is None or fall.low is None or fall.high is None:
        return "–"
    part = "" if fall.share is None else f"; {percent(fall.share, 0)} of it"
    numbers = f"{100 * fall.value:.3g} ({100 * fall.low:.2g} to {100 * fall.high:.2g})"
    return numbers.replace("-", "−") + part
