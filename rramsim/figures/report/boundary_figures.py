"""Above which resistance two equal devices read 0: the boundary against supply or temperature."""

from collections.abc import Sequence
from typing import Literal

from rramsim.counting.boundary import LARGEST_OHM, SMALLEST_OHM
from rramsim.figures.report.figure import ReportFigure, ReportTable, Variant, record_csv
from rramsim.figures.report.numbers import engineering
from rramsim.figures.report.plot import DODGED, Plot, Point
from rramsim.figures.report.records import BoundaryRow
from rramsim.figures.report.scales import linear, logarithmic

__all__ = ["boundary_figure", "boundary_table"]


def boundary_figure(rows: Sequence[BoundaryRow]) -> ReportFigure:
    """The median boundary of every corner; a variant for each temperature (or supply) and window.

    Against the supply, or against the temperature where there is one supply.
    """
    by_supply = len({row.vdd_v for row in rows}) > 1
    groups: dict[str, list[BoundaryRow]] = {}
    for row in rows:
        other = f"{row.temperature_c:g} °C" if by_supply else f"{row.vdd_v:g} V"
        groups.setdefault(f"{other}, {row.window_s * 1e9:g} ns", []).append(row)
    return ReportFigure(
        key="boundary",
        title="Boundary between 0 and ±1",
        caption=(
            f"Simulated, {rows[0].engine}, {rows[0].circuit}: above the boundary two devices of "
            "one resistance read 0. Points: median over the draws of mismatch with its 95 % "
            "interval, an arrow where half of them read every resistance as 0; thin lines: "
            f"5 and 95 % of the draws. {DODGED}"
        ),
        variants=tuple(
            Variant(label=label, svg=_plot(mine, label, by_supply))
            for label, mine in groups.items()
        ),
        csv=record_csv(rows),
        choice="Conditions",
    )


def _plot(rows: Sequence[BoundaryRow], label: str, by_supply: bool) -> str:
    corners = list(dict.fromkeys(row.corner for row in rows))
    plot = Plot(
        label=f"Boundary between 0 and ±1, {label}",
        x_label="supply VDD (V)" if by_supply else "temperature (°C)",
        y_label="resistance of both devices (Ω)", legend=corners, dodge=5,
    )  # fmt: skip
    quantiles = [q for row in rows for q in (row.r05_ohm, row.r50_ohm, row.r95_ohm)]
    known = [q for q in quantiles if q is not None and SMALLEST_OHM <= q <= LARGEST_OHM]
    plot.axes(
        linear([_x(row, by_supply) for row in rows], *plot.x_range),
        logarithmic([SMALLEST_OHM / 1.5, 1e5, *known], *plot.y_range, margin=1.2),
    )
    for series, corner in enumerate(corners):
        mine = sorted((r for r in rows if r.corner == corner), key=lambda r: _x(r, by_supply))
        for end in ("r05_ohm", "r95_ohm"):
            edge = [(_x(row, by_supply), getattr(row, end)) for row in mine]
            plot.line([(x, q) for x, q in edge if q], series=series, kind="thin")
        points = [point for row in mine if (point := _point(row, by_supply)) is not None]
        plot.line([(p.x, p.y) for p in points if not p.bound], series=series)
        plot.points(points, series=series)
    return plot.svg()


def _x(row: BoundaryRow, by_supply: bool) -> float:
    return row.vdd_v if by_supply else row.temperature_c


def _point(row: BoundaryRow, by_supply: bool) -> Point | None:
    """The median; None where half of the draws read no resistance as 0, or none converged."""
    middle = row.r50_ohm
    if middle is None or middle > LARGEST_OHM:
        return None
    bound: Literal["", "down"] = "down" if middle < SMALLEST_OHM else ""
    return Point(
        x=_x(row, by_supply),
        y=SMALLEST_OHM if bound else middle,
        y_interval=(max(row.r50_low_ohm or 0.0, SMALLEST_OHM / 1.5),
                    min(row.r50_high_ohm or LARGEST_OHM, LARGEST_OHM)),
        bound=bound,
        tip=f"{row.corner}, {row.vdd_v:g} V, {row.temperature_c:g} °C\nmedian {_ohm(middle)}\n"
        f"5 to 95 %: {_ohm(row.r05_ohm)} to {_ohm(row.r95_ohm)}\n{row.draws} draws",
    )  # fmt: skip


def boundary_table(rows: Sequence[BoundaryRow]) -> ReportTable:
    """Quantiles of the boundary over the draws of mismatch, with 95 % intervals."""
    shares = {"r05": "5 %", "r50": "median", "r95": "95 %"}
    return ReportTable(
        title="Boundary in 5, 50 and 95 % of the draws, with 95 % intervals",
        header=("VDD", "T, corner, window", *shares.values(), "draws"),
        rows=tuple(
            (
                f"{row.vdd_v:g} V",
                row.environment,
                *(_interval(row, name) for name in shares),
                f"{row.draws}, {row.unconverged} did not converge"
                if row.unconverged
                else f"{row.draws}",
            )
            for row in rows
        ),
        numeric=(0, 2, 3, 4, 5),
        folded=len(rows) > 12,
    )


def _interval(row: BoundaryRow, name: str) -> str:
    value, low, high = (getattr(row, f"{name}{end}_ohm") for end in ("", "_low", "_high"))
    return f"{_ohm(value)} ({_ohm(low)} to {_ohm(high)})"


def _ohm(value: float | None) -> str:
    """A resistance, or which side of what was searched it lies on."""
    if value is None:
        return "–"
    if value < SMALLEST_OHM:
        return f"below {engineering(SMALLEST_OHM, 'Ω')}"
    if value > LARGEST_OHM:
        return f"above {engineering(LARGEST_OHM, 'Ω')}"
    return engineering(value, "Ω")
