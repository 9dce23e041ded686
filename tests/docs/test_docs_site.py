"""The site's picture is that of the import contract; every page is in its contents."""

import re
from importlib import util

from blocks import ROOT


def _architecture():
    spec = util.spec_from_file_location("make_architecture", ROOT / "docs/make_architecture.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_that_of_the_contract():
    architecture = _architecture()
    assert architecture.PICTURE.read_text() == architecture.picture(), (
        "run: python docs/make_architecture.py"
    )
    assert all(f">{package}<" in architecture.picture() for package in architecture.packages())


def test_every_page_is_in_the_contents():
    named = set(re.findall(r"^[\w-]+$", (ROOT / "docs/index.md").read_text(), re.M))
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= named, f"name in docs/index.md: {sorted(pages - named)}"
