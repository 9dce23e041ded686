"""Sphinx: the site of docs/*.md and of the packages' docstrings; `make docs` builds it."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from make_architecture import packages
from make_gallery import write_gallery
from make_reference import SITE_PAGES, write_pages

from rramsim.version import __version__

project = "rramsim"
author = "The rramsim authors"
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # make_gallery.py has executed them
nb_merge_streams = True
exclude_patterns = ["_build", "jupyter_execute"]  # the latter is where myst-nb writes outputs

html_theme = "furo"
html_title = f"rramsim {version}"
html_show_sourcelink = False
html_static_path: list[str] = []

# Docstrings write names between single backticks, as Markdown does.
default_role = "literal"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "undoc-members": False}


def write_api(folder: Path) -> None:
    """Write a page a package: every public name (`__all__`) with its docstring, once."""
    folder.mkdir(exist_ok=True)
    known: set[int] = set()
    shown = [name for name in packages() if name != "verbs"]  # `rramsim` itself shows these
    for name in ["rramsim", *(f"rramsim.{package}" for package in shown)]:
        module = import_module(name)
        values = {each: getattr(module, each) for each in getattr(module, "__all__", ())}
        again = [each for each, value in values.items() if id(value) in known]
        if name == "rramsim":  # what it passes on stands in the package that has it
            again = [
                each
                for each in values
                if ".verbs" not in str(getattr(values[each], "__module__", ""))
            ]
        known |= {id(value) for each, value in values.items() if each not in again}
        lines = [f"# {name}", "", "```{eval-rst}", f".. automodule:: {name}"]
        lines += [f"   :exclude-members: {', '.join(again)}"] if again else []
        _keep(folder / f"{name.rpartition('.')[2]}.md", "\n".join([*lines, "```", ""]))
    lines = ["# API", "", "`rramsim` first, then each package in the order of their imports.", ""]
    _keep(folder / "index.md", "\n".join([*lines, "```{toctree}", "rramsim", *shown, "```", ""]))


def _keep(path: Path, text: str) -> None:
    """Write a file only if it changes, so that Sphinx reads again what changed only."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


write_pages(SITE_PAGES)
write_api(Path(__file__).parent / "api")
write_gallery(Path(__file__).parent / "gallery")
