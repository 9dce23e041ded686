"""The page: sections rendered into one HTML file that needs nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rramsim.figures.report.figure import Section

__all__ = ["page_environment", "page_text", "render_page"]


@lru_cache
def page_environment() -> Environment:
    """The templates of every page."""
    # Everything is escaped but the drawings, which are made as trees.
    return Environment(
        loader=PackageLoader("rramsim.figures.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_text(name: str) -> str:
    """One of the pages' style sheets or scripts."""
    found = resources.files("rramsim.figures.report") / "templates" / name
    return found.read_text(encoding="utf-8")


def render_page(
    *,
    title: str,
    subtitle: str,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    version: str,
) -> str:
    """One HTML page without a reference to anything outside of it.

    Its content security policy forbids every request and every script but its own, which is named
    by its hash: whatever an experiment's texts hold, nothing of it runs.
    """
    script = page_text("theme.js") + page_text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = {figure.key: figure.csv for section in sections for figure in section.figures}
    return (
        page_environment()
        .get_template("report.html")
        .render(
            title=title,
            subtitle=subtitle,
            facts=facts,
            sections=sections,
            version=version,
            data=data,
            script=Markup(script),
            script_hash=f"sha256-{digest}",
            style=Markup(page_text("page.css")),
            figure_style=Markup(page_text("figure.css")),
        )
    )
