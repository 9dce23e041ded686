"""Agreement, its interval, and what counts as falling short."""

from dataclasses import replace

import numpy as np
import pytest

from rramsim.circuits import SenseConditions
from rramsim.engines import Limits, SenseOutcome, agreement

CONDITIONS = SenseConditions(vdd_v=1.2)


def outcome(count, **changes):
    values = {
        "read": np.ones(count, dtype=np.int8),
        "resolve_time_s": np.full(count, 10e-9),
        "margin_v": np.full(count, 1.1),
        "energy_j": np.full(count, 4e-13),
        "clock_energy_j": np.full(count, 1e-14),
        "word_line_energy_j": np.full(count, 1e-14),
        "converged": np.ones(count, dtype=bool),
    }
    return SenseOutcome(**(values | changes))


def changed(base, index, **changes):
    arrays = {name: getattr(base, name).copy() for name in changes}
    for name, value in changes.items():
        arrays[name][index] = value
    return replace(base, **arrays)


def test_equal_outcomes_agree_within_the_exact_interval():
    found = agreement([(CONDITIONS, outcome(100), outcome(100))])
    assert found.fault() is None and found.same == 100
    # Clopper-Pearson for 100 of 100: (0.025)^(1/100).
    assert found.low == pytest.approx(0.025 ** (1 / 100)) and found.high == 1.0
    assert "100 of 100 reads agree" in found.text


def test_an_opposite_read_is_never_tolerated():
    ours = changed(outcome(1000), 3, read=-1)
    found = agreement([(CONDITIONS, ours, outcome(1000))])
    assert found.opposite == 1 and "opposite sign" in found.fault()


def test_a_difference_on_the_edge_of_the_window_is_tolerated_until_there_are_many():
    reference = changed(outcome(1000), slice(0, 2), resolve_time_s=49e-9)
    ours = changed(reference, slice(0, 2), read=0, resolve_time_s=np.nan)
    found = agreement([(CONDITIONS, ours, reference)])
    assert (found.on_edge, found.off_edge) == (2, 0) and found.fault() is None
    reference = changed(outcome(1000), slice(0, 40), resolve_time_s=49e-9)
    ours = changed(reference, slice(0, 40), read=0, resolve_time_s=np.nan)
    assert "only 960 of 1000" in agreement([(CONDITIONS, ours, reference)]).fault()


def test_a_difference_away_from_the_edge_is_a_fault():
    ours = changed(outcome(500), 7, read=0, resolve_time_s=np.nan)
    assert "away from the edge" in agreement([(CONDITIONS, ours, outcome(500))]).fault()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolve_time_s": 10.2e-9}, "resolve time, median"),
        ({"energy_j": 4.2e-13}, "energy"),
    ],
)
def test_times_and_energies_beyond_their_limits_are_faults(changes, message):
    ours = changed(outcome(50), slice(None), **changes)
    found = agreement([(CONDITIONS, ours, outcome(50))])
    assert message in found.fault()
    assert found.fault(Limits(time_median=0.1, time_p95=0.1, energy_p95=0.1)) is None


def test_nothing_converged_is_a_fault_and_json_holds_no_nan():
    ours = outcome(4, converged=np.zeros(4, dtype=bool))
    found = agreement([(CONDITIONS, ours, outcome(4))])
    assert "no sample converged" in found.fault()
    assert found.as_dict()["time_median"] is None
