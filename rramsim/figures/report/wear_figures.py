"""Writes of the devices of networks that learned on them."""

from collections.abc import Sequence

from rramsim.figures.report.figure import ReportFigure, ReportTable, Variant, record_csv
from rramsim.figures.report.numbers import percent
from rramsim.figures.report.plot import Plot, Point
from rramsim.figures.report.records import WearRow, by_network
from rramsim.figures.report.scales import Scale, logarithmic

__all__ = ["wear_figure", "wear_table"]

_NAMES = {"mean_writes": "mean of the devices", "most": "most written device"}


def wear_figure(rows: Sequence[WearRow]) -> ReportFigure:
    """Writes of a device by layer, in the mean and at most; a variant for each network."""
    return ReportFigure(
        key="wear",
        title="Writes of a device",
        caption=(
            f"Counted over the whole training on {rows[0].data}; a write is one SET or one RESET. "
            f"Dotted: the endurance of {rows[0].endurance_writes:g} writes that the experiment "
            "assumes. Forming is not counted."
        ),
        variants=tuple(
            Variant(label=name, svg=_plot(mine, name)) for name, mine in by_network(rows).items()
        ),
        csv=record_csv(rows),
        choice="Network",
    )


def _plot(rows: Sequence[WearRow], network: str) -> str:
    count = len(rows)
    plot = Plot(
        label=f"Writes of a device, {network}", x_label="writes of a device", y_label="",
        legend=tuple(_NAMES.values()), height=110 + 44.0 * count, left=146,
    )  # fmt: skip
    endurance = max(row.endurance_writes for row in rows)
    counts = [max(value, 1e-3) for row in rows for value in (row.mean_writes, row.most)]
    start, end = plot.y_range
    ticks = tuple((float(count - 1 - k), row.weight) for k, row in enumerate(rows))
    plot.axes(
        logarithmic([*counts, endurance], *plot.x_range, margin=2),
        Scale(low=-0.6, high=count - 0.4, start=start, end=end, log=False, ticks=ticks),
    )
    plot.rule(x=endurance)
    for series, (field, name) in enumerate(_NAMES.items()):
        plot.points(
            [
                Point(
                    x=getattr(row, field),
                    y=count - 1 - k + 0.16 * (1 - 2 * series),
                    tip=f"{row.weight}, {name}\n{getattr(row, field):.3g} writes",
                )
                for k, row in enumerate(rows)
                if getattr(row, field) > 0
            ],
            series=series,
        )
    return plot.svg()


def wear_table(rows: Sequence[WearRow]) -> ReportTable:
    """Devices, writes and wear of every layer."""
    return ReportTable(
        title="Writes by layer",
        header=("network", "trained with", "layer", "devices", "SETs", "RESETs", "mean writes",
                "most", "of the endurance"),
        rows=tuple(
            (
                row.network,
                "no errors"
                if row.trained_with_errors == "none"
                else f"errors of {row.trained_with_errors} V",
                row.weight, f"{row.devices:,}", f"{row.sets:,}", f"{row.resets:,}",
                f"{row.mean_writes:.3g}", f"{row.most:,}",
                percent(row.most / row.endurance_writes, 4),
            )
            for row in rows
        ),
        numeric=(3, 4, 5, 6, 7, 8),
    )  # fmt: skip
