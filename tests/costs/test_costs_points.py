"""Rows of the trade-off."""

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.costs import SenseEnergy, tradeoff_row
from rramsim.counting import ErrorStatistics, FoundRate
from rramsim.networks import NetworkSpec, layer_census
from rramsim.records import TradeoffRow


def row_of(counts, found):
    spec = NetworkSpec(
        architecture="mlp", weights="binary", activations="binary", width=4,
        input_shape=(1, 2, 2), classes=2,
    )  # fmt: skip
    return tradeoff_row(
        spec=spec,
        trained_with="none",
        data="digits",
        conditions=SenseConditions(vdd_v=0.9),
        statistics=ErrorStatistics(counts=np.array(counts)),
        engine="batch",
        found=found,
        sense=SenseEnergy(
            mean_j={-1: 4e-13, 0: 1e-13, 1: 4e-13}, standard_error_j={-1: 0.0, 0: 0.0, 1: 0.0}
        ),
        census=layer_census(spec.build(seed=0), spec.input_shape),
        clean=np.array([True] * 8 + [False] * 2),
        noisy=np.array([[True] * 7 + [False] * 3] * 2),
    )


def test_rates_of_two_sources_are_no_rate_above_one():
    """Too slow for any ±1: all are counted as 0, and the rare wrong sign comes on top."""
    found = {"type1": FoundRate(value=1.9e-11, deviation=0.05, by="lines")}
    row = row_of([[0, 600, 0, 0], [0, 600, 0, 0], [0, 600, 0, 0]], found)
    assert (row["type1"], row["type2"], row["binary"]) == (1.9e-11, 1.0, 1.0)
    TradeoffRow.model_validate(row)


def test_a_rate_that_was_found_adds_to_what_was_counted():
    found = {"type1": FoundRate(value=3e-5, deviation=0.05, by="lines")}
    row = row_of([[594, 6, 0, 0], [0, 600, 0, 0], [0, 6, 594, 0]], found)
    assert row["binary"] == pytest.approx(0.01 + 3e-5) and not row["limited_by_samples"]
    assert row["rates_by"].startswith("type1: lines; type2: counted, batch")
