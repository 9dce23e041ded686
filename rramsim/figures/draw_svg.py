"""A chart as SVG: scales to its container, each point focusable, colours from a style sheet.

SVG elements are a tree, so that every
text is escaped.
"""

import itertools
from collections.abc import Sequence
from xml.etree import ElementTree

from rramsim.figures.chart import Bars, Cells, Chart, Panel, Point, Rule, Series
from rramsim.figures.scales import Box, panel_scales, point_labels, thinned, wrapped

Element = ElementTree.Element


def root(width: float, height: float, *, label: str, kind: str) -> Element:
    """An `<svg>` that scales to its container; `label` is what a screen reader says."""
    return Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:g} {height:g}",
            "class": f"figure {kind}",
            "role": "group",
            "aria-label": label,
        },
    )


def add(parent: Element, tag: str, **attributes: object) -> Element:
    """A child with attributes; floats are rounded to what a screen can show.

    A trailing underscore is dropped and an inner one written as a hyphen, so that names that are
    Python's own can be given: `class_`, `data_tip`.
    """
    named = {
        key.rstrip("_").replace("_", "-"): f"{value:.2f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else str(value)
        for key, value in attributes.items()
        if value is not None
    }
    return ElementTree.SubElement(parent, tag, named)


def text(parent: Element, x: float, y: float, content: str, **attributes: object) -> Element:
    """A `<text>` at a place; `anchor` is start, middle or end."""
    anchor = attributes.pop("anchor", None)
    made = add(parent, "text", x=float(x), y=float(y), text_anchor=anchor, **attributes)
    made.text = content
    return made


def path_data(points: list[tuple[float, float]]) -> str:
    """The `d` of a polyline.

    >>> path_data([(0, 1), (2.26, 3)])
    'M0 1L2.3 3'
    """
    return "M" + "L".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in points)


def to_string(element: Element) -> str:
    """The element as text for an HTML page."""
    return ElementTree.tostring(element, encoding="unicode")


_WIDTH, _HEIGHT, _RIGHT, _LINE, _DODGE = 480.0, 250.0, 20.0, 19.0, 5.0
# Widths of a letter: of the text that phones show, and of labels, which they do not.
_LETTER, _SMALL = 9.4, 7.3
_COLOURS, _MARKS = 7, 6


def svg_figure(chart: Chart) -> dict[str, str]:
    """One drawing for each choice of the chart, by the choice's name ("" without choices)."""
    return {choice: _drawing(chart, choice, panels) for choice, panels in chart.choices.items()}


def _drawing(chart: Chart, choice: str, panels: list[Panel]) -> str:
    legend = _legend_lines(chart.legend(panels))
    left = 18 + max(44.0, *(1.15 * _LETTER * len(n) for p in panels for _, n in p.y.ticks), 0.0)
    left = min(left, 0.42 * _WIDTH)
    at = 6 + _LINE * len(legend)
    label = f"{chart.title}, {choice}" if choice else chart.title
    svg = root(_WIDTH, 0, label=label, kind="plot")
    for number, line in enumerate(legend):
        _legend_line(svg, line, 14 + _LINE * number)
    for panel, below in itertools.zip_longest(panels, panels[1:]):
        lines = [line for t in (panel.title, panel.y.text) if t for line in wrapped(t, 48)]
        for number, content in enumerate(lines):
            text(svg, 4, at + 14 + _LINE * number, content, class_="label")
        top = at + _LINE * len(lines) + 6
        bottom = top + (chart.height or _panel_height(panel))
        # Of panels with one x axis only the lowest names it.
        shared = below is not None and below.x.text == panel.x.text
        _Plot(svg, chart, panel, (left, top, _WIDTH - _RIGHT, bottom)).draw()
        at = bottom + 24
        for part in [] if shared or not panel.x.text else wrapped(panel.x.text, 44):
            # Under the middle of the axis where there is room, else of the drawing.
            long = _LETTER * len(part) > 2 * (_WIDTH - left) - (_WIDTH - _RIGHT - left)
            middle = _WIDTH / 2 if long else (left + _WIDTH - _RIGHT) / 2
            at += _LINE
            text(svg, middle, at - 7, part, anchor="middle")
        at += 5
    svg.set("viewBox", f"0 0 {_WIDTH:g} {at:g}")
    return to_string(svg)


