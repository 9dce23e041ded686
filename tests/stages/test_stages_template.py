"""`rramsim init`: what it writes is the defaults, whole and explained."""

import re
import tomllib
from dataclasses import fields

import pytest

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, experiment_template, load_experiment
from rramsim.experiment.circuit import MismatchSection
from rramsim.experiment.equilibrium import EquilibriumSection
from rramsim.experiment.template import _section_of
from rramsim.learning.equilibrium import (
    DescentSettings,
    EquilibriumSpec,
    EstimatorSettings,
    FlipRule,
)

SECTIONS = {
    name: section
    for name, info in Experiment.model_fields.items()
    if (section := _section_of(info)) is not None
}


def test_the_file_loads_and_says_what_no_file_says(tmp_path):
    path = tmp_path / "all.toml"
    path.write_text(experiment_template())
    found = load_experiment(path)
    left_out = {"exclude": {"folder"}}
    assert found.model_dump(**left_out) == Experiment().model_dump(**left_out)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_stands_there_with_its_meaning(name):
    text = experiment_template()
    block = re.split(rf"^(?:# )?\[{name}\]$", text, flags=re.M)[1]
    block = re.split(r"^(?:# )?\[\w+\]$", block, flags=re.M)[0]
    for key, info in SECTIONS[name].model_fields.items():
        assert info.description, f"[{name}] {key}: write its meaning below it"
        assert re.search(rf"^(# )?{key} = ", block, re.M), key
    assert max(map(len, text.splitlines())) <= 100


def test_the_default_values_of_chips_are_those_of_the_commented_lines():
    block = re.split(r"^# \[\w+\]$", experiment_template().split("# [chips]\n")[1], flags=re.M)[0]
    lines = [line[2:] for line in block.splitlines() if re.match(r"# \w+ = (?!\.\.\.)", line)]
    values = tomllib.loads("[chips]\n" + "\n".join(lines))
    assert Experiment.model_validate(values).chips == SECTIONS["chips"]()
    assert len(values["chips"]) >= 10


def test_what_is_told_of_keys_that_are_left_out_is_so():
    defaults = {
        field.name: field.default
        for kind in (EquilibriumSpec, EstimatorSettings, DescentSettings, FlipRule)
        for field in fields(kind)
    }
    told = 0
    for key, info in EquilibriumSection.model_fields.items():
        found = re.search(r"Left out: ([\w.-]+?)[.,]?(?:\s|$)", info.description)
        default = defaults.get(key)
        if not found or isinstance(default, tuple) or default is None:
            continue
        text = {"no": "False", "a": str(1 / 3), "as": "symmetric"}.get(found[1], found[1])
        told += 1
        assert text == default if isinstance(default, str) else str(float(default)) == str(
            float(text == "True") if text in ("True", "False") else float(text)
        ), key  # fmt: skip
    assert told >= 18


def test_mismatch_of_own_cards_is_shown_with_all_its_keys():
    line = next(x for x in experiment_template().splitlines() if x.startswith("# mismatch = "))
    (example,) = tomllib.loads(line[2:])["mismatch"]
    assert set(example) == set(MismatchSection.model_fields)


def test_a_file_is_not_written_over(tmp_path, monkeypatch):
    from rramsim.cli.init import init

    monkeypatch.chdir(tmp_path)
    init()
    before = (tmp_path / "experiment.toml").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        init()
    assert (tmp_path / "experiment.toml").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["experiment.toml"]
