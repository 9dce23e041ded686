"""Rates of a map: on states with known answers, and the whole command on a small grid."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from rramsim.cli.app import app
from rramsim.exceptions import InputError
from rramsim.rare import (
    FLOOR,
    RareRate,
    RareSettings,
    is_settled,
    linear_state,
    map_rate,
    two_lobed_state,
)
from rramsim.rare.rate_map import _confirmed, _decided

SMALL = """
[sense]
vdd_v = [0.95, 1.2]
[errors]
engine = "batch"
relative_error = 0.2
workers = 1
"""


@pytest.mark.parametrize("probability", [0.3, 2e-2, 1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("make", [linear_state, two_lobed_state])
def test_a_known_rate_is_found_to_ten_per_cent(make, probability):
    # Four standard errors, since ten cases are looked at.
    answer, senses = map_rate(make(probability), relative_error=0.1, seed=2)
    assert is_settled(answer, 0.1)
    assert answer.value == pytest.approx(probability, rel=0.4)
    assert answer.coefficient_of_variation <= 0.1
    assert answer.method == ("monte-carlo" if probability > 0.01 else "importance")
    assert senses <= 24_000


def test_what_lies_below_the_floor_is_settled_whatever_its_error():
    answer, senses = map_rate(linear_state(1e-14))
    assert answer.high < FLOOR and is_settled(answer, 1e-6)
    assert senses < 5000


def _answer(value, method):
    return RareRate(
        label="", status="estimated", method=method, value=value, low=0.8 * value, high=1.2 * value,
        coefficient_of_variation=0.09, calls=1, note="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "one", "other", "method"),
    [
        (4e-4, 1e-3, 1e-4, "monte-carlo"),  # neither: counted
        (1e-4, 1e-3, 1e-4, "splitting"),
        (1e-6, 1e-3, 1e-6, "splitting"),  # too rare to count, but the other one is excluded
    ],
)
def test_plain_samples_decide_where_splitting_is_one_of_two(truth, one, other, method):
    answer, senses = _decided(
        linear_state(truth), RareSettings(relative_error=0.1, seed=4),
        _answer(one, "importance"), _answer(other, "splitting"), lambda calls: None,
    )  # fmt: skip
    assert is_settled(answer, 0.1) and senses <= 300_000
    assert answer.method == method and answer.low < truth < answer.high
    if method == "splitting":
        assert "importance gives 0.001, which 300000 plain samples exclude" in answer.note


@pytest.mark.parametrize("truth", [1e-4, 1e-7])
def test_splitting_decides_between_two_others(truth):
    # A third method, with a tenth of the senses, and where nothing can be counted.
    answer, senses = _decided(
        linear_state(truth), RareSettings(relative_error=0.1, seed=4),
        _answer(100 * truth, "importance"), _answer(truth, "line"), lambda calls: None,
    )  # fmt: skip
    assert answer.method == "splitting" and is_settled(answer, 0.1)
    assert answer.low < truth < answer.high and senses < 60_000
    assert answer.note.endswith(f"which splitting and line ({truth:.3g}) contradict")


def test_two_answers_that_cannot_be_counted_are_a_refusal():
    answer, senses = _decided(
        linear_state(1e-7), RareSettings(), _answer(1e-5, "importance"),
        _answer(1e-7, "splitting"), lambda calls: None,
    )  # fmt: skip
    assert answer.status == "refused" and senses == 0
    assert answer.note == "importance gives 1e-05, splitting 1e-07"


@pytest.mark.parametrize(
    ("first", "method", "value"),
    [
        (1.05e-6, "line", 1.05e-6),  # splitting agrees
        (1e-7, "splitting", 1e-6),  # lines missed a part
        (1e-5, "line", 1e-5),  # splitting did
    ],
)
def test_of_two_answers_that_differ_the_larger_misses_less(first, method, value):
    settings = RareSettings(relative_error=0.1, seed=4)
    answer, senses = _confirmed(
        linear_state(1e-6), settings, _answer(first, "line"), lambda calls: None
    )
    assert answer.method == method and is_settled(answer, 0.1) and senses < 60_000
    assert answer.value == pytest.approx(value, rel=0.4)
    assert ("misses a part" in answer.note) == (first != 1.05e-6)


def test_what_splitting_cannot_confirm_is_a_refusal():
    flat = replace(linear_state(1e-4), function=lambda points: np.ones(len(points)))
    answer, _ = _confirmed(flat, RareSettings(), _answer(1e-4, "line"), lambda calls: None)
    assert answer.status == "refused" and answer.note == "line gives 0.0001, splitting no answer"


def test_what_cannot_be_confirmed_but_lies_below_the_floor_is_a_bound():
    answer, _ = _confirmed(
        linear_state(1e-14), RareSettings(), _answer(1e-17, "importance"), lambda calls: None
    )
    assert answer.status == "bounded" and answer.value is None and is_settled(answer, 0.1)
    assert answer.low == 0 and 1e-14 < answer.high < FLOOR


def test_a_relative_error_of_zero_is_refused():
    with pytest.raises(InputError, match="relative_error = 0: must be above 0"):
        map_rate(linear_state(1e-3), relative_error=0)


def test_the_command_maps_and_goes_on(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    out = tmp_path / "out"
    command = ["map", str(tmp_path / "small.toml"), "--out", str(out), "--json"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    table = pd.read_csv(out / "ber_map.csv")
    assert len(table) == 2 * 3
    rate = table.set_index(["vdd_v", "type"]).rate
    assert rate[0.95, 2] > 0.3 and rate[1.2, 3] > 0.05  # as campaigns count them
    assert 1e-5 < rate[1.2, 1] < 1e-4
    lines = (out / "ber_map.jsonl").read_text().splitlines(keepends=True)
    # Killed before the last two rates, in the middle of a line.
    (out / "ber_map.jsonl").write_text("".join(lines[:-2]) + lines[-2][:30])
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert (out / "ber_map.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('engine = "batch"', 'engine = "ngspice"'), 'needs engine = "batch"'),
        (("relative_error = 0.2", "relative_error = 0"), "relative_error"),
    ],
)
def test_what_cannot_be_mapped_is_refused(tmp_path, change, message):
    (tmp_path / "bad.toml").write_text(SMALL.replace(*change))
    result = CliRunner().invoke(
        app, ["map", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "out")]
    )
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
