"""Rates and error types against hand counts and published interval tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rramsim.counting import ErrorStatistics, FoundRate, Rate
from rramsim.exceptions import InputError

COUNTS = np.array([[90, 8, 2, 1], [5, 80, 15, 2], [1, 9, 90, 3]])


def test_the_types_count_what_they_say():
    statistics = ErrorStatistics(counts=COUNTS)
    assert (statistics.type1.events, statistics.type1.trials) == (3, 200)
    assert (statistics.type2.events, statistics.type2.trials) == (17, 200)
    assert (statistics.type3.events, statistics.type3.trials) == (20, 100)
    assert (statistics.unconverged.events, statistics.unconverged.trials) == (6, 306)
    assert (statistics.binary.events, statistics.binary.trials) == (20, 200)
    assert statistics.binary_flip_probability == pytest.approx(3 / 200 + 17 / 400)


def test_an_unconverged_run_is_no_read():
    statistics = ErrorStatistics(counts=COUNTS)
    without = COUNTS.copy()
    without[:, 3] = 0
    assert np.array_equal(
        statistics.transition_matrix(), ErrorStatistics(counts=without).transition_matrix()
    )
    np.testing.assert_allclose(statistics.transition_matrix().sum(axis=1), 1)


# Exact (Clopper-Pearson) 95 % intervals: 0 of n is 1 - 0.025^(1/n); 10 of 100 is in most textbooks.
@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (10, 100, 0.0490, 0.1762), (0, 0, 0.0, 1.0)],
)
def test_intervals_are_the_exact_ones(events, trials, low, high):
    rate = Rate(events=events, trials=trials)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=5e-5)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = [
        Rate(events=int(k), trials=400).low <= 0.02 <= Rate(events=int(k), trials=400).high
        for k in rng.binomial(400, 0.02, 1000)
    ]
    assert np.mean(covered) > 0.94  # exact intervals cover at least 95 % (here 97 %)


@given(st.lists(st.integers(0, 10**6), min_size=24, max_size=24))
def test_counts_add_in_any_order(numbers):
    one, other = np.array(numbers).reshape(2, 3, 4)
    total = ErrorStatistics(counts=one) + ErrorStatistics(counts=other)
    assert total == ErrorStatistics(counts=other) + ErrorStatistics(counts=one)
    assert total.counts.sum() == one.sum() + other.sum()


@pytest.mark.parametrize(
    ("counts", "names"),
    [
        (np.ones((3, 3)), "shape"),
        (-COUNTS, "whole numbers"),
        (COUNTS + 0.5, "whole numbers"),
    ],
)
def test_what_is_no_count_is_refused(counts, names):
    with pytest.raises(InputError, match=names):
        ErrorStatistics(counts=counts)


def test_a_value_never_read_has_no_transition():
    counts = COUNTS.copy()
    counts[1] = (0, 0, 0, 7)
    with pytest.raises(InputError, match=r"written \[0\]"):
        ErrorStatistics(counts=counts).transition_matrix()


def test_drawn_rates_spread_as_the_counts_leave_open():
    counts = np.array([[9900, 100, 0, 0], [0, 400, 0, 9], [0, 0, 10_000, 0]])
    statistics = ErrorStatistics(counts=counts)
    rng = np.random.default_rng(3)
    drawn = np.array([statistics.drawn_matrix(rng) for _ in range(4000)])
    assert drawn.sum(axis=2) == pytest.approx(1)
    # A rate of 1 % from 10,000 reads: deviation sqrt(0.01 * 0.99 / 10,000).
    assert drawn[:, 0, 1].mean() == pytest.approx(0.01, rel=0.02)
    assert drawn[:, 0, 1].std() == pytest.approx(0.995e-3, rel=0.05)
    # None of 10,000: half a count in the mean; 97.5 % of draws lie below 2.51 counts.
    assert drawn[:, 2, 1].mean() == pytest.approx(0.5e-4, rel=0.1)
    assert np.quantile(drawn[:, 2, 1], 0.975) == pytest.approx(2.51e-4, rel=0.1)


def test_an_error_that_was_found_elsewhere_is_drawn_from_there():
    counts = np.array([[600, 0, 0, 0], [30, 540, 30, 0], [0, 0, 600, 0]])
    statistics = ErrorStatistics(counts=counts)
    found = {"type1": FoundRate(value=3e-5, deviation=0.05, by="lines")}
    drawn = np.array([statistics.drawn_matrix(np.random.default_rng(k), found) for k in range(400)])
    assert np.allclose(drawn.sum(axis=2), 1)
    np.testing.assert_allclose(drawn[:, 0, 2], drawn[:, 2, 0])
    assert np.median(drawn[:, 0, 2]) == pytest.approx(3e-5, rel=0.02)
    assert np.log(drawn[:, 0, 2]).std() == pytest.approx(0.05, rel=0.2)
    # What is not among them is drawn as before, by the same numbers.
    before = statistics.drawn_matrix(np.random.default_rng(7))
    np.testing.assert_allclose(drawn[7][1], before[1])
    assert drawn[7][0, 1] == pytest.approx(before[0, 1])
