"""Pages: sections rendered into one HTML file that needs nothing else, and the explorer's page."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rramsim.figures.chart import Chart, Table
from rramsim.figures.draw_svg import svg_figure
from rramsim.figures.tradeoffs import DetailPoint


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing with its caption and its data as CSV.

    `variants` are its drawings by the label that the reader chooses them by, `choice` what they
    differ in, `first` which one is shown first; `key` names it in the page and in file names.
    """

    key: str
    title: str
    caption: str
    variants: dict[str, str]
    csv: str
    choice: str = ""
    first: int = 0

    @classmethod
    def of(cls, chart: "Chart | Picture") -> "Picture":
        """A chart as it is drawn for a page."""
        if isinstance(chart, Picture):
            return chart
        return cls(
            key=chart.key, title=chart.title, caption=chart.caption, csv=chart.csv(),
            variants=svg_figure(chart), choice=chart.choice, first=chart.first,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page; `missing` says, where results lack, which command makes them."""

    key: str
    title: str
    text: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    figures: tuple[Chart | Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    listings: tuple[tuple[str, str], ...] = ()
    details: tuple[DetailPoint, ...] = ()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Its figures, drawn."""
        return tuple(map(Picture.of, self.figures))


@lru_cache
def _templates() -> Environment:
    # Everything is escaped but the drawings, which are made as trees.
    return Environment(
        loader=PackageLoader("rramsim.figures.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    """One of the pages' style sheets or scripts."""
    found = resources.files("rramsim.figures.report") / "templates" / name
    return found.read_text(encoding="utf-8")


def render_page(
    *,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    version: str,
) -> str:
    """One HTML page without a reference to anything outside of it.

    Its content security policy forbids every request and every script but its own, which is named
    by its hash: whatever an experiment's texts hold, nothing of it runs.
    """
    script = _text("theme.js") + _text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    drawn = [(section, section.pictures) for section in sections]
    return (
        _templates()
        .get_template("report.html")
        .render(
            title=title,
            subtitle=subtitle,
            sections=drawn,
            version=version,
            data={picture.key: picture.csv for _, pictures in drawn for picture in pictures},
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            style=Markup(_text("page.css")),
            figure_style=Markup(_text("figure.css")),
        )
    )


@dataclass(frozen=True, kw_only=True)
class Slider:
    """A slider over `values`, shown as `texts`; `first` and `marks` are places in them."""

    name: str
    label: str
    values: tuple[float, ...]
    texts: tuple[str, ...]
    first: int
    marks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A choice of one of `values`, shown as `texts`."""

    name: str
    label: str
    values: tuple[str, ...]
    texts: tuple[str, ...]
    first: int


@dataclass(frozen=True, kw_only=True)
class ExplorerPanel:
    """A part of an answer: a chart or a table under a title, with a note."""

    key: str
    title: str
    note: str = ""
    chart: Chart | None = None
    table: Table | None = None

    @property
    def svg(self) -> str:
        """The chart, drawn."""
        return "" if self.chart is None else next(iter(svg_figure(self.chart).values()))


def render_frame(
    *,
    title: str,
    facts: Sequence[tuple[str, str]],
    sliders: Sequence[Slider],
    choices: Sequence[Choice],
    step_senses: int,
    most_senses: int,
    version: str,
) -> str:
    """The page without an answer; it refers to `explorer.css` and `explorer.js` beside it."""
    data = {
        "sliders": {slider.name: asdict(slider) for slider in sliders},
        "step": step_senses,
        "most": most_senses,
    }
    template = _templates().get_template("explorer.html")
    return template.render(
        title=title, facts=facts, sliders=sliders, choices=choices, data=data, version=version
    )


def render_answer(panels: Sequence[ExplorerPanel], *, summary: str, told: str, senses: int) -> str:
    """One answer as a piece of HTML; `told` is what a screen reader says once it is complete."""
    template = _templates().get_template("answer.html")
    return template.render(panels=panels, summary=summary, told=told, senses=senses)


def explorer_assets() -> dict[str, tuple[str, str]]:
    """Style sheet and script by name: (media type, text)."""
    style = (_text(name) for name in ("page.css", "figure.css", "explorer.css"))
    return {
        "explorer.css": ("text/css", "\n".join(style)),
        "explorer.js": ("text/javascript", _text("theme.js") + _text("explorer.js")),
    }
