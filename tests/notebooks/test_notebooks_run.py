"""Every notebook runs from top to bottom; its own assertions hold."""

import re
from importlib import util
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
make_gallery = util.module_from_spec(spec)
spec.loader.exec_module(make_gallery)
NOTEBOOKS = make_gallery.NOTEBOOKS


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_uses_the_public_face_alone(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert "from rramsim" not in cell.source, cell.source
            assert not re.search(r"import rramsim(?! as rs$)", cell.source, re.M), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "strip it before committing"
    shown = nbformat.read(make_gallery.executed(path), as_version=4)
    assert any(cell.get("outputs") for cell in shown.cells)
