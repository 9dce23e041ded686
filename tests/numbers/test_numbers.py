"""Numbers with suffixes and units: what is taken, and what is refused with its readings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.numbers import quantity, spice_number, unit_of


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_a_number_reads_back_as_itself(value):
    assert spice_number(repr(value)) == value
    assert quantity(repr(value), unit="V") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5u", 5e-7), ("2MEG", 2e6), ("10k", 1e4), ("50n", 5e-8), ("3fF", 3e-15),
        ("1.2V", 1.2), ("10000a", 1e-14), ("1mil", 25.4e-6), ("2MIL", 50.8e-6), ("1M", 1e-3),
        ("1e-8\u00b5", 1e-14), ("1e-8\u03bc", 1e-14), ("3\u00b5F", 3e-6), ("-.5T", -5e11),
        ("1e-8F", 1e-23), ("10k\u03a9", 1e4),
    ],
)  # fmt: skip
def test_the_suffixes_are_those_of_spice(text, value):
    assert spice_number(text) == value


@pytest.mark.parametrize(
    "text", ["", "abc", "1..2", "nan", "inf", "--1", "1 2", "1_0", "1e999", "\u0661"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match=r"not a SPICE number|too large"):
        spice_number(text)
    with pytest.raises(ValueError, match=r"must be a number|too large|no unit"):
        quantity(text, unit="V")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("age_s", "10y", 3.15576e8), ("age_s", "1h", 3600), ("age_s", "10min", 600),
        ("age_s", "2 days", 172800), ("window_s", "50ns", 5e-8), ("window_s", "50 ns", 5e-8),
        ("window_s", "1m", 1e-3), ("window_s", "3\u00b5s", 3e-6),
        ("vdd_v", "1.2V", 1.2), ("vdd_v", "950mV", 0.95), ("vdd_v", "1.2 volt", 1.2),
        ("lrs_median_ohm", "10kohm", 1e4), ("lrs_median_ohm", "10k\u03a9", 1e4),
        ("lrs_median_ohm", "10KOHM", 1e4), ("r_row_ohm", "2\u2126", 2.0),
        ("verify_hrs_min_ohm", "1Meg", 1e6), ("verify_hrs_min_ohm", "1MEGohm", 1e6),
        ("c_out_f", "10f", 1e-14), ("c_out_f", "10fF", 1e-14), ("c_out_f", "10000aF", 1e-14),
        ("temperature_c", "-40", -40), ("temperature_c", "85\u00b0C", 85),
        ("threshold", "500m", 0.5), ("width_m", "1um", 1e-6), ("width_m", "1mil", 25.4e-6),
    ],
)  # fmt: skip
def test_a_unit_that_fits_the_key_is_taken(key, text, value):
    assert quantity(text, unit=unit_of(key)) == value


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("verify_hrs_min_ohm", "1M", ("1Meg or 1e+06", "1m for the other")),
        ("hrs_median_ohm", "1.5 M\u03a9", ("1.5Meg or 1.5e+06", "1.5m")),
        ("age_s", "10M", ("10Meg", "10m")),
        ("temperature_c", "85F", ("degrees Celsius", "29.4444")),
        ("temperature_c", "300K", ("degrees Celsius", "26.85")),
        ("age_temperature_c", "85m", ("degrees Celsius",)),
        ("window_s", "50mV", ("'mV'", "in s", "50ns")),
        ("vdd_v", "1.2s", ("'s'", "in V", "1.2V")),
        ("c_out_f", "10F", ("1e-15", "10f")),
        ("vdd_v", "1h", ("'h'", "in V")),
        ("lrs_median_ohm", "10kV", ("'kV'", "in ohm")),
        ("threshold", "0.5V", ("plain number",)),
        ("vdd_v", "1mil", ("'mil'",)),
        ("vdd_v", "1.2A", ("'A'", "in V")),
        ("c_out_f", "1C", ("'C'", "in F")),
    ],
)
def test_a_unit_that_does_not_fit_is_refused_with_what_would(key, text, words):
    with pytest.raises(ValueError, match=r".") as refused:
        quantity(text, unit=unit_of(key))
    for word in words:
        assert word in str(refused.value)


def test_every_quantity_of_the_experiment_file_reads_its_own_unit(tmp_path):
    path = tmp_path / "units.toml"
    path.write_text(
        '[sense]\nvdd_v = ["1.2V", "1100mV"]\nwindow_s = "50ns"\ntemperature_c = "85C"\n'
        '[column]\nc_out_f = "12fF"\n'
        '[device]\nlrs_median_ohm = "11kohm"\nhrs_median_ohm = "1Meg"\nage_s = "10min"\n'
    )
    experiment = load_experiment(path)
    assert experiment.sense.vdd_v == [1.2, 1.1]
    assert experiment.sense.window_s == [50e-9]
    assert experiment.sense.temperature_c == [85.0]
    assert math.isclose(experiment.column.c_out_f, 12e-15)
    assert experiment.device.lrs_median_ohm == 11e3
    assert experiment.device.age_s == 600.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[device]\nhrs_median_ohm = "1M"', ("hrs_median_ohm", "1Meg", "1m")),
        ('[chips]\nverify_hrs_min_ohm = "1M"', ("verify_hrs_min_ohm", "1Meg", "1m")),
        ('[sense]\nwindow_s = "50mV"', ("window_s", "in s")),
        ('[sense]\nvdd_v = "1.2s"', ("vdd_v", "in V")),
        ('[sense]\ntemperature_c = "300K"', ("temperature_c", "26.85")),
        (f"[errors]\nseed = {2**128 - 1}", ("seed", str(2**63 - 1))),
        (f"[test]\nseed = {2**63}", ("seed", str(2**63 - 1))),
    ],
)
def test_an_experiment_names_the_key_and_what_would_be_right(tmp_path, text, words):
    path = tmp_path / "wrong.toml"
    path.write_text(text + "\n")
    with pytest.raises(InputError) as refused:
        load_experiment(path)
    message = str(refused.value)
    assert "\n" not in message
    for word in words:
        assert word in message