def _panel_height(panel: Panel) -> float:
    if panel.cells is not None and panel.cells.lookup is not None:
        return 380.0
    return max(90.0, 40.0 * len(panel.y.ticks)) if panel.y.named else _HEIGHT


def _legend_lines(entries: Sequence[Series]) -> list[list[tuple[Series | None, float, str]]]:
    """Lines of (series, place, name) that fit; a name too long goes on in the next line."""
    lines: list[list[tuple[Series | None, float, str]]] = []
    at = _WIDTH
    for entry in entries:
        first, *more = wrapped(entry.label, int((_WIDTH - 40) / _LETTER))
        needs = 26 + _LETTER * len(first) + 14
        if not lines or at + needs > _WIDTH or more:
            lines.append([])
            at = 4.0
        lines[-1].append((entry, at, first))
        lines += [[(None, 4.0, line)] for line in more]
        at = _WIDTH if more else at + needs
    return lines


def _legend_line(svg: Element, line: list[tuple[Series | None, float, str]], y: float) -> None:
    for entry, at, name in line:
        if entry is None:
            text(svg, at + 26, y, name)
            continue
        group = add(svg, "g", class_=f"s{entry.colour % _COLOURS}")
        if entry.line or entry.mark is None:
            kind = {"": "block", "solid": "series", "step": "series"}.get(entry.line, entry.line)
            add(group, "path", d=f"M{at:g} {y - 4:g}h20", class_=kind)
        if entry.mark is not None:
            kind = "mark hollow" if entry.hollow else "mark"
            add(group, "path", d=_marker(entry.mark, at + 10, y - 4), class_=kind)
        text(group, at + 26, y, name, class_="named")


