"""A plot of lines and points with error bars, as SVG; a focused point tells what it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rramsim.figures.report.scales import Scale
from rramsim.figures.report.svg import Element, add, path_data, root, text, to_string

__all__ = ["DODGED", "MARKERS", "Plot", "Point"]

MARKERS = 6
"""Number of marker shapes and colours; series beyond repeat them."""

DODGED = "Series stand slightly apart along x, so that equal ones show."

LEFT, TOP, RIGHT, BOTTOM = 62.0, 26.0, 14.0, 46.0
# A letter's width at the size of text that phones see.
_LEGEND_LINE, _LETTER = 17.0, 9.4


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point with its interval along either axis; `bound` draws an arrow to where it may lie.

    `tip` is told when it is hovered or focused; `detail` is the key of more about it.
    """

    x: float
    y: float
    tip: str
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    bound: Literal["", "down", "left"] = ""
    detail: str | None = None


class Plot:
    """Axes of a given size; what is drawn later lies above.

    `dodge` sets neighbouring series so far apart along x that equal ones do not hide each other;
    captions say so with `DODGED`.
    """

    width, height = 480.0, 330.0

    def __init__(
        self, *, label: str, x_label: str, y_label: str, legend: Sequence[str] = (),
        height: float | None = None, left: float = LEFT, dodge: float = 0.0,
    ) -> None:  # fmt: skip
        self.height = height or self.height
        self._legend = _wrapped(legend, self.width - left - RIGHT)
        self.top = TOP + _LEGEND_LINE * len(self._legend)
        self.height += _LEGEND_LINE * len(self._legend)
        self.left, self.right = left, self.width - RIGHT
        self.bottom = self.height - BOTTOM
        self._labels = (x_label, y_label)
        middle = (len(legend) - 1) / 2
        self._shift = [dodge * (series - middle) for series in range(len(legend))] or [
            0.0
        ] * MARKERS
        self._svg = root(self.width, self.height, label=label, kind="plot")
        self._grid = add(self._svg, "g", class_="grid")
        self._body = add(self._svg, "g")

    @property
    def x_range(self) -> tuple[float, float]:
        """Where an x axis begins and ends."""
        return self.left, self.right

    @property
    def y_range(self) -> tuple[float, float]:
        """Where a y axis begins and ends, upwards."""
        return self.bottom, self.top

    def axes(self, x: Scale, y: Scale) -> None:
        """Draw both axes with their grid; to be called before anything is placed."""
        self.x, self.y = x, y
        frame, label_x, label_y = self._grid, *self._labels
        for value, name in x.ticks:
            at = x.at(value)
            add(frame, "path", d=f"M{at:.1f} {self.top:g}V{self.bottom:g}", class_="line")
            text(frame, at, self.bottom + 16, name, anchor="middle")
        for value, name in y.ticks:
            at = y.at(value)
            add(frame, "path", d=f"M{self.left:g} {at:.1f}H{self.right:g}", class_="line")
            text(frame, self.left - 6, at + 4, name, anchor="end")
        corner = f"M{self.left:g} {self.top:g}V{self.bottom:g}H{self.right:g}"
        add(frame, "path", d=corner, class_="axis")
        text(frame, (self.left + self.right) / 2, self.height - 8, label_x, anchor="middle")
        text(frame, 4, 14, label_y, class_="label")
        for line, entries in enumerate(self._legend):
            y_at = TOP + 4 + _LEGEND_LINE * line
            for index, at, name in entries:
                group = add(frame, "g", class_=f"s{index % MARKERS}")
                add(group, "path", d=f"M{self.left + at:g} {y_at:g}h20", class_="series")
                add(group, "path", d=_marker(index, self.left + at + 10, y_at), class_="mark")
                text(frame, self.left + at + 25, y_at + 4, name)

    def line(
        self, points: Sequence[tuple[float, float]], *, series: int, kind: str = "series"
    ) -> None:
        """A polyline in a series' colour; `kind` is its class: series, dashed, front, thin."""
        shift = self._shift[series] if kind == "series" else 0.0
        drawn = [(self.x.at(x) + shift, self.y.at(y)) for x, y in points if math.isfinite(x + y)]
        if len(drawn) > 1:
            group = add(self._body, "g", class_=f"s{series % MARKERS}")
            add(group, "path", d=path_data(drawn), class_=kind)

    def points(self, points: Sequence[Point], *, series: int, ringed: Sequence[bool] = ()) -> None:
        """Markers with their intervals, each focusable; `ringed` ones are set off by a ring."""
        group = add(self._body, "g", class_=f"s{series % MARKERS} points")
        for index, point in enumerate(points):
            if not math.isfinite(point.x + point.y):
                continue
            x, y = self.x.at(point.x) + self._shift[series], self.y.at(point.y)
            mark = add(
                group, "g", class_="point", tabindex="-1", role="button" if point.detail else "img",
                aria_label=point.tip.replace("\n", "; "), data_tip=point.tip,
                data_detail=point.detail,
            )  # fmt: skip
            self._interval(mark, point, x, y)
            if index < len(ringed) and ringed[index]:
                add(mark, "circle", cx=x, cy=y, r=8.5, class_="ring")
            if point.bound:
                add(mark, "path", d=_arrow(x, y, point.bound), class_="arrow")
            else:
                add(mark, "path", d=_marker(series, x, y), class_="mark")
            # The ring of a point that is focused or pointed at.
            add(mark, "circle", cx=x, cy=y, r=12.0, class_="target")

    def _interval(self, mark: Element, point: Point, x: float, y: float) -> None:
        if point.y_interval and not point.bound:
            low, high = (self.y.at(v) for v in point.y_interval)
            bar = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
            add(mark, "path", d=bar, class_="bar")
        if point.x_interval and not point.bound:
            low, high = (self.x.at(v) for v in point.x_interval)
            bar = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 3:.1f}v6M{high:.1f} {y - 3:.1f}v6"
            add(mark, "path", d=bar, class_="bar")

    def rule(self, *, x: float | None = None, y: float | None = None, name: str = "") -> None:
        """A line across the whole plot at one value, with a name beside it."""
        if x is not None:
            at = self.x.at(x)
            add(self._body, "path", d=f"M{at:.1f} {self.top:g}V{self.bottom:g}", class_="rule")
            text(self._body, at + 4, self.top + 11, name, class_="small")
        if y is not None:
            at = self.y.at(y)
            add(self._body, "path", d=f"M{self.left:g} {at:.1f}H{self.right:g}", class_="rule")
            text(self._body, self.right - 2, at - 4, name, anchor="end", class_="small")

    def write(self, x: float, y: float, content: str, *, dx: float = 0, dy: float = 0,
              anchor: str = "start") -> None:  # fmt: skip
        """A small text beside a value."""
        place = self.x.at(x) + dx, self.y.at(y) + dy
        text(self._body, *place, content, anchor=anchor, class_="small beside")

    def group(self, kind: str) -> Element:
        """A group of the body for drawings of other kinds."""
        return add(self._body, "g", class_=kind)

    def svg(self) -> str:
        """The drawing."""
        return to_string(self._svg)


