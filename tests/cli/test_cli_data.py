"""`rramsim data` and `rramsim cite`."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rramsim import __version__
from rramsim.cli.app import app
from rramsim.exceptions import InputError

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, **environment):
    return CliRunner().invoke(app, list(arguments), env={"RRAMSIM_DATA": None} | environment)


def test_data_without_cifar10_says_how_to_get_it():
    shown = run("data")
    assert shown.exit_code == 0
    assert re.search(r"^digits .*comes with scikit-learn: \d+ images", shown.stdout)
    assert "rramsim data --fetch" in shown.stdout
    (digits,) = json.loads(run("data", "--json").stdout)["data_sets"]
    assert digits["train"] + digits["test"] == 1797 and digits["path"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere: no such file or folder"),
        (["--data", ".", "--fetch"], "the archive goes into the cache"),
    ],
)
def test_data_refuses(arguments, message):
    result = run("data", *arguments)
    assert isinstance(result.exception, InputError) and message in str(result.exception)


def test_what_is_cited_is_what_the_citation_file_says():
    text = run("--cite").stdout
    assert f"version = {{{__version__}}}" in text
    words = re.sub(r"[^a-z0-9]+", " ", text.lower())
    cff = (ROOT / "CITATION.cff").read_text()
    titles = re.findall(r"title: (.+)", cff)
    names = re.findall(r"family-names: ([^,}]+), given-names: ([^,}]+)}", cff)
    assert len(titles) == 2 and len(names) == 9
    for said in (*titles, *(" ".join(name) for name in names), *re.findall(r"url: (.+)", cff)):
        assert re.sub(r"[^a-z0-9]+", " ", said.lower()).strip() in words