class _Plot:
    """One panel between the places (left, top, right, bottom)."""

    def __init__(
        self, svg: Element, chart: Chart, panel: Panel, place: tuple[float, float, float, float]
    ) -> None:
        self._panel, self._place = panel, place
        left, top, right, bottom = place
        x, y = panel_scales(chart, panel)
        self.x, self.y = x.between(left, right), y.between(bottom, top)
        self._svg = svg
        self._taken: list[Box] = []
        self._shifts = [_DODGE * place for place in panel.places()]

    def draw(self) -> None:
        """The panel from back to front."""
        panel = self._panel
        self._axes()
        body = add(self._svg, "g")
        if panel.cells is not None:
            self._cells(body, panel.cells)
        for band in panel.bands:
            there = [(self.x.at(x), self.y.at(v)) for x, v in zip(band.x, band.low, strict=True)]
            back = [(self.x.at(x), self.y.at(v)) for x, v in zip(band.x, band.high, strict=True)]
            group = add(body, "g", class_=f"s{band.colour % _COLOURS}")
            add(group, "path", d=f"{path_data([*there, *back[::-1]])}z", class_="band")
        for bars in panel.bars:
            self._bars(body, bars)
        for rule in panel.rules:
            self._rule(body, rule)
        for series, shift in zip(panel.series, self._shifts, strict=True):
            self._line(body, series, shift)
        for series, shift in zip(panel.series, self._shifts, strict=True):
            self._points(body, series, shift)
        self._labels(body)

    def _axes(self) -> None:
        left, top, right, bottom = self._place
        grid = add(self._svg, "g", class_="grid")
        for value, name in thinned(self.x, _LETTER):
            at = self.x.at(value)
            add(grid, "path", d=f"M{at:.1f} {top:g}V{bottom:g}", class_="line")
            text(grid, at, bottom + 16, name, anchor="middle")
        letters = int((left - 10) / (1.15 * _LETTER))
        for value, name in thinned(self.y, 5.0) if not self._panel.y.named else self.y.ticks:
            at = self.y.at(value)
            add(grid, "path", d=f"M{left:g} {at:.1f}H{right:g}", class_="line")
            lines = wrapped(name, letters)[:2] if self._panel.y.named else [name]
            for number, line in enumerate(lines):
                place = at + 4 + 18 * (number - (len(lines) - 1) / 2)
                text(grid, left - 6, place, line, anchor="end")
        add(grid, "path", d=f"M{left:g} {top:g}V{bottom:g}H{right:g}", class_="axis")

    def _cells(self, body: Element, cells: Cells) -> None:
        left, top, right, bottom = self._place
        width, height = (right - left) / len(cells.x), (bottom - top) / len(cells.y)
        # Without antialiasing, so that no seam shows between neighbours.
        group = add(body, "g", class_="cells", shape_rendering="crispEdges")
        upwards = self.y.at(cells.y[0]) > self.y.at(cells.y[-1])
        for row, shades in enumerate(cells.shades):
            at_y = bottom - (row + 1) * height if upwards else top + row * height
            begin = 0
            # Along a row, neighbours of one shade are drawn as one.
            for shade, run in itertools.groupby("" if v != v else f"{v:.2f}" for v in shades):
                count = len(list(run))
                value = float(shade) if shade else 0.0
                kind = "zero" if value == 0 else "plus2" if value > 0 else "minus2"
                add(
                    group, "rect", x=left + begin * width, y=at_y, width=count * width,
                    height=height, class_=kind if shade else "lost",
                    fill_opacity=None if not value else 0.15 + 0.85 * abs(value),
                )  # fmt: skip
                begin += count
        for row, texts in enumerate(cells.texts):
            for column, content in enumerate(texts):
                kind = "beside strong" if (row, column) in cells.strong else "beside"
                at = self.x.at(cells.x[column]), self.y.at(cells.y[row])
                lines = content.split("\n")
                for number, line in enumerate(lines):
                    shift = 4 + 13 * (number - (len(lines) - 1) / 2)
                    text(body, at[0], at[1] + shift, line, anchor="middle", class_=f"small {kind}")
        if cells.lookup is not None:
            add(body, "rect", class_="cursor", width=width, height=height, x=-99, y=-99)

    def _plane(self, body: Element, cells: Cells) -> None:
        left, top, right, bottom = self._place
        add(
            body, "rect", x=left, y=top, width=right - left, height=bottom - top, class_="plane",
            tabindex=0, role="application", data_map=cells.lookup, data_cells=len(cells.x),
            aria_label="Arrow keys move over the map",
        )  # fmt: skip

    def _bars(self, body: Element, bars: Bars) -> None:
        group = add(body, "g", class_=f"s{bars.colour % _COLOURS}")
        half = bars.width / 2
        for index, (at, begin, end) in enumerate(bars.ends()):
            across, along = (self.y, self.x) if bars.lying else (self.x, self.y)
            a, b = sorted((across.at(at - half), across.at(at + half)))
            c, d = sorted((along.at(begin), along.at(end)))
            x, y, w, h = (c, a, d - c, b - a) if bars.lying else (a, c, b - a, d - c)
            add(group, "rect", x=x, y=y, width=w, height=h, class_="block")
            if bars.texts:
                place = (x + w + 4, y + h / 2 + 4) if bars.lying else (x + w / 2, y - 4)
                anchor = None if bars.lying else "middle"
                text(body, *place, bars.texts[index], anchor=anchor, class_="small")

    def _rule(self, body: Element, rule: Rule) -> None:
        left, top, right, bottom = self._place
        parent = body
        if rule.colour is not None:
            parent = add(body, "g", class_=f"s{rule.colour % _COLOURS}")
        kind = "dashed" if rule.line == "dashed" else "rule"
        vertical = rule.x is not None
        at = self.x.at(rule.x) if rule.x is not None else self.y.at(rule.y or 0.0)
        path = f"M{at:.1f} {top:g}V{bottom:g}" if vertical else f"M{left:g} {at:.1f}H{right:g}"
        add(parent, "path", d=path, class_=kind)
        if not rule.label:
            return
        width = _LETTER * len(rule.label)
        if vertical:
            turned = at + 4 + width > right
            place, anchor = (at - 4 if turned else at + 4, top + 11), "end" if turned else None
            box = (at - 4 - width, top, at, top + 16) if turned else (at, top, at + width, top + 16)
        else:
            place, anchor = (right - 2, at - 4 if at - 15 > top else at + 13), "end"
            box = (right - 2 - width, place[1] - 11, right, place[1] + 3)
        text(body, *place, rule.label, anchor=anchor, class_="small")
        self._taken.append(box)

    def _line(self, body: Element, series: Series, shift: float) -> None:
        for run in series.runs():
            drawn = [(self.x.at(p.x) + shift, self.y.at(p.y)) for p in run]
            if series.line == "step":
                pairs = itertools.pairwise(drawn)
                drawn = [
                    drawn[0],
                    *itertools.chain(*(((x, a), (x, y)) for (_, a), (x, y) in pairs)),
                ]
            kind = {"solid": "series", "step": "series"}.get(series.line, series.line)
            group = add(body, "g", class_=f"s{series.colour % _COLOURS}")
            add(group, "path", d=path_data(drawn), class_=kind)

    def _points(self, body: Element, series: Series, shift: float) -> None:
        group = add(body, "g", class_=f"s{series.colour % _COLOURS} points")
        for point in series.marks():
            x, y = self.x.at(point.x) + shift, self.y.at(point.y)
            mark = add(
                group, "g", class_="point", tabindex="-1", role="button" if point.detail else "img",
                aria_label=point.tip.replace("\n", "; "), data_tip=point.tip,
                data_detail=point.detail,
            ) if point.tip else add(group, "g")  # fmt: skip
            if not point.bound:
                self._interval(mark, point, x, y)
            if point.ringed:
                add(mark, "circle", cx=x, cy=y, r=8.5, class_="ring")
            if point.bound:
                add(mark, "path", d=_arrow(x, y, point.bound), class_="arrow")
            else:
                kind = "mark hollow" if series.hollow or point.hollow else "mark"
                add(mark, "path", d=_marker(series.mark or 0, x, y), class_=kind)
            if point.tip:
                # The ring of a point that is focused or pointed at.
                add(mark, "circle", cx=x, cy=y, r=12.0, class_="target")

    def _interval(self, mark: Element, point: Point, x: float, y: float) -> None:
        if point.y_bar:
            low, high = (self.y.at(v) for v in point.y_bar)
            bar = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
            add(mark, "path", d=bar, class_="bar")
        if point.x_bar:
            low, high = (self.x.at(v) for v in point.x_bar)
            bar = f"M{low:.1f} {y:.1f}H{high:.1f}M{low:.1f} {y - 3:.1f}v6M{high:.1f} {y - 3:.1f}v6"
            add(mark, "path", d=bar, class_="bar")

    def _labels(self, body: Element) -> None:
        left, top, right, bottom = self._place

        def place(number: int, x: float, y: float) -> tuple[float, float]:
            return self.x.at(x) + self._shifts[number], self.y.at(y)

        for series, point, _, box in point_labels(
            self._panel, place, lambda name: (_SMALL * len(name), 13.0), (left, top, right, bottom),
            half=6, reach=10, taken=self._taken,
        ):  # fmt: skip
            group = add(body, "g", class_=f"s{series.colour % _COLOURS}")
            middle = (box[0] + box[2]) / 2
            text(group, middle, box[3] - 3, point.label, anchor="middle",
                 class_="small named beside over")  # fmt: skip
        if self._panel.cells is not None and self._panel.cells.lookup is not None:
            self._plane(body, self._panel.cells)


def _arrow(x: float, y: float, way: str) -> str:
    if way == "left":
        return f"M{x:.1f} {y:.1f}m0 -5v10M{x:.1f} {y:.1f}h-9m4 -4l-5 4l5 4z"
    if way == "up":
        return f"M{x:.1f} {y:.1f}m-5 0h10M{x:.1f} {y:.1f}v-9m-4 4l4 -5l4 5z"
    return f"M{x:.1f} {y:.1f}m-5 0h10M{x:.1f} {y:.1f}v9m-4 -4l4 5l4 -5z"


def _marker(index: int, x: float, y: float) -> str:
    """Shapes that can be distinguished without their colours."""
    return (
        f"M{x:.1f} {y:.1f}"
        + (
            "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
            "m-3.6 -3.6h7.2v7.2h-7.2z",
            "m0 -4.8l4.6 8h-9.2z",
            "m0 -5l5 5l-5 5l-5 -5z",
            "m0 4.8l4.6 -8h-9.2z",
            "m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
        )[index % _MARKS]
    )
