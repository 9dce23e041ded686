"""Plain English in what users read: proselint, and a list of words that this field does not use."""

import ast
import json
import re
import tomllib
from functools import cache
from runpy import run_path

import pytest
from blocks import PAGES, ROOT
from proselint.checks import __register__ as published
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, types
from proselint.tools import LintFile

WORDS = tomllib.loads((ROOT / "docs" / "words.toml").read_text())["words"]
# What proselint takes for something else here: signs of Markdown, picometre, SKY130's.
NOT_ASKED = (
    "typography",
    "dates_times.am_pm",
    "dates_times.dates.decade_apostrophes",
)


@cache
def our_checks() -> list[tuple[str, Check]]:
    return [
        (
            word,
            Check(
                check_type=types.Existence(items=(re.escape(word),)),
                path=f"rramsim.{word}",
                message=f"write {better!r}",
            ),
        )
        for word, better in WORDS.items()
    ]


def our_findings(text: str) -> list[str]:
    return [
        f"{word!r}: {result.message}"
        for word, check in our_checks()
        for result in check.check_with_flags(f"\n{text}\n")
        if "standard " + word not in text
    ]


def texts(path) -> str:
    """Every string of a module, docstrings and pieces of messages, a line each."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "\n".join(" ".join(text.split()) for text in found if isinstance(text, str))


def prose(page) -> str:
    """The page without code and headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`|^#.*$", "", text, flags=re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_reads_well(page):
    text = prose(page)
    CheckRegistry().register_many(published)
    linted = LintFile(page.name, text).lint(DEFAULT)
    found = [
        f"line {each.pos[0]}: {each.check_result.check_path}: {each.check_result.message}"
        for each in linted
        if not each.check_result.check_path.startswith(NOT_ASKED)
    ]
    assert found + our_findings(text) == []


@pytest.mark.parametrize("name", ["commands", "keys", "files"])
def test_a_page_of_the_site_reads_well(name, tmp_path):
    make_reference = run_path(str(ROOT / "docs" / "make_reference.py"))
    path = tmp_path / f"{name}.md"
    path.write_text(make_reference[f"{name}_page"]())
    test_a_page_reads_well(path)


@pytest.mark.parametrize(
    "package",
    sorted({path.parent for path in (ROOT / "rramsim").rglob("*.py")}),
    ids=lambda path: path.name,
)
def test_the_programs_texts_read_well(package):
    found = {path.name: our_findings(texts(path)) for path in package.glob("*.py")}
    assert {name: each for name, each in found.items() if each} == {}


def test_the_notebooks_texts_read_well():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert our_findings("\n".join(" ".join(cell["source"]) for cell in cells)) == [], path.name


@pytest.mark.parametrize("word", WORDS)
def test_a_planted_word_is_found(word):
    assert our_findings(f"Here it is {word} and so on.")


def test_proselint_itself_looks():
    CheckRegistry().register_many(published)
    text = "This is a very unique result, at the end of the day, it goes without saying."
    assert LintFile("page", text).lint(DEFAULT)