def _wrapped(names: Sequence[str], width: float) -> list[list[tuple[int, float, str]]]:
    """The legend's entries (series, place, name) in lines that fit."""
    lines: list[list[tuple[int, float, str]]] = []
    at = width
    for index, name in enumerate(names):
        needs = 25 + _LETTER * len(name) + 14
        if not lines or at + needs > width:
            lines.append([])
            at = 0.0
        lines[-1].append((index, at, name))
        at += needs
    return lines


def _arrow(x: float, y: float, way: str) -> str:
    if way == "left":
        return f"M{x:.1f} {y:.1f}m0 -5v10M{x:.1f} {y:.1f}h-9m4 -4l-5 4l5 4z"
    return f"M{x:.1f} {y:.1f}m-5 0h10M{x:.1f} {y:.1f}v9m-4 -4l4 5l4 -5z"


def _marker(index: int, x: float, y: float) -> str:
    """Shapes that can be told apart without their colours."""
    return (
        f"M{x:.1f} {y:.1f}"
        + (
            "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
            "m-3.6 -3.6h7.2v7.2h-7.2z",
            "m0 -4.8l4.6 8h-9.2z",
            "m0 -5l5 5l-5 5l-5 -5z",
            "m0 4.8l4.6 -8h-9.2z",
            "m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
        )[index % MARKERS]
    )
