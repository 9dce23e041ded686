"""Energy against accuracy with the Pareto front; each point leads to all that is known of it."""

import pandas as pd

from rramsim.costs import DATA_FLOWS, pareto_front
from rramsim.figures.report.figure import DetailPoint, ReportFigure, ReportTable, Variant, csv_text
from rramsim.figures.report.network_figures import environments, network_label
from rramsim.figures.report.nominal_figures import waveform_label
from rramsim.figures.report.numbers import engineering_interval, percent_interval, rate_text
from rramsim.figures.report.plot import Plot, Point
from rramsim.figures.report.rate_figures import TYPES
from rramsim.figures.report.records import ErrorsRecord, RateRecord
from rramsim.figures.report.scales import linear

__all__ = ["front_details", "front_figure", "front_table"]

_FLOWS = {
    "once": ("each weight read once an image", "energy of weight reads per image (nJ)", 1e9),
    "per_use": ("each weight read for every use", "energy of weight reads per image (µJ)", 1e6),
}


def front_figure(table: pd.DataFrame) -> ReportFigure:
    """Energy of an image's weight reads against accuracy, for both data flows."""
    on_front = pd.Series(False, index=table.index)
    variants = []
    for environment, rows in environments(table):
        for flow in DATA_FLOWS:
            front = _front(rows, flow)
            on_front |= front.reindex(table.index, fill_value=False)
            name = _FLOWS[flow][0]
            several = f"; {environment}" if len(environments(table)) > 1 else ""
            variants.append(
                Variant(label=f"{name}{several}", svg=_plot(rows, flow, front, environment))
            )
    return ReportFigure(
        key="front",
        title="Energy against accuracy",
        caption=(
            f"{table.data.iloc[0]}; simulated read errors and read energies (sense, recharge, "
            "clock and word line; adders and buffers are not in it), 95 % intervals. Ringed and "
            "joined: the Pareto front: nothing is both cheaper and at least as accurate (by the "
            "means; intervals may overlap). Choose a point to see its supply, errors and waveforms."
        ),
        variants=tuple(variants),
        csv=csv_text(
            [*table.columns, "on_front"],
            ([*row, int(front)] for row, front in
             zip(table.itertuples(index=False, name=None), on_front, strict=True)),
        ),
        choice="Data flow",
    )  # fmt: skip


def _front(rows: pd.DataFrame, flow: str) -> pd.Series:
    energy = rows[f"energy_{flow}_j"].to_numpy()
    return pd.Series(pareto_front(energy, rows.accuracy.to_numpy()), index=rows.index)


def _plot(rows: pd.DataFrame, flow: str, front: pd.Series, environment: str) -> str:
    _, label, scale = _FLOWS[flow]
    energy = f"energy_{flow}"
    groups = list(rows.groupby(["network", "trained_with_errors"], sort=False))
    plot = Plot(
        label=f"Energy against accuracy, {_FLOWS[flow][0]}, {environment}", x_label=label,
        y_label="test accuracy (%)", legend=[network_label(*key) for key, _ in groups], height=380,
    )  # fmt: skip
    plot.axes(
        linear(scale * rows[[f"{energy}_low_j", f"{energy}_high_j"]].to_numpy().ravel(),
               *plot.x_range),
        linear(100 * rows[["accuracy_low", "accuracy_high"]].to_numpy().ravel(), *plot.y_range),
    )  # fmt: skip
    best = rows[front].sort_values(f"{energy}_j")
    plot.line(
        list(zip(scale * best[f"{energy}_j"], 100 * best.accuracy, strict=True)),
        series=0, kind="front",
    )  # fmt: skip
    for series, (key, mine) in enumerate(groups):
        mine = mine.sort_values("vdd_v")
        points = []
        for index, row in mine.iterrows():
            joule = [float(row[f"{energy}{end}_j"]) for end in ("", "_low", "_high")]
            x = scale * joule[0]
            points.append(
                Point(
                    x=x, y=100 * float(row.accuracy),
                    x_interval=(scale * joule[1], scale * joule[2]),
                    y_interval=(100 * float(row.accuracy_low), 100 * float(row.accuracy_high)),
                    tip=f"{network_label(*key)}\n{row.vdd_v:g} V"
                    + (", on the front" if front[index] else "")
                    + f"\n{percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)}"
                    + f"\n{_energy(row, flow)} per image",
                    detail=f"point-{index}",
                )
            )  # fmt: skip
            side = 1 if series % 2 else -1
            if not front[index]:
                continue
            plot.write(
                x, 100 * float(row.accuracy), f"{row.vdd_v:g} V", dx=8 * side,
                dy=14 if series % 2 else -8, anchor="start" if side > 0 else "end",
            )  # fmt: skip
        plot.line([(p.x, p.y) for p in points], series=series, kind="thin")
        plot.points(points, series=series, ringed=[bool(front[i]) for i in mine.index])
    return plot.svg()


