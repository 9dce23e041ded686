"""Where labels go: beside their marks, and on nothing else."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, zip_longest

from rramsim.figures.chart import Panel, Point, Series

__all__ = ["Box", "place_labels", "point_labels", "wrapped"]

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
