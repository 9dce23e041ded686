"""Where things go on a drawing: axes, their ends and ticks, and labels beside their marks and on
nothing else.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

from rramsim.figures.chart import Axis, Chart, Panel, Point, Series

Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """An axis from `low` to `high` drawn from `start` to `end`; ticks are (value, label)."""

    low: float
    high: float
    log: bool
    ticks: Ticks
    start: float = 0.0
    end: float = 1.0

    def at(self, value: float) -> float:
        """Where a value stands; what lies outside is drawn at the edge."""
        low, high = min(self.low, self.high), max(self.low, self.high)
        value = min(max(value, low), high)
        low, high, inside = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (inside - low) / (high - low) * (self.end - self.start)

    def between(self, start: float, end: float) -> "Scale":
        """The same axis drawn elsewhere."""
        return replace(self, start=start, end=end)


def axis_scale(axis: Axis, values: Iterable[float], *, margin: float = 0.06) -> Scale:
    """The axis around finite values, with about five round ticks or one at each decade.

    >>> scale = axis_scale(Axis(label="supply", unit="V"), [0.9, 1.3], margin=0)
    >>> [label for _, label in scale.ticks], round(scale.between(0, 100).at(1.1))
    (['0.9', '1', '1.1', '1.2', '1.3'], 50)
    >>> axis = Axis(label="resistance", unit="Ω", log=True)
    >>> [label for _, label in axis_scale(axis, [2e3, 3e6]).ticks]
    ['10k', '100k', '1M']
    """
    low, high = _ends(axis, [v for v in values if math.isfinite(v)], margin)
    if axis.ticks:
        inside = (min(low, high), max(low, high))
        shown = tuple((v, name) for v, name in axis.ticks if inside[0] <= v <= inside[1])
        return Scale(low=low, high=high, log=axis.log, ticks=shown)
    ticks = _decades(low, high, axis.unit) if axis.log else _round(low, high, axis.whole)
    return Scale(low=low, high=high, log=axis.log, ticks=ticks)


def panel_scales(chart: Chart, panel: Panel) -> tuple[Scale, Scale]:
    """The axes of a panel; panels of a chart with the same axes have the same ends."""
    alike = [p for p in chart.panels if p.x == panel.x and p.y == panel.y]
    edge = 0.0 if panel.cells else 0.06
    x, y = (
        axis_scale(axis, [v for p in alike for v in p.extent(name)], margin=edge)
        for name, axis in panel.axes
    )
    return x, y


def _ends(axis: Axis, known: list[float], margin: float) -> tuple[float, float]:
    if axis.log:
        known = [v for v in known if v > 0] or [1.0, 10.0]
        low, high = min(known), max(known)
        room = max(high / low, 2.0) ** margin
        low, high = low / room, high * room
    else:
        known = known or [0.0, 1.0]
        low, high = min([*known, 0.0] if axis.zero else known), max(known)
        span = (high - low) or abs(high) or 1.0
        if high == low:
            low, high = low - span / 2, high + span / 2
        low, high = (low if axis.zero and low == 0 else low - margin * span), high + margin * span
    return (low if axis.low is None else axis.low), (high if axis.high is None else axis.high)


def _round(low: float, high: float, whole: bool) -> Ticks:
    low, high = min(low, high), max(low, high)
    ideal = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(ideal))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / ideal)))
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((k * step, f"{k * step:.6g}".replace("-", "−")) for k in range(first, last + 1))


def _decades(low: float, high: float, unit: str) -> Ticks:
    """A tick a decade; with fewer than two of them also at 2 and 5."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = 1 if last - first < 8 else 2
    if high / low >= 100:
        powers = first < -3 or last > 3
        return tuple(
            (10.0**k, _decade(10.0**k, unit, powers)) for k in range(first, last + 1, every)
        )
    values: list[float] = []
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), [k / 10 for k in range(10, 100)]):
        if len(values) < 3:
            values = [m * 10.0**k for k in range(first - 1, last + 1) for m in steps]
            values = [v for v in values if low <= v <= high]
    return tuple((v, _decade(v, unit)) for v in values)


def _decade(value: float, unit: str, powers: bool = False) -> str:
    """With SI prefixes where the axis has a base unit, else plain or as a power of ten."""
    if unit == "Ω":
        for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")):
            if value >= scale * 0.999:
                return f"{value / scale:.3g}{prefix}"
    if value == 1 or (1e-3 * 0.999 <= value < 1e4 and not powers):
        return f"{value:.4g}"
    power = math.floor(math.log10(value) + 1e-9)
    lead = f"{value / 10.0**power:.2g}"
    raised = "".join("⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".index(c)] for c in str(power))
    return ("" if lead == "1" else f"{lead}·") + f"10{raised}"


def thinned(scale: Scale, letter: float) -> Ticks:
    """Every tick, or every second, third ... one, so that names of this letter width stay apart."""
    if len(scale.ticks) < 2:
        return scale.ticks
    places = [scale.at(value) for value, _ in scale.ticks]
    for every in range(1, len(places) + 1):
        shown = list(zip(places, scale.ticks, strict=True))[::every]
        room = all(
            abs(b - a) >= letter * ((len(one[1]) + len(other[1])) / 2 + 1)
            for (a, one), (b, other) in itertools.pairwise(shown)
        )
        if room:
            break
    return tuple(tick for _, tick in shown)


