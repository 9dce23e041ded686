"""What a figure shows, said once: values with their bars, axes with units, what the bars are.

A `Chart` is drawn by matplotlib for files and notebooks (`matplotlib_figure`) and as SVG for pages
(`svg_figure`). The SVG is not matplotlib's own: the explorer draws anew while a slider moves, which
takes matplotlib a hundred times as long, and a page needs points that take the focus, colours that
follow light and dark, and text that grows on a phone. A `Table` is a page's.
"""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Literal

COLOURS = ("#0072b2", "#c25200", "#008a63", "#b0558c", "#a87400", "#2b8cc4", "#5f6770")
"""After Okabe and Ito (2008), for colour vision deficiencies; dark enough for text on white."""

Interval = tuple[float, float]
Line = Literal["", "solid", "dashed", "dotted", "thin", "step"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A value with the interval along either axis.

    `bound` draws an arrow instead of a mark: the value lies in that direction. `label` is written
    beside it where there is room, `tip` told when it is pointed at, `detail` the key of more about
    it. No line leads to a point with `gap` from the one before. A `hollow` mark says that less is
    known of it than of others; the footer says what.
    """

    x: float
    y: float
    x_bar: Interval | None = None
    y_bar: Interval | None = None
    bound: Literal["", "up", "down", "left"] = ""
    label: str = ""
    tip: str = ""
    detail: str | None = None
    ringed: bool = False
    hollow: bool = False
    gap: bool = False

    @property
    def finite(self) -> bool:
        """Whether it can be drawn."""
        return math.isfinite(self.x + self.y)


def without_cliffs(points: Sequence[Point], *, factor: float) -> list[Point]:
    """The points, with a gap where y changes by more than a factor: between them nothing is known.

    >>> points = [Point(x=k, y=y) for k, y in enumerate((0.5, 0.4, 0.001))]
    >>> [point.gap for point in without_cliffs(points, factor=10)]
    [False, False, True]
    """
    before = [math.nan, *(point.y for point in points)]
    return [
        replace(point, gap=not 1 / factor <= point.y / last <= factor if last > 0 else False)
        for last, point in zip(before, points, strict=False)
    ]


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of one kind; a `label` puts it into the legend, `mark` is the shape of its marks."""

    points: Sequence[Point] = ()
    label: str = ""
    colour: int = 0
    mark: int | None = None
    hollow: bool = False
    line: Line = ""

    @classmethod
    def trace(
        cls, x: Iterable[float], y: Iterable[float], *, label: str = "", colour: int = 0,
        line: Line = "solid", mark: int | None = None,
    ) -> "Series":  # fmt: skip
        """A line through values, without bars."""
        points = tuple(Point(x=float(a), y=float(b)) for a, b in zip(x, y, strict=True))
        return cls(points=points, label=label, colour=colour, line=line, mark=mark)

    def runs(self) -> list[list[Point]]:
        """The pieces of its line: no piece crosses a gap, a bound or a missing value."""
        pieces: list[list[Point]] = [[]]
        for point in self.points if self.line else ():
            if not point.finite or point.bound:
                pieces.append([])
                continue
            if point.gap:
                pieces.append([])
            pieces[-1].append(point)
        return [piece for piece in pieces if len(piece) > 1]

    def marks(self) -> list[Point]:
        """The points that are marked."""
        return [p for p in self.points if p.finite] if self.mark is not None else []


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A line across the panel at one value of an axis, with a name at its end."""

    x: float | None = None
    y: float | None = None
    label: str = ""
    colour: int | None = None
    line: Literal["dotted", "dashed"] = "dotted"


@dataclass(frozen=True, kw_only=True)
class Band:
    """The area between two curves."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Bars from `base` at the places `at`; lying ones run along x. `texts` stand at their ends."""

    at: Sequence[float]
    length: Sequence[float]
    base: Sequence[float] = ()
    width: float = 0.7
    label: str = ""
    colour: int = 0
    lying: bool = False
    texts: Sequence[str] = ()

    def ends(self) -> list[tuple[float, float, float]]:
        """(place, begin, end) of every bar."""
        base = self.base or [0.0] * len(self.at)
        return [(a, b, b + n) for a, b, n in zip(self.at, base, self.length, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A field for each pair of the places `x` and `y`, row by row.

    Shades run from -1 (the second colour) over 0 to 1 (the first); NaN: nothing is known. With
    `lookup` a page names the field under the pointer from the chart's data.
    """

    x: Sequence[float]
    y: Sequence[float]
    shades: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]] = ()
    strong: frozenset[tuple[int, int]] = frozenset()
    lookup: int | None = None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A quantity and its unit ("" for a pure number); `ticks` (value, name) replace round ones.

    `low` and `high` fix its ends; `zero` lets it begin at 0; `whole` has ticks at whole numbers.
    """

    label: str
    unit: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Sequence[tuple[float, str]] = ()
    zero: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """The label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def named(self) -> bool:
        """Whether it has names instead of numbers."""
        return bool(self.ticks) and all(v == k for k, (v, _) in enumerate(self.ticks))

    def name(self, value: float) -> object:
        """The name of a place on an axis of names, the value itself on any other."""
        return self.ticks[round(value)][1] if self.named else value

    @classmethod
    def names(cls, names: Sequence[str], *, label: str = "", downwards: bool = False) -> "Axis":
        """An axis of names at 0, 1, 2 and so on; `downwards` begins at its upper end."""
        ends = (-0.5, len(names) - 0.5)
        low, high = reversed(ends) if downwards else ends
        ticks = tuple((float(k), name) for k, name in enumerate(names))
        return cls(label=label, unit="", low=low, high=high, ticks=ticks)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes. Panels of one `choice` are shown together on a page, one choice at a time.

    With `dodge` the series' marks stand slightly apart along x, so that equal ones show.
    """

    x: Axis
    y: Axis
    series: Sequence[Series] = ()
    title: str = ""
    choice: str = ""
    rules: Sequence[Rule] = ()
    bands: Sequence[Band] = ()
    bars: Sequence[Bars] = ()
    cells: Cells | None = None
    dodge: bool = False

    def places(self) -> list[float]:
        """How far each series is moved along x, in steps, where they dodge each other."""
        colours = list(dict.fromkeys(series.colour for series in self.series))
        middle = (len(colours) - 1) / 2
        step = self.dodge * min(1.0, 1.5 / max(middle, 1.5))
        return [step * (colours.index(series.colour) - middle) for series in self.series]

    @property
    def axes(self) -> tuple[tuple[Literal["x"], Axis], tuple[Literal["y"], Axis]]:
        """Both axes with their names."""
        return ("x", self.x), ("y", self.y)

    def extent(self, axis: Literal["x", "y"]) -> list[float]:
        """All values along an axis that should be in view."""
        found = [getattr(rule, axis) for rule in self.rules if getattr(rule, axis) is not None]
        for series in self.series:
            for point in series.points:
                if point.finite:
                    found += [getattr(point, axis), *(getattr(point, f"{axis}_bar") or ())]
        for band in self.bands:
            found += [*band.x] if axis == "x" else [*band.low, *band.high]
        for bars in self.bars:
            across = bars.lying == (axis == "y")
            half = bars.width / 2
            for at, begin, end in bars.ends():
                found += [at - half, at + half] if across else [begin, end]
        return [float(value) for value in found if math.isfinite(value)]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure: one question, its panels, and under them where it comes from and what bars are.

    `bars` says what the points' bars are (standard deviation or interval) and must be there where
    there are any; `choice` what the panels' choices differ in, `first` the one to show first;
    `columns` how many panels stand side by side in a file; `height` (of a panel, in the 480 units
    of a page's drawing) where the default is too much.
    """

    key: str
    title: str
    panels: Sequence[Panel]
    footer: str
    bars: str = ""
    choice: str = ""
    first: int = 0
    columns: int = 0
    height: float = 0.0
    data: str = ""

    def __post_init__(self) -> None:
        if not self.panels:
            raise ValueError(f"{self.key}: a chart needs a panel")
        barred = any(
            point.x_bar or point.y_bar
            for panel in self.panels for series in panel.series for point in series.points
            if not point.bound
        )  # fmt: skip
        if barred and not self.bars:
            raise ValueError(f"{self.key}: has bars, but does not say what they are")

    @property
    def caption(self) -> str:
        """Footer and meaning of the bars, as one text."""
        dodged = any(panel.dodge and len(panel.series) > 1 for panel in self.panels)
        parts = [
            self.footer,
            f"Bars: {self.bars}." if self.bars else "",
            "Marks of different series are slightly offset along x." if dodged else "",
        ]
        return " ".join(part for part in parts if part)

    @property
    def choices(self) -> dict[str, list[Panel]]:
        """The panels by their choice, in order."""
        found: dict[str, list[Panel]] = {}
        for panel in self.panels:
            found.setdefault(panel.choice, []).append(panel)
        return found

    def legend(self, panels: Sequence[Panel] | None = None) -> list[Series]:
        """One entry for each label, in the order of appearance."""
        found: dict[str, Series] = {}
        for panel in panels or self.panels:
            for bars in panel.bars:
                if bars.label:
                    found.setdefault(bars.label, Series(label=bars.label, colour=bars.colour))
            for series in panel.series:
                if series.label:
                    found.setdefault(series.label, series)
        return list(found.values())

    def csv(self) -> str:
        """Everything that is drawn, as CSV; or `data`, where that says more."""
        if self.data:
            return self.data
        first = self.panels[0]
        x, y = (axis.text or "y" for axis in (first.x, first.y))
        header = ["panel", "series", x, f"{x}, low", f"{x}, high", y, f"{y}, low", f"{y}, high",
                  "bound"]  # fmt: skip
        rows: list[Sequence[object]] = []
        for panel in self.panels:
            name = ", ".join(part for part in (panel.choice, panel.title) if part)
            xs, ys = panel.x.name, panel.y.name
            for series in panel.series:
                rows += [
                    [name, series.label, xs(p.x), *(p.x_bar or (None, None)),
                     ys(p.y), *(p.y_bar or (None, None)), p.bound]
                    for p in series.points
                ]  # fmt: skip
            for bars in panel.bars:
                for at, begin, end in bars.ends():
                    across = [xs(at), None, None, end, begin, end]
                    along = [end, begin, end, ys(at), None, None]
                    rows.append([name, bars.label, *(along if bars.lying else across), ""])
            if panel.cells is not None and panel.cells.texts:
                rows += [
                    [name, text, xs(at), None, None, ys(row), None, None, ""]
                    for row, texts in zip(panel.cells.y, panel.cells.texts, strict=True)
                    for at, text in zip(panel.cells.x, texts, strict=True)
                ]
        return csv_text(header, rows)

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        from rramsim.figures.draw_matplotlib import png_bytes

        return png_bytes(self)


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, floats to six digits and empty where there is no number.

    >>> csv_text(["name", "value"], [["a,b", 0.1234567], ["c", float("nan")]])
    'name,value\\n"a,b",0.123457\\nc,\\n'
    """

    def cell(value: object) -> object:
        if isinstance(value, float):
            return f"{value:.6g}" if math.isfinite(value) else None
        return value

    with StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)
        return text.getvalue()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts in rows under a header; `numeric` columns (by index) are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    folded: bool = False
