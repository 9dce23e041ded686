"""The generated pages are those of the code, without a gap; every command's example parses."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
from blocks import PAGES

from rramsim.cli.app import app
from rramsim.experiment import Experiment, experiment_keys
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


@pytest.fixture(scope="module")
def site_pages(tmp_path_factory):
    """The text of the pages that the site's build writes, by name."""
    folder = tmp_path_factory.mktemp("docs")
    make_reference.write_pages(make_reference.SITE_PAGES, folder)
    return {path.name: path.read_text() for path in folder.rglob("*.md")}


def test_no_key_is_missing(site_pages):
    sections = re.split(r"^## ", site_pages["keys.md"], flags=re.M)[1:]
    shown = {part.split("\n")[0].strip("[]"): part for part in sections}
    assert shown.keys() == Experiment.model_fields.keys() - {"folder"}
    for section, _, keys in experiment_keys():
        assert re.findall(r"^\* `(\w+)`", shown[section], re.M) == [key for key, *_ in keys]
    assert site_pages["keys.md"].count("\n* `") > 100


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_no_stage_file_or_column_is_missing(stage, site_pages):
    text = site_pages["files.md"]
    assert f"## {stage.name}" in text
    common = text.split("\n## ")[0]
    for file in stage.files:
        columns = make_reference._folded(file.columns())
        heading = f"\n### {file.name}\n" if columns else f"\n`{file.name}`: "
        assert heading in text, file.name
        own = text.split(heading)[1].split("\n##")[0]
        for name, meaning in columns:
            last = name.rpartition(".")[2]
            assert f"`{last}`" in own, f"{file.name}: {name}"
            assert f"* `{last}`: {meaning}" in own + common, f"{file.name}: {name}"


def test_no_command_is_missing(site_pages):
    examples = re.findall(r"```sh\n(.+)\n```", site_pages["commands.md"])
    assert [
        path for path in LEAVES if not any(f"{one} ".startswith(path + " ") for one in examples)
    ] == []
    assert len(examples) == len(LEAVES)


def test_the_build_writes_pages_that_git_ignores():
    ignored = (DOCS.parent / ".gitignore").read_text().split()
    contents = (DOCS / "index.md").read_text()
    for name in make_reference.SITE_PAGES:
        assert f"docs/{name.partition('/')[0]}/" in ignored
        assert f"\n{name.removesuffix('.md')}\n" in contents


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_column_has_a_meaning(stage):
    for file in stage.files:
        for name, meaning in make_reference._folded(file.columns()):
            assert meaning.rpartition("; ")[2] not in ("", "V", "s", "°C", "J", "Ω", "m²"), name


def test_every_key_of_provenance_has_a_meaning():
    for name in ProvenanceRecord.model_fields:
        assert MEANINGS.get(name), name


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_has_an_example_that_it_understands(path, monkeypatch):
    example = re.search(r"Example: (.+)", LEAVES[path].help or "", re.S)
    assert example, f"{path}: no example in its help"
    words = shlex.split(" ".join(example[1].split("\n\n")[0].split()))
    assert words[: len(path.split())] == path.split()
    monkeypatch.chdir(DOCS.parent)
    LEAVES[path].make_context(path, words[len(path.split()) :])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_of_the_repository(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
            assert "reference/" not in target, f"{page.name}: {target} is on the site alone"
            outside = page.parent == DOCS and target.startswith("../")
            assert not (outside and target.endswith((".md", ".ipynb"))), (
                f"{page.name}: {target} is no page of the site: name it without a link"
            )