Box = tuple[float, float, float, float]
"""Left, lower, right, upper end, in any unit that both axes share."""


def _crowded(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box lies over another one."""
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )


def _away(box: Box, mark: tuple[float, float]) -> float:
    """How far a mark is from a box."""
    x, y = mark
    return math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3]))


def place_labels(
    marks: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]],
    obstacles: Sequence[Box], frame: Box, *, reach: float,
) -> list[Box | None]:  # fmt: skip
    """A box for each label beside its mark (x, y), clear of all obstacles and of each other.

    None is nearer to the mark of another label than to its own.
    `sizes` are the labels' widths and heights, `reach` the distance from a mark's centre. None
    where no place of twelve around the mark is free; inside `frame` all of them stay.

    >>> place_labels([(5, 5)], [(2, 1)], [], (0, 0, 10, 10), reach=1)
    [(4.0, 6, 6.0, 7)]
    >>> place_labels([(5, 5)], [(2, 1)], [(0, 0, 10, 10)], (0, 0, 10, 10), reach=1)
    [None]
    >>> place_labels([(5, 5), (5.5, 7)], [(2, 1)] * 2, [], (0, 0, 10, 10), reach=1)
    [(4.0, 3, 6.0, 4), (4.5, 8, 6.5, 9)]
    """
    taken = list(obstacles)
    found: list[Box | None] = []
    for (x, y), (width, height) in zip(marks, sizes, strict=True):
        best = None
        for far in (reach, 2.2 * reach):
            left, right, below = x - far - width, x + far, y - far - height
            # Above, below, right, left, then the corners.
            for x_at, y_at in (
                (x - width / 2, y + far), (x - width / 2, below), (right, y - height / 2),
                (left, y - height / 2), (right, y + far / 2), (left, y + far / 2),
            ):  # fmt: skip
                box = (x_at, y_at, x_at + width, y_at + height)
                inside = (
                    box[0] >= frame[0] and box[2] <= frame[2]
                    and box[1] >= frame[1] and box[3] <= frame[3]
                )  # fmt: skip
                own = _away(box, (x, y))
                clear = inside and all(_away(box, mark) >= own for mark in marks)
                if best is None and clear and not _crowded(box, taken):
                    best = box
        if best is not None:
            taken.append(best)
        found.append(best)
    return found


def _along(
    begin: tuple[float, float], end: tuple[float, float], *, step: float, half: float
) -> list[Box]:
    """Small boxes along a straight line, for what a label must keep clear of."""
    (x0, y0), (x1, y1) = begin, end
    count = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) / step))
    places = [(x0 + (x1 - x0) * k / count, y0 + (y1 - y0) * k / count) for k in range(count + 1)]
    return [(x - half, y - half, x + half, y + half) for x, y in places]


def point_labels(
    panel: Panel, place: Callable[[int, float, float], tuple[float, float]],
    size: Callable[[str], tuple[float, float]], frame: Box, *, half: float, reach: float,
    taken: Sequence[Box] = (),
) -> list[tuple[Series, Point, tuple[float, float], Box]]:  # fmt: skip
    """Where the labels of a panel's points go: clear of all its marks, bars and lines.

    `place` gives the place of a value of a series (by its number), `size` a text's width and
    height, `half` is half the width of a mark; `taken` is what else must stay clear.
    """
    if not any(point.label for series in panel.series for point in series.points):
        return []
    boxes = list(taken)
    chosen = []
    for number, series in enumerate(panel.series):
        for point in series.marks():
            x, y = place(number, point.x, point.y)
            boxes.append((x - half, y - half, x + half, y + half))
            for ends in (
                [(point.x, value) for value in point.y_bar or ()],
                [(value, point.y) for value in point.x_bar or ()],
            ):
                if ends and not point.bound:
                    boxes += _along(
                        *(place(number, *end) for end in ends), step=half, half=half / 2
                    )
        for run in series.runs():
            places = [place(number, point.x, point.y) for point in run]
            if series.line == "step":
                corners = [(b[0], a[1]) for a, b in pairwise(places)]
                places = [at for pair in zip_longest(places, corners) for at in pair if at]
            for a, b in pairwise(places):
                boxes += _along(a, b, step=half, half=half / 3)
        chosen += [
            (series, point, place(number, point.x, point.y))
            for point in series.points
            if point.label and point.finite
        ]
    found = place_labels(
        [at for _, _, at in chosen], [size(point.label) for _, point, _ in chosen], boxes, frame,
        reach=reach,
    )  # fmt: skip
    return [(*one, box) for one, box in zip(chosen, found, strict=True) if box is not None]


def wrapped(text: str, letters: int) -> list[str]:
    """Lines of at most so many letters; words that are longer are broken.

    >>> wrapped("a name-that-is-long here", 10)
    ['a name-', 'that-is-', 'long here']
    >>> wrapped("x" * 12, 5)
    ['xxxxx', 'xxxxx', 'xx']
    """
    from textwrap import wrap

    return [line for part in text.split("\n") for line in wrap(part, max(letters, 4)) or [""]]
