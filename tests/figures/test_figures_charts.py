"""Every chart, drawn both ways: nothing overlaps or is cut, and both show the same numbers."""

import csv
import itertools
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text

from rramsim.exceptions import InputError
from rramsim.figures import Axis, Chart, Panel, Point, Series, matplotlib_figure, svg_figure
from rramsim.figures.chart import COLOURS
from rramsim.figures.scales import axis_scale

PURE = {"error rate", "epoch", "share of chips at or below", "writes of a device", "read",
        "written", "probability that such a value is read wrong", "nudge |β|",
        "corner", "relative error of the gradient", "supply VDD (V)", "",
        "standard deviation of the noise in every neuron's input",
        "width N (channels of the first convolution)"}  # fmt: skip


def _boxes(figure):
    """The text of a drawn figure and where it is, in pixels."""
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    found = []
    for text in figure.findobj(Text):
        content = text.get_text()
        if not content.strip() or not text.get_visible():
            continue
        box = text.get_window_extent()
        found.append((content, box.x0, box.y0, box.x1, box.y1))
    return list(dict.fromkeys(found))


def _overlaps(boxes, *, slack):
    return [
        (a[0], b[0])
        for a, b in itertools.combinations(boxes, 2)
        if a[1] + slack < b[3] and b[1] + slack < a[3]
        and a[2] + slack < b[4] and b[2] + slack < a[4]
    ]  # fmt: skip


def test_no_text_of_a_file_overlaps_another_or_is_cut(drawn):
    for key, (_, figure) in drawn.items():
        boxes = _boxes(figure)
        assert len(boxes) > 4, key
        assert not _overlaps(boxes, slack=1.0), key
        ends = figure.bbox.width + 0.5, figure.bbox.height + 0.5
        cut = [b[0] for b in boxes
               if min(b[1], b[2]) < -0.5 or b[3] > ends[0] or b[4] > ends[1]]  # fmt: skip
        assert not cut, key


def test_nor_in_a_column_of_a_paper(charts):
    chosen = ("loss", "front", "total-front", "error-rates", "waveforms")
    found = {key: chart for key, chart in charts.items() if chart.key in chosen}
    assert {chart.key for chart in found.values()} == set(chosen)
    test_no_text_of_a_file_overlaps_another_or_is_cut(
        {key: (chart, matplotlib_figure(chart, width_in=3.5)) for key, chart in found.items()}
    )
    with pytest.raises(InputError, match="width_in = 1: must be 3 to 30 inches"):
        matplotlib_figure(next(iter(found.values())), width_in=1)


def test_the_check_for_overlaps_sees_one():
    axis = Axis(label="x", unit="V")
    chart = Chart(key="k", title="t", footer="f.", panels=(Panel(x=axis, y=axis),))
    figure = matplotlib_figure(chart)
    assert not _overlaps(_boxes(figure), slack=1.0)
    figure.axes[0].annotate("over it", (0, 0), xycoords=figure.axes[0].xaxis.label)
    assert _overlaps(_boxes(figure), slack=1.0)


def test_both_renderers_place_the_same_marks(charts):
    """Marks in the SVG lie where an affine map of the values (or their logarithms) puts them."""
    for key, chart in charts.items():
        for choice, svg in svg_figure(chart).items():
            tree = ElementTree.fromstring(svg)
            tips = [e.get("data-tip") for e in tree.iter() if e.get("class") == "point"]
            panels = chart.choices[choice]
            told = [p.tip for panel in panels for s in panel.series for p in s.marks() if p.tip]
            assert tips == told, key
            places = _svg_places(tree)
            values = [
                (float(p.x), float(p.y), s.colour)
                for panel in panels for s in panel.series for p in s.marks() if p.tip
            ]  # fmt: skip
            if len(panels) == 1 and len(values) > 3:
                panel = panels[0]
                for axis, logged in ((0, panel.x.log), (1, panel.y.log)):
                    inside = [
                        (v[axis], q[axis] - (_moved(panel, v[2]) if axis == 0 else 0))
                        for v, q in zip(values, places, strict=True)
                    ]
                    _assert_affine(inside, logged, key)


def _moved(panel, colour):
    return dict(zip([s.colour for s in panel.series], panel.places(), strict=True))[colour] * 5


def _svg_places(tree):
    marks = [e for e in tree.iter() if e.get("class") == "point"]
    circles = [next(c for c in mark if c.get("class") == "target") for mark in marks]
    return [(float(c.get("cx")), float(c.get("cy"))) for c in circles]


def _assert_affine(pairs, logged, key):
    value, place = np.array(pairs).T
    value = np.log(value) if logged else value
    if np.ptp(value) == 0:
        return
    slope, start = np.polyfit(value, place, 1)
    assert np.abs(slope * value + start - place).max() < 0.1, key


def test_a_files_marks_are_the_charts_values(drawn):
    for key, (chart, figure) in drawn.items():
        if len(chart.panels) > 12:
            continue
        for panel, ax in zip(chart.panels, figure.axes, strict=True):
            shown = {
                (float(x), float(y))
                for line in ax.lines if line.get_marker() not in ("", "None", None)
                for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
            }  # fmt: skip
            wanted = {(float(p.x), float(p.y)) for s in panel.series for p in s.marks()}
            assert wanted <= shown, key
            low, high = sorted(ax.get_xlim())
            assert all(low <= x <= high for x, _ in wanted), key


