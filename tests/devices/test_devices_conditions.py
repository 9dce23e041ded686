"""Programming conditions, read characteristics, retention."""

import math

import numpy as np
import pytest
from scipy import stats

from rramsim.devices import (
    Empirical,
    LinearRead,
    LogNormal,
    Retention,
    SinhRead,
    Skewed,
    filament_drift_m,
    programmed_resistances,
)
from rramsim.devices.filament import SKY130_RERAM
from rramsim.exceptions import InputError


def test_measured_points_come_back():
    for word_line_v, median, sigma in (
        (2.3, 22.6e3, 0.49),
        (2.5, 7.15e3, 0.09),
        (2.7, 5.7e3, 0.06),
    ):
        lrs = programmed_resistances(set_word_line_v=word_line_v, reset_source_line_v=2.2).lrs
        assert isinstance(lrs, LogNormal)
        assert (lrs.median_ohm, lrs.sigma_ln) == (pytest.approx(median), pytest.approx(sigma))


def test_between_points_the_lrs_falls_and_the_hrs_rises():
    models = [
        programmed_resistances(set_word_line_v=w, reset_source_line_v=s)
        for w, s in ((2.45, 1.85), (2.55, 1.95), (2.65, 2.15))
    ]
    assert models[0].lrs.median_ohm > models[1].lrs.median_ohm > models[2].lrs.median_ohm
    assert models[0].hrs.median_ohm < models[1].hrs.median_ohm < models[2].hrs.median_ohm


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"set_word_line_v": 2.2}, "set_word_line_v = 2.2: measured from 2.3 to 2.7 V"),
        ({"reset_source_line_v": 2.5}, "reset_source_line_v = 2.5: measured from 1.6 to 2.2 V"),
        ({"pulse_s": 1e-6}, "pulse_s = 1e-06: measured with 1e-07 s only"),
        ({"set_word_line_v": math.nan}, "set_word_line_v = nan"),
    ],
)
def test_outside_the_measured_range_is_refused(changed, said):
    values = {"set_word_line_v": 2.5, "reset_source_line_v": 2.0, **changed}
    with pytest.raises(InputError, match=said):
        programmed_resistances(**values)


def test_sinh_read_agrees_with_the_filament_model():
    filament = SKY130_RERAM.filament_m([10e3, 350e3, 3e6])
    measured = SKY130_RERAM.resistance_ohm(filament)
    volts = np.array([[0.05], [0.6], [1.2]])
    read = SinhRead()
    assert read.current_a(measured, volts) == pytest.approx(SKY130_RERAM.current(filament, volts))
    assert read.seen_ohm(measured, volts) == pytest.approx(
        volts / SKY130_RERAM.current(filament, volts)
    )
    # docs: at 1.2 V the resistance is about 0.35 of that at 0.1 V.
    assert read.seen_ohm(1.0, 1.2) == pytest.approx(0.347, abs=0.002)
    assert read.seen_ohm(1e4, 0.0) == pytest.approx(1e4 * 1.009, rel=1e-3)
    assert LinearRead().seen_ohm(1e4, 1.2) == 1e4
    assert LinearRead().current_a(1e4, 1.2) == pytest.approx(1.2e-4)


def test_relaxation_widens_with_the_root_of_decades_and_faster_when_hot():
    retention = Retention(relaxation_ln=0.1)
    ohm = np.full(40_000, 1e4)
    spread = [
        np.log(retention.aged(ohm, age_s=t, rng=np.random.default_rng(1))).std()
        for t in (9.0, 9999.0)
    ]
    assert spread == pytest.approx([0.1, 0.2], rel=0.03)
    assert retention.decades(age_s=9.0) == pytest.approx(1.0)
    # Arrhenius: 1.5 eV between 27 and 85 degrees is a factor exp(1.5 eV / k (1/300 - 1/358)).
    factor = 10 ** (retention.decades(age_s=1e6, temperature_c=85) - 6)
    assert factor == pytest.approx(
        math.exp(1.5 / 8.617333e-5 * (1 / 300.15 - 1 / 358.15)), rel=0.01
    )
    assert (retention.aged(ohm, age_s=0.0, rng=np.random.default_rng(1)) == ohm).all()


@pytest.mark.parametrize(
    "marginal",
    [
        LogNormal(median_ohm=1e4, sigma_ln=0.2),
        Skewed(median_ohm=5e3, sigma_ln=0.12, skew_g=0.9),
        Empirical.of(
            Skewed(median_ohm=5e3, sigma_ln=0.12, skew_g=0.9).quantile(
                stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
            )
        ),
    ],
    ids=lambda m: type(m).__name__,
)
def test_an_aged_distribution_is_that_of_aged_devices(marginal):
    retention, rng = Retention(relaxation_ln=0.1, drift_ln=0.05), np.random.default_rng(3)
    aged = retention.aged_marginal(marginal, age_s=9999.0)
    drawn = retention.aged(marginal.draw(40_000, rng), age_s=9999.0, rng=rng)
    distance = stats.kstest(aged.score(drawn), "norm").statistic
    assert distance < 1.95 / math.sqrt(40_000)  # p = 0.001
    # No age, no change.
    same = retention.aged_marginal(marginal, age_s=0.0)
    assert same.quantile([-2.0, 2.0]) == pytest.approx(marginal.quantile([-2.0, 2.0]))


def test_the_filament_outlives_ten_years_at_room_temperature_but_not_hot():
    lost_nm = [
        (4.5e-9 - filament_drift_m(4.5e-9, age_s=3.1e8, temperature_c=t)) * 1e9
        for t in (27, 125, 150)
    ]
    assert 0 <= lost_nm[0] < 1e-5
    assert lost_nm[0] < lost_nm[1] < lost_nm[2]
    # By hand at 125 degrees: 150 m/s exp(-1.5/kT) (1 - exp(-0.001/kT)) 3.1e8 s.
    kt = 8.617333e-5 * 398.15
    by_hand = 150 * math.exp(-1.5 / kt) * (1 - math.exp(-0.001 / kt)) * 3.1e8 * 1e9
    assert lost_nm[1] == pytest.approx(by_hand, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"age_s": 1e10}, "age_s"),
        ({"age_s": -1}, "age_s"),
        ({"age_s": 1, "temperature_c": 200}, "temperature_c"),
    ],
)
def test_ageing_outside_its_range_is_refused(values, said):
    with pytest.raises(InputError, match=said):
        Retention().aged(np.ones(1), rng=np.random.default_rng(1), **values)
