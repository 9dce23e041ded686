"""The generated pages are those of the code; every command shows an example that parses."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from rramsim.cli.app import app
from rramsim.experiment import Experiment
from rramsim.records import MEANINGS, ProvenanceRecord
from rramsim.stages import STAGES

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
make_reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_reference)
LEAVES = dict(make_reference._leaves("rramsim", typer.main.get_command(app)))


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_a_page_is_that_of_the_code(name):
    assert (DOCS / name).read_text() == make_reference.PAGES[name](), (
        "run: python docs/make_reference.py"
    )


def test_no_key_is_missing():
    text = (DOCS / "keys.md").read_text()
    for section in Experiment.model_fields:
        if section != "folder":
            assert f"## [{section}]" in text
    assert text.count("\n* `") > 100


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_column_has_a_meaning(stage):
    for file in stage.files:
        for name, meaning in make_reference._folded(file.columns()):
            assert meaning.rpartition("; ")[2] not in ("", "V", "s", "°C", "J", "Ω", "m²"), name


def test_every_key_of_provenance_has_a_meaning():
    for name in ProvenanceRecord.model_fields:
        assert MEANINGS.get(name), name


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_an_example_whose_options_exist(path):
    example = re.search(r"Example: (.+)", LEAVES[path].help or "", re.S)
    assert example, f"{path}: no example in its help"
    words = shlex.split(" ".join(example[1].split("\n\n")[0].split()))
    assert words[: len(path.split())] == path.split()
    known = {name for parameter in LEAVES[path].params for name in parameter.opts}
    for word in words[len(path.split()) :]:
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{path}: {word}"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
