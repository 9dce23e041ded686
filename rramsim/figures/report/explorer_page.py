"""The explorer's page: its frame with sliders and choices, and the part that every answer fills."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rramsim.figures.report.figure import ReportTable
from rramsim.figures.report.page import page_environment, page_text

__all__ = ["Choice", "ExplorerPanel", "Slider", "explorer_assets", "render_answer", "render_frame"]


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
    """A part of an answer: a drawing or a table under a title, with a note."""

    key: str
    title: str
    note: str = ""
    svg: str = ""
    table: ReportTable | None = None


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
    template = page_environment().get_template("explorer.html")
    return template.render(
        title=title, facts=facts, sliders=sliders, choices=choices, data=data, version=version
    )


def render_answer(panels: Sequence[ExplorerPanel], *, summary: str, told: str, senses: int) -> str:
    """One answer as a piece of HTML; `told` is what a screen reader says once it is complete."""
    template = page_environment().get_template("answer.html")
    return template.render(panels=panels, summary=summary, told=told, senses=senses)


def explorer_assets() -> dict[str, tuple[str, str]]:
    """Style sheet and script by name: (media type, text)."""
    style = (page_text(name) for name in ("page.css", "figure.css", "explorer.css"))
    return {
        "explorer.css": ("text/css", "\n".join(style)),
        "explorer.js": (
            "text/javascript", page_text("theme.js") + page_text("explorer.js")
        ),
    }  # fmt: skip
