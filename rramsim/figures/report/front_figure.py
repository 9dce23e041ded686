"""Energy against accuracy with the Pareto front; each point leads to all that is known of it."""

from collections.abc import Mapping, Sequence

from rramsim.costs import pareto_front
from rramsim.figures.report.figure import DetailPoint, ReportFigure, ReportTable, Variant, csv_text
from rramsim.figures.report.network_figures import by_environment
from rramsim.figures.report.nominal_figures import waveform_label
from rramsim.figures.report.numbers import (
    engineering_interval,
    percent,
    percent_interval,
    rate_text,
)
from rramsim.figures.report.plot import Plot, Point
from rramsim.figures.report.rate_figures import TYPES
from rramsim.figures.report.records import (
    ErrorsRecord,
    ErrorsRow,
    TradeoffRow,
    by_network,
    network_label,
)
from rramsim.figures.report.scales import linear

__all__ = ["front_details", "front_figure", "front_table"]

_FLOWS = {
    "once": ("read once an image", "energy of weight reads per image (nJ)", 1e9),
    "per_use": ("read for every use", "energy of weight reads per image (µJ)", 1e6),
}

"""The data flows that the trade-off's table has; `costs.csv` has more."""

Keys = Mapping[int, str]
"""The key of each row's details, by the row's identity."""

Place = tuple[float, float, str, float]


def front_figure(rows: Sequence[TradeoffRow], errors: ErrorsRecord | None) -> ReportFigure:
    """Energy of an image's weight reads against accuracy, for both data flows."""
    keys = _keys(rows)
    tips = _tips(rows, errors)
    environments = by_environment(rows)
    variants = []
    for environment, mine in environments.items():
        for flow in _FLOWS:
            several = f"; {environment}" if len(environments) > 1 else ""
            svg = _plot(mine, flow, environment, keys, tips)
            variants.append(Variant(label=f"{_FLOWS[flow][0]}{several}", svg=svg))
    fronts = {flow: _on_front(rows, flow) for flow in _FLOWS}
    return ReportFigure(
        key="front",
        title="Energy against accuracy",
        caption=(
            f"{rows[0].data}; simulated read errors and read energies (sense, recharge, "
            "clock and word line; adders and buffers are not in it), 95 % intervals. Ringed and "
            "joined: the Pareto front: nothing is both cheaper and at least as accurate (by the "
            "means; intervals may overlap). Choose a point to see its supply, errors and waveforms."
        ),
        variants=tuple(variants),
        csv=csv_text(
            [*TradeoffRow.model_fields, *(f"on_front_{flow}" for flow in _FLOWS)],
            (
                [*row.model_dump().values(), *(int(id(row) in fronts[f]) for f in _FLOWS)]
                for row in rows
            ),
        ),
        choice="Weights",
    )


def _keys(rows: Sequence[TradeoffRow]) -> dict[int, str]:
    return {id(row): f"point-{number}" for number, row in enumerate(rows)}


def _on_front(rows: Sequence[TradeoffRow], flow: str) -> set[int]:
    """Identities of the rows on the front of their temperature, corner and window."""
    found: set[int] = set()
    for mine in by_environment(rows).values():
        front = pareto_front([row.energy_j(flow)[0] for row in mine], [r.accuracy for r in mine])
        found |= {id(row) for row, best in zip(mine, front, strict=True) if best}
    return found


def _tips(rows: Sequence[TradeoffRow], errors: ErrorsRecord | None) -> dict[int, str]:
    """The error rates of each row's point, a line each, by the row's identity."""
    counted = _counted(errors)
    return {
        id(row): "".join(
            f"\n{name.partition(':')[0]}: {rate}" for name, rate in _rates(row, counted)
        )
        for row in rows
    }