def test_every_axis_has_its_unit_and_every_footer_says_what_bars_are(charts):
    for key, chart in charts.items():
        for panel in chart.panels:
            for axis in (panel.x, panel.y):
                assert axis.unit or axis.label in PURE, (key, axis.label)
        barred = any(
            p.x_bar or p.y_bar for panel in chart.panels for s in panel.series for p in s.points
        )
        assert not barred or re.search(
            r"Bars: .*(interval|deviation|lowest and highest)", chart.caption
        )
        assert "[B]" not in chart.caption and chart.footer[-1] in ".)"


def test_bars_without_a_meaning_are_refused():
    axis = Axis(label="x", unit="V")
    series = Series(points=(Point(x=1, y=1, y_bar=(0, 2)),), mark=0)
    with pytest.raises(ValueError, match="does not say what they are"):
        Chart(key="k", title="t", footer="f", panels=(Panel(x=axis, y=axis, series=(series,)),))


def test_the_data_of_a_chart_are_what_it_draws(charts):
    for key, chart in charts.items():
        rows = list(csv.DictReader(chart.csv().splitlines()))
        assert rows or key == "sense", key
        if not chart.data:
            points = sum(len(s.points) for panel in chart.panels for s in panel.series)
            assert len(rows) >= points, key


def test_no_line_crosses_a_cliff_and_no_design_at_chance_is_in_a_front(charts):
    for panel in charts["loss"].panels:
        for series in panel.series:
            for run in series.runs():
                steps = np.abs(np.diff([p.y for p in run]))
                assert steps.max() <= 5.0 and not any(p.bound for p in run)
    for key in ("front", "total-front"):
        for panel in charts[key].panels:
            shown = [p for s in panel.series for p in s.points if not s.hollow]
            assert shown and min(p.y for p in shown) > 35
    for panel in charts["error-rates"].panels:
        for series in panel.series:
            for run in series.runs():
                assert np.abs(np.diff(np.log10([p.y for p in run]))).max() <= 1.0


def test_points_that_samples_limit_are_hollow_in_both_and_the_footer_says_so(charts):
    for key, chart in charts.items():
        marks = [p for panel in chart.panels for s in panel.series for p in s.marks() if p.hollow]
        assert ("limited by samples" in chart.caption) == bool(marks), key
    point = Point(x=1.0, y=2.0, tip="t")
    axis = Axis(label="x", unit="V")
    shown = Series(points=(point, replace(point, x=2.0, hollow=True)), mark=0)
    chart = Chart(key="k", title="t", footer="f.", panels=(Panel(x=axis, y=axis, series=(shown,)),))
    (svg,) = svg_figure(chart).values()
    marks = [e.get("class") for e in ElementTree.fromstring(svg).iter()]
    assert marks.count("mark") == marks.count("mark hollow") == 1
    filled, hollow = matplotlib_figure(chart).axes[0].lines
    assert filled.get_markerfacecolor() == COLOURS[0] and filled.get_xdata().tolist() == [1.0]
    assert hollow.get_markerfacecolor() == "white" and hollow.get_xdata().tolist() == [2.0]


def test_rates_too_rare_to_count_stand_in_place_of_the_counts(charts):
    for chart in charts.values():
        if chart.key != "error-rates":
            continue
        lines = [p for panel in chart.panels for s in panel.series for p in s.points
                 if "lines, batch" in p.tip]  # fmt: skip
        assert lines and "Types hardly seen in these counts: lines by batch 5.11." in chart.caption
        assert all(p.x > 1 and p.y_bar[0] < p.y < p.y_bar[1] and not p.bound for p in lines)


def test_windows_are_told_apart_wherever_they_are_swept(charts):
    loss, front = charts["loss"], charts["front"]
    windows = {choice.rpartition(", ")[2] for choice in loss.choices}
    if windows != {""}:
        legend = {entry.label for entry in front.legend()}
        assert {f"window {window}" for window in windows} <= legend


@pytest.mark.parametrize("seed", range(20))
def test_ticks_are_inside_and_in_order(seed):
    rng = np.random.default_rng(seed)
    low = 10.0 ** rng.uniform(-12, 6)
    values = [low, low * 10.0 ** rng.uniform(0, 8)]
    for log in (True, False):
        scale = axis_scale(Axis(label="x", unit="V", log=log), values)
        places = [value for value, _ in scale.ticks]
        assert 2 <= len(places) <= 12 and places == sorted(places)
        assert len({name for _, name in scale.ticks}) == len(places)
        assert scale.low <= places[0] and places[-1] <= scale.high
        ends = [scale.between(0, 100).at(v) for v in values]
        assert 0 <= ends[0] <= ends[1] <= 100


def test_the_pages_know_the_same_colours():
    from rramsim.figures.report.page import explorer_assets

    style = explorer_assets()["explorer.css"][1]
    light = style[style.index(":root") : style.index("[data-theme")]
    assert all(f"--c{k}: {colour};" in style or f"--c{k}: {colour};" in light
               for k, colour in enumerate(COLOURS))  # fmt: skip
