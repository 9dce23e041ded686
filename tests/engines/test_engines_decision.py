"""The decision from waveforms with known crossings."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rramsim.engines.protocol import charge_c, decide


def judge(q, qb, window_s=4.0):
    return decide(np.arange(5.0), np.array(q), np.array(qb), threshold_v=0.5, window_s=window_s)


@pytest.mark.parametrize(
    ("q", "qb", "read", "resolve_time_s"),
    [
        ([1, 1, 0, 0, 0], [1, 1, 1, 1, 1], 1, 1.5),
        ([1, 1, 1, 1, 1], [1, 1, 0, 0, 0], -1, 1.5),
        ([1, 1, 1, 1, 1], [1, 1, 1, 1, 1], 0, math.nan),
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], 0, math.nan),
        # Both fall and one recovers: resolved when it recovers, not when the first fell.
        ([1, 0, 0, 0, 0], [1, 0, 0, 1, 1], 1, 2.5),
        # A glitch that goes back is no resolution.
        ([1, 0, 1, 1, 1], [1, 1, 1, 1, 0], -1, 3.5),
        ([0, 0, 0, 0, 0], [1, 1, 1, 1, 1], 1, 0.0),
    ],
)
def test_reads_and_resolve_times(q, qb, read, resolve_time_s):
    decision = judge(q, qb)
    assert decision.read == read
    assert decision.resolve_time_s == pytest.approx(resolve_time_s, nan_ok=True)
    assert decision.margin_v == qb[-1] - q[-1]


def test_what_resolves_after_the_strobe_reads_0():
    assert judge([1, 1, 0, 0, 0], [1] * 5, window_s=1.2).read == 0
    assert judge([1, 1, 0, 0, 0], [1] * 5, window_s=1.6).read == 1


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_swapping_the_outputs_swaps_the_sign(values):
    one, other = judge(values, [0.6] * 5), judge([0.6] * 5, values)
    assert one.read == -other.read
    assert one.margin_v == -other.margin_v
    assert one.resolve_time_s == pytest.approx(other.resolve_time_s, nan_ok=True)


def test_charge_between_points_of_a_ramp():
    time = np.array([0.0, 1.0, 3.0])
    # i(t) = t: integral from 0.5 to 2 is (4 - 0.25) / 2.
    assert charge_c(time, time, start_s=0.5, stop_s=2.0) == pytest.approx(1.875)
