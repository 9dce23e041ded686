"""A chart drawn by matplotlib: for files, notebooks and papers."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from rramsim.exceptions import InputError
from rramsim.figures.chart import COLOURS, Bars, Cells, Chart, Panel, Point, Rule, Series
from rramsim.figures.scales import Box, panel_scales, point_labels, thinned, wrapped
from rramsim.files import atomic_path

_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
}
_MARKERS = "os^DvP"
_LINES = {"solid": "-", "step": "-", "dashed": (0, (5, 3)), "dotted": (0, (1, 1.5)), "thin": "-"}
_MOST_PANELS = 12
_NAME = 24
"""Letters of a tick's name in a line."""

_LETTER = 0.6
"""A letter's width as a share of the size of its font; narrower on average."""
_DPI = 160
_SMALL, _FOOT = 7.0, 7.5
_LEAST_IN, _MOST_IN, _PANEL_IN = 3.0, 30.0, 2.9
"""Inches: of a figure's width, and of a panel's at least."""


def new_figure(
    *, rows: int = 1, columns: int = 1, width: float = 6.4, height: float = 3.8
) -> tuple[Figure, list[Axes]]:
    """A figure (inches) with its axes in reading order; no global state of pyplot is touched."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame; `options` as for matplotlib's `legend`."""
    ax.legend(**{"frameon": False, "fontsize": 8.0, "title_fontsize": 8.0} | options)


def note(figure: Figure, lines: Sequence[str]) -> None:
    """Write under a figure what it was made from."""
    figure.supxlabel("\n".join(lines), fontsize=_FOOT, color="#555555", x=0.01, ha="left")


def save_one(figure: Chart | Figure, path: Path) -> None:
    """Save a figure in the format of the path's suffix, whole or not at all."""
    drawn = matplotlib_figure(figure) if isinstance(figure, Chart) else figure
    with mpl.rc_context(_STYLE), atomic_path(path) as temporary:  # type: ignore[arg-type]
        drawn.savefig(temporary, dpi=_DPI)


def save_figure(figure: Chart | Figure, folder: Path, name: str) -> tuple[Path, ...]:
    """Save `name`.png and `name`.svg in `folder`; returns the paths."""
    drawn = matplotlib_figure(figure) if isinstance(figure, Chart) else figure
    paths = tuple(folder / f"{name}{suffix}" for suffix in (".png", ".svg"))
    for path in paths:
        save_one(drawn, path)
    return paths


def png_bytes(chart: Chart) -> bytes:
    """The chart as a PNG, for notebooks."""
    content = BytesIO()
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        matplotlib_figure(chart).savefig(content, format="png", dpi=110)
    return content.getvalue()


