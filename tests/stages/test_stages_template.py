"""`rramsim init`: what it writes is the defaults, whole and explained."""

import ast
import inspect
import re
import tomllib
from dataclasses import fields

import pytest

from rramsim.chips import ArrayShape, ChipModel
from rramsim.circuits import Column, SenseConditions
from rramsim.counting import StopRule
from rramsim.devices import Retention
from rramsim.durable import Limits, Runner
from rramsim.engines import BatchEngine, NgspiceEngine
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, experiment_template, load_experiment
from rramsim.experiment.circuit import MismatchSection
from rramsim.experiment.ineffective_keys import acts
from rramsim.experiment.template import _section_of
from rramsim.learning import TrainingSettings
from rramsim.learning.equilibrium import (
    DescentSettings,
    EquilibriumSpec,
    EquilibriumTraining,
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


def test_a_keys_limits_are_shown_as_they_are_held():
    text = " ".join(line.removeprefix("# ") for line in experiment_template().splitlines())
    for words in (
        "(between 1 and 4096) rows = 32",
        "(s; between 1e-09 and 0.001; list) window_s",
        "(between 1 and 1000000000) max_samples",
        "(above 0 and at most 1; needs [training] rule = 'ternary-ep') most_moves",
        "(between 1 and 1000) draws",
    ):
        assert words in text, words
    for owner, wrong in ((Column, {"rows": 4097}), (StopRule, {"max_samples": 10**9 + 1})):
        with pytest.raises(InputError, match="must be a whole number between 1 and"):
            owner(**wrong)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_key_that_does_nothing_is_refused_at_its_default_too(name, tmp_path):
    """Each key of the written file that is commented out for doing nothing, by its name."""
    text = experiment_template()
    block = re.split(rf"^(?:# )?\[{name}\]$", text, flags=re.M)[1]
    block = re.split(r"^(?:# )?\[\w+\]$", block, flags=re.M)[0]
    idle = [key for key in SECTIONS[name].model_fields if not acts(Experiment(), name, key)]
    written = {key: line for key in idle for line in re.findall(rf"^# ({key} = .+)$", block, re.M)}
    assert written.keys() == set(idle)
    for key, line in written.items():
        if "..." in line:
            continue
        path = tmp_path / "one.toml"
        path.write_text(f"[{name}]\n{line}\n")
        with pytest.raises(InputError, match=rf"\[{name}\] {key} = .*: does nothing here"):
            load_experiment(path)
    assert name != "equilibrium" or len(written) == len(SECTIONS[name].model_fields)


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


OWNERS = {
    "process": (),
    "device": (Retention,),
    "column": (Column,),
    "sense": (SenseConditions,),
    "errors": (NgspiceEngine, BatchEngine, StopRule, Runner, Limits),
    "training": (TrainingSettings,),
    "equilibrium": (
        EquilibriumSpec, EstimatorSettings, DescentSettings, FlipRule, EquilibriumTraining,
    ),
    "chips": (Retention, ArrayShape, ChipModel),
}  # fmt: skip
NAMED_ALIKE = {("training", "batch"), ("training", "learning_rate")}
"""Keys with two defaults, which depend on the rule."""


@pytest.mark.parametrize("name", [name for name, owners in OWNERS.items() if owners])
def test_a_default_and_its_text_stand_with_the_value_that_they_set(name):
    """A key that sets a dataclass's field takes both from there; neither is written twice."""
    (tree,) = ast.parse(inspect.getsource(SECTIONS[name])).body
    written = {node.target.id: node.value for node in tree.body if isinstance(node, ast.AnnAssign)}
    set_here = {field.name: owner for owner in OWNERS[name] for field in fields(owner)}
    shared = [key for key in written if key in set_here and (name, key) not in NAMED_ALIKE]
    assert shared
    for key in shared:
        made = written[key]
        assert isinstance(made, ast.Call) and made.func.id == "setting", f"[{name}] {key}"
        text = SECTIONS[name].model_fields[key].description
        # A text of several lines is indented where it stands.
        assert " ".join(text.split()) in " ".join(inspect.getsource(set_here[key]).split())


def test_what_is_left_out_is_what_the_text_says():
    text = experiment_template()
    assert f"Images of a batch. Left out: {TrainingSettings().batch}, or" in text
    assert f"or {EquilibriumTraining().batch} for equilibrium propagation" in text


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
