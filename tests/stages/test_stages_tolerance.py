"""Tolerated error rates: by hand on made tables, and the whole command on the digits."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rramsim.cli.app import app
from rramsim.exceptions import InputError
from rramsim.networks import BinaryFlips, errors_of_type
from rramsim.records import ToleratedRow
from rramsim.stages import tolerance
from rramsim.stages.tolerance import tolerance_factor, tolerated_rate, tolerated_rates

SMALL = """
[network]
architecture = "mlp"
weights = ["binary", "ternary"]
width = 32
[tolerance]
rates = [0.01, 0.5]
train_rates = ["none", 0.1]
seeds = [0, 1]
[training]
data = "digits"
epochs = 3
[test]
draws = 2
"""


@given(st.floats(0.2, 5.0), st.floats(-4.0, -1.0))
def test_a_loss_linear_in_the_logarithm_is_inverted_exactly(slope, start):
    rates = np.logspace(-5, 0, 9)
    losses = slope * (np.log10(rates) - start)
    limit = 0.3
    wanted = 10 ** (start + limit / slope)
    found = tolerated_rate(rates.tolist(), losses.tolist(), limit)
    if wanted <= rates[0]:
        assert found == 0
    elif wanted > rates[-1]:
        assert found == math.inf
    else:
        assert found == pytest.approx(wanted, rel=1e-6)


def test_the_factor_is_a_geometric_mean_with_students_interval():
    factor = tolerance_factor([0.02, 0.04, 0.08], [0.01, 0.01, 0.01])
    logs = np.log([2, 4, 8])
    half = 4.302653 * logs.std(ddof=1) / math.sqrt(3)
    assert factor.value == pytest.approx(4)
    assert (factor.low, factor.high) == pytest.approx((4 * math.exp(-half), 4 * math.exp(half)))


def test_no_factor_where_a_rate_is_beyond_those_tested():
    assert math.isnan(tolerance_factor([math.inf, 0.1], [0.01, 0.01]).value)
    with pytest.raises(InputError, match="2 rates against 1"):
        tolerance_factor([0.1, 0.1], [0.1])


def test_each_type_moves_only_its_own_values():
    assert isinstance(errors_of_type(1, 0.1, "binary"), BinaryFlips)
    assert errors_of_type(2, 0.2, "ternary").matrix.tolist() == [
        [0.8, 0.2, 0], [0, 1, 0], [0, 0.2, 0.8]
    ]  # fmt: skip
    with pytest.raises(InputError, match="type 2 of binary weights"):
        errors_of_type(2, 0.1, "binary")


def test_trained_networks_are_held_to_the_accuracy_of_the_plain_one():
    def rows(trained_with, clean, slope):
        return [
            {"network": "n", "seed": 0, "trained_with": trained_with, "type": 3, "rate": rate,
             "accuracy": clean - slope * rate, "accuracy_without_errors": clean}
            for rate in (0.01, 0.1, 1.0)
        ]  # fmt: skip

    table = pd.DataFrame(rows("none", 0.8, 0.2) + rows("type 3 at 0.1", 0.79, 0.1))
    found = tolerated_rates(table, max_loss=2.0).set_index("trained_with")
    assert found.tolerated_rate["none"] == pytest.approx(0.1)
    # 0.79 - 0.1 r = 0.78 at 0.1 too: a point of its tolerance is spent on the lower start.
    assert found.tolerated_rate["type 3 at 0.1"] == pytest.approx(0.1)
    assert found.factor["type 3 at 0.1"] == pytest.approx(1.0)


def test_the_command_trains_tests_and_goes_on(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    out = ["--out", str(tmp_path / "out"), "--json"]
    command = ["run", str(tmp_path / "small.toml"), "--stage", "tolerance", *out]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    table = pd.read_csv(tmp_path / "out" / "tolerance.csv")
    # Two seeds; binary: plain and type 1; ternary: plain with three types, and one for each type.
    assert len(table) == 2 * 2 * (2 + 6)
    flips = table[(table.trained_with == "none") & (table.type == 1)]
    chance = flips[(flips.weights == "binary") & (flips.rate == 0.5)].accuracy
    assert (chance < 0.35).all()  # half of all signs flipped: nothing is left
    known = (tmp_path / "out" / "evaluations.jsonl").read_bytes()
    again = CliRunner().invoke(app, command)
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert (tmp_path / "out" / "evaluations.jsonl").read_bytes() == known


def test_one_seed_has_a_factor_without_an_interval():
    row = {
        "network": "vgg4", "trained_with": "type 2 at 0.05", "type": 2, "seeds": 1,
        "accuracy_without_errors": 0.86, "max_loss": 5.0, "tolerated_rate": 0.0377,
        "lowest": 0.0377, "highest": 0.0377, "factor": 1.166, "factor_low": None,
        "factor_high": None, "own_factor": None, "own_factor_low": None, "own_factor_high": None,
    }  # fmt: skip
    cells = tolerance._cells(ToleratedRow(**row))
    assert cells[-2:] == ("1.17", "beyond the tested rates")
    cells = tolerance._cells(ToleratedRow(**row | {"factor_low": 1.0, "factor_high": 1.3}))
    assert cells[-2] == "1.17 (1.00–1.30)"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rates = [0.1, 0.01]", "must rise"),
        ("rates = [0.0, 0.01]", "above 0"),
        ("train_rates = [0.1]", "must hold 'none'"),
        ("types = [4]", "types"),
    ],
)
def test_bad_sections_are_refused(tmp_path, line, message, capfd):
    (tmp_path / "bad.toml").write_text(f"[tolerance]\n{line}\n")
    result = CliRunner().invoke(
        app,
        ["run", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "out"), "--stage", "tolerance"],
    )
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()