def front_details(
    table: pd.DataFrame, errors: ErrorsRecord | None, waveforms: frozenset[str]
) -> tuple[DetailPoint, ...]:
    """All that is known of every point; `waveforms` are the labels of those that were drawn."""
    rates = {}
    for row in errors.conditions if errors else ():
        rates[row.vdd_v, row.temperature_c, row.corner, row.window_s] = row
    details = []
    for index, row in table.iterrows():
        at = rates.get((row.vdd_v, row.temperature_c, row.corner, row.window_s))
        facts = [
            ("supply", f"{row.vdd_v:g} V, {row.temperature_c:g} °C, {row.corner}, "
                       f"window {row.window_s * 1e9:g} ns"),
            ("accuracy with read errors",
             percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high)),
            ("accuracy without", f"{100 * row.accuracy_without_errors:.1f} %"),
        ]  # fmt: skip
        for flow in DATA_FLOWS:
            facts.append((f"energy per image, {_FLOWS[flow][0]}", _energy(row, flow)))
        for kind, name in TYPES.items():
            rate: RateRecord | None = getattr(at, kind) if at else None
            told = f"{100 * row[kind]:.3g} %" if rate is None else rate_text(rate)
            facts.append((name, told))
        label = waveform_label(float(row.vdd_v))
        details.append(
            DetailPoint(
                key=f"point-{index}",
                title=f"{network_label(row.network, row.trained_with_errors)} at {row.vdd_v:g} V",
                facts=tuple(facts),
                waveforms=label if label in waveforms else None,
            )
        )
    return tuple(details)


def _energy(row: pd.Series, flow: str) -> str:
    value, low, high = (float(row[f"energy_{flow}{end}_j"]) for end in ("", "_low", "_high"))
    return engineering_interval(value, low, high, "J")


def front_table(table: pd.DataFrame) -> ReportTable:
    """Every point of the trade-off; those of a front are marked."""
    marks = pd.Series("", index=table.index)
    for _, rows in environments(table):
        for flow, mark in zip(DATA_FLOWS, ("once", "per use"), strict=True):
            found = _front(rows, flow)
            for index in found[found].index:
                marks[index] = f"{marks[index]}, {mark}".lstrip(", ")
    return ReportTable(
        title="Every point, with 95 % intervals",
        header=("network", "VDD", "T, corner, window", "accuracy", "read once", "read per use",
                "on the front"),
        rows=tuple(
            (
                network_label(row.network, row.trained_with_errors), f"{row.vdd_v:g} V",
                environment,
                percent_interval(row.accuracy, row.accuracy_low, row.accuracy_high),
                _energy(row, "once"), _energy(row, "per_use"), marks[index],
            )
            for environment, rows in environments(table)
            for index, row in rows.iterrows()
        ),
        numeric=(1, 3, 4, 5),
        folded=True,
    )  # fmt: skip
