"""The front and the inverse question on analytic trade-offs whose answers are known."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rramsim.costs import (
    AccuracyLoss,
    SupplyTarget,
    accuracy_loss,
    front_places,
    lowest_supply,
    pareto_front,
)
from rramsim.exceptions import InputError
from rramsim.stages.tradeoff import _POINT, wanted_draws

SUPPLIES = (0.9, 1.0, 1.1, 1.2, 1.3)


def analytic(
    *, supplies=SUPPLIES, windows=(50e-9,), temperatures=(27.0,), corners=("tt",), late=0.0
):
    """A loss of 10 ** (-10 (VDD - 0.9) - 1) at 50 ns and 27 degrees: a tenth for each 0.1 V.

    100 ns of window stand for 0.1 V, 58 degrees more for -0.1 V; `late` is lost at 1.3 V beside it.
    """
    rows = []
    for vdd, window, temperature, corner in itertools.product(
        supplies, windows, temperatures, corners
    ):
        at = vdd + (window - 50e-9) * 1e6 * 2 - (temperature - 27) / 580 - 0.1 * (corner == "ss")
        loss = 10 ** (-10 * (at - 0.9) - 1) + (late if vdd > 1.25 else 0.0)
        rows.append(
            {
                "network": "net", "trained_with_errors": "none", "vdd_v": vdd, "window_s": window,
                "temperature_c": temperature, "corner": corner, "accuracy": 0.7 - loss,
                "loss": loss, "loss_low": loss, "loss_high": loss, "loss_deviation": 0.0,
                "loss_image_error": 0.0, "draws": 4,
                "energy_per_use_j": vdd**2 * (1 + window * 1e6),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("max_loss", "vdd"), [(0.2, 0.9), (0.1000001, 0.9), (0.05, 1.0), (0.003, 1.1), (2e-4, 1.2)]
)
def test_the_lowest_supply_of_an_exponential_loss(max_loss, vdd):
    answer = lowest_supply(analytic(), SupplyTarget(max_loss=max_loss))
    assert answer.met and answer.best.vdd_v == vdd
    assert answer.best.supplies_v == tuple(v for v in SUPPLIES if v >= vdd)


def test_a_hot_slow_chip_needs_more_and_a_longer_window_less():
    table = analytic(windows=(50e-9, 100e-9), temperatures=(27.0, 85.0), corners=("tt", "ss"))

    def best(**asked):
        found = lowest_supply(table, SupplyTarget(max_loss=0.003, **asked)).best
        return found.vdd_v, found.window_s, found.temperature_c, found.corner

    # 1.1 V at 50 ns; the longer window is worth 0.1 V, heat and the slow corner cost 0.1 V each.
    assert best(temperature_c=27.0, corner="tt") == (1.0, 100e-9, 27.0, "tt")
    assert best(temperature_c=85.0, corner="tt") == (1.1, 100e-9, 85.0, "tt")
    assert best() == (1.2, 100e-9, 85.0, "ss"), (
        "without a choice: the worst of all that was simulated"
    )


def test_of_two_windows_that_meet_it_the_cheaper_one():
    table = analytic(windows=(50e-9, 100e-9))
    assert lowest_supply(table, SupplyTarget(max_loss=0.2)).best.window_s == 50e-9


def test_a_network_that_fails_again_above_says_where_it_works():
    answer = lowest_supply(analytic(late=0.1), SupplyTarget(max_loss=0.003))
    assert answer.best.vdd_v == 1.1 and answer.best.supplies_v == (1.1, 1.2)


def test_none_that_meets_it_names_the_nearest():
    answer = lowest_supply(analytic(late=1e-3), SupplyTarget(max_loss=1e-6))
    assert not answer.met and answer.best.vdd_v == 1.2
    assert answer.best.loss == pytest.approx(1e-4)


def test_the_bound_counts_not_the_mean():
    table = analytic()
    table["loss_deviation"], table["draws"] = 0.002, 4
    # Student: 3.182 * 0.002 / 2 = 0.0032 beside a mean of 0.001 at 1.1 V and 0.0001 at 1.2 V.
    assert lowest_supply(table, SupplyTarget(max_loss=0.0033)).best.vdd_v == 1.2
    assert lowest_supply(table, SupplyTarget(max_loss=0.0043)).best.vdd_v == 1.1
    # 99 % of chips: k = 7.042 for four draws (the tables' value), so 0.0141 more.
    chips = lowest_supply(table, SupplyTarget(max_loss=1.0, yield_share=0.99)).best
    assert chips.bound - chips.loss == pytest.approx(7.042 * 0.002, rel=1e-3)


def test_the_answer_is_on_the_front():
    table = analytic()
    on_front = pareto_front(table.energy_per_use_j.to_numpy(), table.accuracy.to_numpy())
    for max_loss in (0.2, 0.05, 0.003, 2e-4):
        best = lowest_supply(table, SupplyTarget(max_loss=max_loss)).best
        assert best.vdd_v in set(table.vdd_v[on_front])
        cheaper = table[on_front & (table.vdd_v < best.vdd_v)]
        assert (cheaper.loss_high > max_loss).all()


@pytest.mark.parametrize(
    ("table", "asked", "says"),
    [
        (analytic(supplies=(1.2,)), {}, r"one supply only was simulated \(1.2 V\)"),
        (analytic(), {"temperature_c": 85.0}, "temperature = 85: the trade-off has 27 °C"),
        (analytic(), {"corner": "ff"}, "corner = 'ff': the trade-off has tt"),
        (analytic(), {"network": "vgg"}, "network = 'vgg': the trade-off has net"),
        (analytic(), {"max_loss": -1.0}, "max loss = -100 points"),
        (analytic(), {"max_loss": float("nan")}, "max loss = nan points"),
        (analytic(), {"yield_share": 1.0}, "yield = 1: must be 0.5 or above"),
    ],
)
def test_a_question_without_an_answer(table, asked, says):
    with pytest.raises(InputError, match=says):
        lowest_supply(table, SupplyTarget(**{"max_loss": 0.01, **asked}))


def test_front_of_a_circle_and_of_one_point():
    angle = np.linspace(0, np.pi, 21)
    cost, value = -np.cos(angle), np.sin(angle)
    # The upper half circle rises to its top and then falls: only the rising part is worth its cost.
    assert pareto_front(cost, value).tolist() == [True] * 11 + [False] * 10
    assert pareto_front(cost[:1], value[:1]).tolist() == [True]
    with pytest.raises(InputError, match="finite"):
        pareto_front(np.array([np.nan]), np.array([1.0]))


def test_a_design_behind_by_less_than_its_intervals_is_not_written_off():
    cost, value = np.array([1.0, 1.1, 2.0]), np.array([0.7, 0.69, 0.5])
    places = front_places(
        cost=cost, cost_low=cost - 0.01, cost_high=cost + 0.01,
        value=value, value_low=value - 0.02, value_high=value + 0.02,
    )  # fmt: skip
    assert places == ["front", "within error", "behind"]


def test_the_interval_of_a_loss_covers_the_truth_and_is_paired():
    # Each chip turns each right image wrong with its own probability around 2 %.
    rng = np.random.default_rng(5)
    covered = kept = 0
    for _ in range(2000):
        clean = rng.random(1000) < 0.6
        chips = np.clip(rng.normal(0.02, 0.005, 4), 0, 1)
        loss = accuracy_loss(clean, clean & (rng.random((4, 1000)) >= chips[:, None]))
        covered += loss.low <= 0.6 * 0.02 <= loss.high
        kept += stats.norm(0.012, 0.003).cdf(loss.high_for_share(0.9)) >= 0.9
    assert 0.94 < covered / 2000 < 0.96
    assert kept / 2000 > 0.94
    assert loss.half_width() < 0.02, "unpaired it would be 0.03"


def test_the_images_part_is_without_what_an_image_and_a_draw_do_together():
    rng = np.random.default_rng(6)
    clean = np.ones(20_000, bool)
    by_chance = accuracy_loss(clean, rng.random((4, 20_000)) > 0.05)
    always = accuracy_loss(clean, np.array([rng.random(20_000) > 0.05] * 4))
    alone = np.sqrt(0.05 * 0.95 / 20_000)
    assert always.image_error == pytest.approx(alone, rel=0.05) and always.deviation == 0
    assert by_chance.image_error < 0.2 * alone
    assert by_chance.deviation == pytest.approx(alone, rel=0.6), "it is between the draws"


def test_one_draw_says_nothing_about_chips():
    loss = AccuracyLoss(value=0.0, deviation=float("nan"), image_error=0.001, draws=1)
    assert loss.high == pytest.approx(0.00196, rel=1e-3) and loss.high_for_share(0.9) == np.inf


def test_a_design_between_two_bounds_is_undecided():
    rows = []
    for name, loss, deviation in (
        ("meets", 0.001, 0.0005), ("fails", 0.02, 0.001), ("open", 0.0025, 0.002)
    ):  # fmt: skip
        for vdd_v in (1.1, 1.2):
            rows.append(
                {
                    "network": name,
                    "trained_with_errors": "none",
                    "vdd_v": vdd_v,
                    "window_s": 50e-9,
                    "temperature_c": 85.0,
                    "corner": "tt",
                    "loss": loss,
                    "loss_low": loss,
                    "loss_high": loss,
                    "loss_deviation": deviation,
                    "loss_image_error": 1e-4,
                    "draws": 4,
                    "accuracy": 0.5,
                    "energy_per_use_j": 1.0,
                }
            )
    table = pd.DataFrame(rows)
    answer = lowest_supply(table, SupplyTarget(max_loss=0.003))
    assert [design.network for design in answer.undecided] == ["open"]
    assert {design.network: (met, design.fails) for met, design in answer.networks} == {
        "meets": (True, False), "fails": (False, True), "open": (False, False)
    }  # fmt: skip
    # Several looks ask for more each time.
    again = lowest_supply(table, SupplyTarget(max_loss=0.003, looks=5))
    assert again.undecided[0].bound > answer.undecided[0].bound
    mine = answer.undecided[0].rows(table, SupplyTarget(max_loss=0.003, temperature_c=85.0))
    assert mine.sum() == 1
    assert not answer.on_these_images[0][0]


def test_where_images_leave_too_much_open_it_is_decided_on_these_images():
    table = analytic(supplies=(1.1, 1.2)).assign(loss_image_error=0.01, loss_deviation=1e-4)
    target = SupplyTarget(max_loss=0.003)
    answer = lowest_supply(table, target)
    (design,) = answer.undecided
    assert not design.is_decided_by_draws(target)
    ((met, best),) = answer.on_these_images
    assert met and best.vdd_v == 1.1 and best.bound == pytest.approx(0.001 + 1.59e-4, rel=0.01)
    (failing,) = lowest_supply(table, SupplyTarget(max_loss=1e-5)).on_these_images
    assert not failing[0] and not failing[1].fails
    # Draws are added where they can decide, nearest first.
    draws = {tuple(row): 4 for row in table[_POINT].to_numpy()}
    assert not wanted_draws(table, target, draws, 8)
    wide = table.assign(loss_deviation=0.01)
    assert wanted_draws(wide, target, draws, 24) == dict.fromkeys(draws, 12)
    for left, many in ((23, [12, 8]), (8, [8]), (7, [4]), (3, [])):
        assert list(wanted_draws(wide, target, draws, left).values()) == many
    assert next(iter(wanted_draws(wide, target, draws, 7)))[2] == 1.2


@pytest.mark.parametrize(("halves", "times"), [(1.1, 1), (1.5, 2), (1.8, 3), (math.inf, 3)])
def test_draws_are_added_as_the_interval_needs(halves, times):
    """An interval of `halves` gaps to the target takes their square of draws, and a bit."""
    target = SupplyTarget(max_loss=0.003)
    (_, design), *_ = lowest_supply(analytic(supplies=(1.1, 1.2)), target).networks
    gap = target.max_loss - design.loss
    assert replace(design, bound=design.loss + halves * gap).times_more(target) == times


def test_no_image_that_changed_is_not_a_certainty():
    same = np.ones(500, bool)
    loss = accuracy_loss(same, np.array([same] * 4))
    assert loss.value == 0 and 0 < loss.high < 0.002