def matplotlib_figure(chart: Chart, *, width_in: float | None = None) -> Figure:
    """The whole chart, its panels side by side; of very many, twelve evenly chosen.

    `width_in`: how wide it shall be, such as 3.5 for a column of a paper; its panels then stand
    below one another where they must. Raises `InputError` below 3 inches.
    """
    if width_in is not None and not _LEAST_IN <= width_in <= _MOST_IN:
        raise InputError(f"width_in = {width_in:g}: must be {_LEAST_IN:g} to {_MOST_IN:g} inches")
    panels = list(chart.panels)
    left_out = ""
    if len(panels) > _MOST_PANELS:
        at = np.unique(np.linspace(0, len(panels) - 1, _MOST_PANELS).round().astype(int))
        left_out = f" {len(at)} of {len(panels)} panels are shown."
        panels = [panels[k] for k in at]
    columns = chart.columns or min(len(panels), 3)
    columns = min(columns, len(panels))
    if width_in is not None:
        columns = min(columns, max(1, int(width_in / _PANEL_IN)))
    rows = -(-len(panels) // columns)
    width = width_in or {1: 6.4, 2: 8.6, 3: 10.5}.get(columns, 2.9 * columns)
    each = width / columns
    footer = wrapped(chart.caption + left_out, int(72 * (width - 0.3) / (0.56 * _FOOT)))
    titles = [_title(panel, each) for panel in panels]
    height = max(_panel_inches(panel, chart) for panel in panels)
    entries = chart.legend(panels)
    most = max((len(entry.label) for entry in entries), default=1)
    letters = min(most, int(72 * (width - 0.8) / (_LETTER * 8)))
    across = max(1, min(len(entries), int(72 * width / (_LETTER * 8 * letters + 44))))
    names = [wrapped(entry.label, letters) for entry in entries]
    lines = sum(max(len(n) for n in names[k : k + across]) for k in range(0, len(names), across))
    top = max(len(title) for title in titles)
    figure, axes = new_figure(
        rows=rows, columns=columns, width=width,
        height=rows * (height + 0.17 * top) + 0.17 * lines + 0.14 * len(footer) + 0.1,
    )  # fmt: skip
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        plots = [
            _Plot(ax, chart, panel, "\n".join(title), below=panels[number + columns :][:1])
            for number, (ax, panel, title) in enumerate(zip(axes, panels, titles, strict=False))
        ]
        for ax in axes[len(panels) :]:
            ax.remove()
        if entries:
            figure.legend(
                [_handle(entry) for entry in entries], ["\n".join(n) for n in names],
                loc="outside upper left", ncols=across, frameon=False, fontsize=8,
                labelcolor=[COLOURS[entry.colour % len(COLOURS)] for entry in entries],
                handlelength=2.0, columnspacing=1.4,
            )  # fmt: skip
        note(figure, footer)
        # The places of labels are known once everything else has its own.
        figure.draw_without_rendering()
        for plot in plots:
            plot.thin_ticks()
            plot.label()
    return figure


def _title(panel: Panel, inches: float) -> list[str]:
    """The lines of a title that fit between the names of the ticks and the panel's end."""
    names = max((min(len(name), _NAME) for _, name in panel.y.ticks), default=4)
    letters = int((72 * (inches - 0.4) - _LETTER * 9 * names) / (_LETTER * 9))
    parts = [part for part in (panel.choice, panel.title) if part]
    return [line for part in parts for line in wrapped(part, letters)]


def _panel_inches(panel: Panel, chart: Chart) -> float:
    if panel.cells is not None:
        texts = max((t.count("\n") + 1 for row in panel.cells.texts for t in row), default=1)
        return 3.0 if panel.x.log else 0.6 + (0.14 + 0.13 * texts) * len(panel.cells.y)
    if panel.y.named:
        return max(1.6, 0.75 + 0.33 * len(panel.y.ticks))
    return 2.9 if chart.columns != 1 else 2.5


def _handle(entry: Series) -> Line2D | Patch:
    colour = COLOURS[entry.colour % len(COLOURS)]
    if not entry.line and entry.mark is None:
        return Patch(color=colour)
    return Line2D([], [], **_look(entry), **_line_look(entry))


def _look(series: Series) -> dict[str, Any]:
    colour = COLOURS[series.colour % len(COLOURS)]
    mark = "" if series.mark is None else _MARKERS[series.mark % len(_MARKERS)]
    face = _face(series, hollow=series.hollow)
    return {"marker": mark, "ms": 4.5, "color": colour, "mfc": face, "mec": colour}


def _face(series: Series, *, hollow: bool) -> str:
    return "white" if hollow else COLOURS[series.colour % len(COLOURS)]


def _line_look(series: Series) -> dict[str, Any]:
    if not series.line:
        return {"ls": ""}
    thin = series.line == "thin"
    return {"ls": _LINES[series.line], "lw": 0.9 if thin else 1.4, "alpha": 0.7 if thin else 1.0}


class _Plot:
    """One panel on its axes."""

    def __init__(
        self, ax: Axes, chart: Chart, panel: Panel, title: str, *, below: list[Panel]
    ) -> None:
        self._ax, self._panel = ax, panel
        self._scale_x, scale_y = panel_scales(chart, panel)
        shared = bool(below) and below[0].x.text == panel.x.text
        names = {"x": "" if shared else panel.x.text, "y": panel.y.text}
        for name, scale in (("x", self._scale_x), ("y", scale_y)):
            # The scale first: it would set limits and ticks of its own.
            if scale.log:
                ax.set(**{f"{name}scale": "log"})
            ax.set(**{f"{name}lim": (scale.low, scale.high), f"{name}label": names[name]})
            ticks = getattr(ax, f"{name}axis")
            ticks.set_ticks([], minor=True)
            told = ["\n".join(wrapped(t, _NAME)[:2]) if name == "y" else t for _, t in scale.ticks]
            ticks.set_ticks([value for value, _ in scale.ticks], labels=told)
        ax.set_title(title)
        inches = ax.get_figure(root=True).dpi_scale_trans  # type: ignore[union-attr]
        self._moved = [
            ax.transData + ScaledTranslation(3 * place / 72, 0, inches) for place in panel.places()
        ]
        self._draw()

    def _draw(self) -> None:
        panel, ax = self._panel, self._ax
        if panel.cells is not None:
            self._cells(panel.cells)
        for band in panel.bands:
            colour = COLOURS[band.colour % len(COLOURS)]
            ax.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, lw=0)
        for bars in panel.bars:
            self._bars(bars)
        self._written = [text for rule in panel.rules if (text := self._rule(rule)) is not None]
        for series, moved in zip(panel.series, self._moved, strict=True):
            for run in series.runs():
                ax.plot(
                    *_places(run), color=COLOURS[series.colour % len(COLOURS)],
                    drawstyle="steps-post" if series.line == "step" else "default",
                    transform=moved, **_line_look(series),
                )  # fmt: skip
        for series, moved in zip(panel.series, self._moved, strict=True):
            self._points(series, moved)

    def _cells(self, cells: Cells) -> None:
        ax = self._ax
        plus, minus = (np.array(to_rgba(COLOURS[k])) for k in (0, 1))
        shades = np.array(cells.shades, dtype=float)
        image = np.ones((*shades.shape, 4))
        image[shades == 0] = to_rgba("#eceff2")
        for colour, chosen in ((plus, shades > 0), (minus, shades < 0)):
            strength = (0.15 + 0.85 * np.abs(shades[chosen]))[:, None]
            image[chosen] = 1 - strength * (1 - colour)
        if self._panel.x.log:
            ax.pcolormesh(np.array(cells.x), np.array(cells.y), image, shading="nearest")
        else:
            low, high = ax.get_ylim()
            ends = ax.get_xlim()
            first = cells.y[0] - 0.5, cells.y[-1] + 0.5
            ax.imshow(image, aspect="auto", origin="lower", extent=(*ends, *first))
            ax.set(xlim=ends, ylim=(low, high))
        ax.grid(visible=False)
        for row, texts in enumerate(cells.texts):
            for column, content in enumerate(texts):
                dark = abs(shades[row, column]) > 0.6
                ax.text(
                    cells.x[column], cells.y[row], content, ha="center", va="center", fontsize=6.5,
                    weight="bold" if (row, column) in cells.strong else "normal",
                    color="white" if dark else "black",
                )  # fmt: skip

    def _bars(self, bars: Bars) -> None:
        ax, colour = self._ax, COLOURS[bars.colour % len(COLOURS)]
        ends = bars.ends()
        places, begins = [e[0] for e in ends], [e[1] for e in ends]
        draw = ax.barh if bars.lying else ax.bar
        draw(places, list(bars.length), bars.width, begins, color=colour, alpha=0.75)
        for (at, _, end), content in zip(ends, bars.texts, strict=False):
            ax.annotate(
                content, (end, at) if bars.lying else (at, end), fontsize=_SMALL,
                xytext=(3, 0) if bars.lying else (0, 2), textcoords="offset points",
                va="center" if bars.lying else "bottom", ha="left" if bars.lying else "center",
            )  # fmt: skip

    def _rule(self, rule: Rule) -> Any:
        ax = self._ax
        colour = "#555555" if rule.colour is None else COLOURS[rule.colour % len(COLOURS)]
        look: dict[str, Any] = {"color": colour, "ls": _LINES[rule.line], "lw": 0.9, "zorder": 1.5}
        if rule.x is not None:
            ax.axvline(rule.x, **look)
            low, high = ax.transData.transform([(v, 0) for v in ax.get_xlim()])[:, 0]
            turned = ax.transData.transform((rule.x, 1))[0] > low + 0.7 * (high - low)
            return ax.annotate(
                rule.label, (rule.x, 1), xycoords=("data", "axes fraction"), fontsize=_SMALL,
                xytext=(-3 if turned else 3, -1), textcoords="offset points", va="top",
                ha="right" if turned else "left", color=colour,
            )  # fmt: skip
        ax.axhline(rule.y or 0.0, **look)
        return ax.annotate(
            rule.label, (1, rule.y or 0.0), xycoords=("axes fraction", "data"), fontsize=_SMALL,
            xytext=(-2, 1.5), textcoords="offset points", va="bottom", ha="right", color=colour,
        )  # fmt: skip

    def _points(self, series: Series, moved: Any) -> None:
        look = {**_look(series), "ls": "", "transform": moved, "zorder": 3}
        marked = series.marks()
        for bound, marker in (("up", 10), ("down", 11), ("left", 8)):
            chosen = [p for p in marked if p.bound == bound]
            if chosen:
                self._ax.plot(
                    *_places(chosen), **look | {"marker": marker, "ms": 6, "mfc": look["color"]}
                )
        plain = [p for p in marked if not p.bound]
        barred = [p for p in plain if p.x_bar or p.y_bar]
        if barred:
            self._ax.errorbar(
                *_places(barred), xerr=_sides(barred, "x"), yerr=_sides(barred, "y"), fmt="none",
                ecolor=look["color"], elinewidth=1, capsize=2, transform=moved, zorder=2.5,
            )  # fmt: skip
        for hollow in (False, True):
            chosen = [p for p in plain if (p.hollow or series.hollow) == hollow]
            if chosen:
                self._ax.plot(*_places(chosen), **look | {"mfc": _face(series, hollow=hollow)})
        ringed = [p for p in plain if p.ringed]
        if ringed:
            ring = {"marker": "o", "ms": 9.5, "mfc": "none", "mec": "black", "mew": 0.9}
            self._ax.plot(*_places(ringed), **look | ring)

    def thin_ticks(self) -> None:
        """Leave out names of ticks that would touch."""
        width = self._ax.get_window_extent().width * 72 / self._ax.get_figure(root=True).dpi  # type: ignore[union-attr]
        shown = thinned(self._scale_x.between(0, width), 9 * _LETTER)
        self._ax.xaxis.set_ticks([v for v, _ in shown], labels=[name for _, name in shown])

    def label(self) -> None:
        """Write the points' labels where nothing else is."""
        ax = self._ax
        look: dict[str, Any] = {"fontsize": _SMALL, "va": "bottom", "ha": "left"}
        pixel = ax.get_figure(root=True).dpi / 72  # type: ignore[union-attr]

        def place(number: int, x: float, y: float) -> tuple[float, float]:
            at = self._moved[number].transform((x, y))
            return float(at[0]), float(at[1])

        def size(content: str) -> tuple[float, float]:
            written = ax.annotate(content, (0, 0), xycoords="figure pixels", **look)
            extent = written.get_window_extent()
            written.remove()
            return extent.width + pixel, extent.height

        for series, point, mark, box in point_labels(
            self._panel, place, size, _box(ax.get_window_extent()), half=3 * pixel,
            reach=7 * pixel, taken=[_box(text.get_window_extent()) for text in self._written],
        ):  # fmt: skip
            offset = ((box[0] - mark[0]) / pixel, (box[1] - mark[1]) / pixel)
            ax.annotate(
                point.label, (point.x, point.y), xytext=offset, textcoords="offset points",
                color=COLOURS[series.colour % len(COLOURS)],
                path_effects=[withStroke(linewidth=2.0, foreground="white")], **look,
            )  # fmt: skip


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [p.x for p in points], [p.y for p in points]


def _sides(points: Sequence[Point], axis: str) -> list[list[float]]:
    """What matplotlib asks of intervals: the distances to their lower and upper ends."""
    bars = [getattr(p, f"{axis}_bar") or (getattr(p, axis),) * 2 for p in points]
    values = [getattr(p, axis) for p in points]
    return [
        [max(v - low, 0.0) for v, (low, _) in zip(values, bars, strict=True)],
        [max(high - v, 0.0) for v, (_, high) in zip(values, bars, strict=True)],
    ]


def _box(extent: Any) -> Box:
    return (extent.x0, extent.y0, extent.x1, extent.y1)