def _plot(
    rows: Sequence[TradeoffRow], flow: str, environment: str, keys: Keys, tips: Mapping[int, str]
) -> str:
    title, label, scale = _FLOWS[flow]
    groups, front = by_network(rows), _on_front(rows, flow)
    plot = Plot(
        label=f"Energy against accuracy, weights {title}, {environment}", x_label=label,
        y_label="test accuracy (%)", legend=list(groups), height=380,
    )  # fmt: skip
    plot.axes(
        linear([scale * end for row in rows for end in row.energy_j(flow)], *plot.x_range),
        linear([100 * v for r in rows for v in (r.accuracy_low, r.accuracy_high)], *plot.y_range),
    )
    best = sorted((row.energy_j(flow)[0], row.accuracy) for row in rows if id(row) in front)
    plot.line([(scale * energy, 100 * a) for energy, a in best], series=0, kind="front")
    for series, (name, mine) in enumerate(groups.items()):
        mine = sorted(mine, key=lambda row: row.vdd_v)
        points = []
        for row in mine:
            value, low, high = row.energy_j(flow)
            points.append(
                Point(
                    x=scale * value,
                    y=100 * row.accuracy,
                    x_interval=(scale * low, scale * high),
                    y_interval=(100 * row.accuracy_low, 100 * row.accuracy_high),
                    tip=f"{name}\n{row.vdd_v:g} V"
                    + (", on the front" if id(row) in front else "")
                    + f"\n{percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)}"
                    + f"\n{_energy(row, flow)} per image"
                    + tips[id(row)],
                    detail=keys[id(row)],
                )
            )
            if id(row) in front:
                # Neighbouring lines are labelled on different sides.
                right = bool(series % 2)
                plot.write(
                    scale * value, 100 * row.accuracy, f"{row.vdd_v:g} V",
                    dx=8 if right else -8, dy=14 if right else -8,
                    anchor="start" if right else "end",
                )  # fmt: skip
        plot.line([(p.x, p.y) for p in points], series=series, kind="thin")
        plot.points(points, series=series, ringed=[id(row) in front for row in mine])
    return plot.svg()


def front_details(
    rows: Sequence[TradeoffRow], errors: ErrorsRecord | None, waveforms: frozenset[str]
) -> tuple[DetailPoint, ...]:
    """All that is known of every point; `waveforms` are the labels of those that were drawn."""
    keys = _keys(rows)
    counted = _counted(errors)
    details = []
    for row in rows:
        facts = [
            ("supply", f"{row.vdd_v:g} V; {row.environment}"),
            ("accuracy with read errors",
             percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)),
            ("accuracy without", percent(row.accuracy_without_errors)),
            *((f"energy per image, weights {_FLOWS[f][0]}", _energy(row, f)) for f in _FLOWS),
        ]  # fmt: skip
        facts += _rates(row, counted)
        label = waveform_label(row.vdd_v)
        details.append(
            DetailPoint(
                key=keys[id(row)],
                title=f"{network_label(row)} at {row.vdd_v:g} V",
                facts=tuple(facts),
                waveforms=label if label in waveforms else None,
            )
        )
    return tuple(details)


def _counted(errors: ErrorsRecord | None) -> dict[Place, ErrorsRow]:
    return {_place(row): row for row in (errors.conditions if errors else ())}


def _rates(row: TradeoffRow, counted: Mapping[Place, ErrorsRow]) -> list[tuple[str, str]]:
    """The name and rate of each type of error, with intervals where the counts are there."""
    at = counted.get(_place(row))
    if at is not None:
        return [(name, rate_text(getattr(at, kind))) for kind, name in TYPES.items()]
    shares = ((name, getattr(row, kind)) for kind, name in TYPES.items())
    return [(name, percent(share, 2)) for name, share in shares if share is not None]


def _place(row: TradeoffRow | ErrorsRow) -> Place:
    return row.vdd_v, row.temperature_c, row.corner, row.window_s


def _energy(row: TradeoffRow, flow: str) -> str:
    return engineering_interval(*row.energy_j(flow), "J")


def front_table(rows: Sequence[TradeoffRow]) -> ReportTable:
    """Every point of the trade-off; those of a front are marked."""
    fronts = {"once": _on_front(rows, "once"), "per use": _on_front(rows, "per_use")}
    return ReportTable(
        title="Every point, with 95 % intervals",
        header=("network", "VDD", "T, corner, window", "accuracy", "read once", "read per use",
                "on the front"),
        rows=tuple(
            (
                network_label(row), f"{row.vdd_v:g} V", row.environment,
                percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high),
                _energy(row, "once"), _energy(row, "per_use"),
                ", ".join(name for name, front in fronts.items() if id(row) in front),
            )
            for row in rows
        ),
        numeric=(1, 3, 4, 5),
        folded=True,
    )  # fmt: skip
