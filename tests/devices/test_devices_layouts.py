"""Tables of measured resistances as instruments and people write them: all give the same fit."""

import gzip
import re

import numpy as np
import pytest

from rramsim.devices import fit_devices, read_measurements
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment

DEVICES, CYCLES = 6, 8
ROWS = [
    (device, cycle, 9800 + 61 * cycle + 137 * device, 500e3 + 9e3 * cycle + 40e3 * device)
    for device in range(DEVICES)
    for cycle in range(CYCLES)
]
LONG = [row for d, c, low, high in ROWS for row in ((d, c, "LRS", low), (d, c, "HRS", high))]
PLAIN = "device,cycle,state,resistance_ohm\n" + "".join(f"{d},{c},{s},{r}\n" for d, c, s, r in LONG)


def long(head, line, separator=","):
    rows = [separator.join(head)]
    rows += [separator.join(str(part) for part in line(d, c, s, r)) for d, c, s, r in LONG]
    return "\n".join(rows) + "\n"


def wide(head, line):
    return "\n".join([f"device,cycle,{head}", *(f"{d},{c},{line(r, h)}" for d, c, r, h in ROWS)])


NAMES = ("device", "cycle", "state")


def one(name, text, separator=","):
    """A plain table whose value column is named and written otherwise."""
    return long((*NAMES, name), lambda d, c, s, r: (d, c, s, text(r)), separator)


def two(names, volt, current):
    return long((*NAMES, *names), lambda d, c, s, r: (d, c, s, volt, current(r)))


def comma(text):
    return text.replace(".", ",")


STATES = {"LRS": "ON", "HRS": "OFF"}
SWITCHES = {"LRS": "set", "HRS": "reset"}
# Each: the text, and the one word that it takes.
LAYOUTS = {
    "semicolon_comma": (
        one("resistance_ohm", lambda r: comma(f"{r:.1f}"), ";"),
        {},
    ),
    "semicolon_point": (long((*NAMES, "resistance_ohm"), lambda *row: row, ";"), {}),
    "semicolon_comma_exponent": (
        one("resistance_ohm", lambda r: comma(f"{r:.6e}"), ";"),
        {},
    ),
    "tab": (long((*NAMES, "resistance_ohm"), lambda *row: row, "\t"), {}),
    "tab_comma": (one("resistance_ohm", lambda r: comma(f"{r:.2f}"), "\t"), {}),
    "tab_other_order": (
        long(("resistance_ohm", "state", "cycle", "device"), lambda *row: row[::-1], "\t"),
        {},
    ),
    "conductance": (one("conductance_s", lambda r: f"{1 / r:.9e}"), {}),
    "conductance_us": (
        one("G (uS)", lambda r: f"{1e6 / r:.9e}"),
        {"conductance_s": "G (uS)"},
    ),
    "conductance_unit_row": (
        one("conductance_s", lambda r: f"{1e3 / r:.9e}").replace(
            "conductance_s\n", "conductance_s\n,,,mS\n"
        ),
        {},
    ),
    "current": (
        two(("voltage_v", "current_a"), 0.1, lambda r: f"{0.1 / r:.9e}"),
        {},
    ),
    "current_negative": (
        two(("voltage_v", "current_a"), -0.2, lambda r: f"{-0.2 / r:.9e}"),
        {},
    ),
    "current_ua_mv": (
        two(("V [mV]", "I [uA]"), 100, lambda r: f"{1e5 / r:.9e}"),
        {"voltage_v": "V [mV]", "current_a": "I [uA]"},
    ),
    "current_names": (
        two(("Read voltage", "Read current"), 0.1, lambda r: f"{0.1 / r:.9e}"),
        {"voltage_v": "Read voltage", "current_a": "Read current"},
    ),
    "current_instrument": (
        two(("SMU1.V", "SMU1.I"), 0.1, lambda r: f"{0.1 / r:.9e}"),
        {"voltage_v": "SMU1.V", "current_a": "SMU1.I"},
    ),
    "current_unit_in_name": (
        two(("v_read", "i_ua"), 0.1, lambda r: f"{1e5 / r:.9e}"),
        {"voltage_v": "v_read", "current_a": "i_ua [uA]"},
    ),
    "current_german": (
        long(
            ("Zelle", "Zyklus", "Zustand", "Spannung / mV", "Strom / uA"),
            lambda d, c, s, r: (d, c, s, 100, comma(f"{1e5 / r:.9e}")),
            ";",
        ),
        {
            "device": "Zelle",
            "cycle": "Zyklus",
            "state": "Zustand",
            "voltage_v": "Spannung / mV",
            "current_a": "Strom / uA",
        },
    ),
    "conductance_unit_in_name": (
        one("g_us", lambda r: f"{1e6 / r:.9e}"),
        {"conductance_s": "g_us [uS]"},
    ),
    "utf_16_no_mark": (PLAIN, {}),
    "pipes": (PLAIN.replace(",", " | "), {}),
    "blanks": (PLAIN.replace(",", "   "), {}),
    "on_off": (long((*NAMES, "resistance_ohm"), lambda d, c, s, r: (d, c, STATES[s], r)), STATES),
    "one_zero": (
        long((*NAMES, "resistance_ohm"), lambda d, c, s, r: (d, c, int(s == "LRS"), r)),
        {"LRS": "1", "HRS": "0"},
    ),
    "set_reset": (
        long((*NAMES, "resistance_ohm"), lambda d, c, s, r: (d, c, SWITCHES[s], r)),
        SWITCHES,
    ),
    "other_names_kohm": (
        long(("Device", "Cycle", "State", "R (kOhm)"), lambda d, c, s, r: (d, c, s, r / 1e3)),
        {"resistance_ohm": "R (kOhm)"},
    ),
    "other_names_all": (
        long(("DUT", "Pulse no", "Level", "R/Mohm"), lambda d, c, s, r: (d, c, s, r / 1e6)),
        {"device": "DUT", "cycle": "Pulse no", "state": "Level", "resistance_ohm": "R/Mohm"},
    ),
    "kohm_without_a_word": (
        one("resistance_ohm", lambda r: r / 1e3),
        {"resistance_ohm": "resistance_ohm [kOhm]"},
    ),
    "unit_row": (PLAIN.replace("ohm\n", "ohm\n-,-,-,ohm\n", 1), {}),
    "unit_row_kohm": (
        one("resistance_ohm", lambda r: r / 1e3).replace(
            "resistance_ohm\n", "resistance_ohm\n,,,[k\u03a9]\n"
        ),
        {},
    ),
    "unit_row_current": (
        two(("voltage_v", "current_a"), 0.1, lambda r: f"{1e5 / r:.9e}").replace(
            "current_a\n", "current_a\n#,#,-,V,uA\n"
        ),
        {},
    ),
    "wide": (wide("LRS,HRS", lambda low, high: f"{low},{high}"), {}),
    "wide_ohm": (wide("HRS_ohm,LRS_ohm", lambda low, high: f"{high},{low}"), {}),
    "wide_units": (
        wide("R_on (kOhm),R_off (MOhm)", lambda low, high: f"{low / 1e3},{high / 1e6}"),
        {"LRS": "R_on (kOhm)", "HRS": "R_off (MOhm)"},
    ),
    "blank_lines": ("# who\n# what\n" + PLAIN.replace("0,3,LRS", "\n0,3,LRS") + "\n\n", {}),
    "capitals": (PLAIN.replace("device,cycle,state,res", "Device, CYCLE ,State,Res"), {}),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "plain.csv"
    path.write_text(PLAIN)
    return read_measurements(path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_plain_tables_values(tmp_path, plain, name):
    text, mapping = LAYOUTS[name]
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-16-le" if name == "utf_16_no_mark" else "utf-8")
    if mapping:
        # The refusal spells the word out, ready to paste.
        with pytest.raises(InputError) as refused:
            read_measurements(path)
        message = str(refused.value)
        assert "\n" not in message
        proposed = dict(re.findall(r'--map (\w+)="([^"]*)"', message))
        assert proposed == mapping
    found = read_measurements(path, mapping=mapping)
    for state in ("lrs", "hrs"):
        ours, theirs = getattr(found, state), getattr(plain, state)
        np.testing.assert_allclose(ours.resistance_ohm, theirs.resistance_ohm, rtol=2e-9)
        assert (ours.cycle == theirs.cycle).all() and (ours.device == theirs.device).all()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_the_encodings_of_instruments_are_read(tmp_path, plain, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes(("# operator M\u00fcller\r\n" + PLAIN.replace("\n", "\r\n")).encode(encoding))
    found = read_measurements(path)
    np.testing.assert_array_equal(found.hrs.resistance_ohm, plain.hrs.resistance_ohm)


def test_an_experiment_takes_the_same_word_and_gives_the_same_fit(tmp_path, plain):
    text, _ = LAYOUTS["other_names_kohm"]
    (tmp_path / "rows.csv").write_text(text)
    (tmp_path / "own.toml").write_text(
        '[device]\nmeasurements = "rows.csv"\nmap = { resistance_ohm = "R (kOhm)" }\n'
    )
    found = load_experiment(tmp_path / "own.toml").make_resistances()
    assert repr(found) == repr(fit_devices(plain).statistics("best").resistances)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda text: text.replace("1,0,HRS,540000.0", "1,0,HRS,9.91e37"), "line 19: 9.91e+37"),
        (lambda text: text.replace("1,0,HRS,540000.0", "1,0,HRS,-9.9E37"), "line 19: -9.9e+37"),
        (lambda text: text.replace("1,0,HRS,540000.0", "1,0,HRS,9.9E+37"), "line 19: 9.9e+37"),
    ],
)
def test_an_overflow_is_told_by_file_line_and_value(tmp_path, change, value):
    path = tmp_path / "rows.csv"
    path.write_text(change(PLAIN))
    with pytest.raises(InputError, match=re.escape(value)) as refused:
        read_measurements(path)
    assert str(path) in str(refused.value) and "--drop" in str(refused.value)
    measured = read_measurements(path, drop=True)
    assert len(measured.hrs.cycle) == len(ROWS) - 1
    assert value in measured.left_out[0]


def test_an_overflow_of_a_current_or_in_a_wide_table_is_one_too(tmp_path):
    path = tmp_path / "rows.csv"
    for name, old in (("current", "0,0,HRS,0.1,2.000000000e-07"), ("wide", "0,0,9800,500000.0")):
        text = LAYOUTS[name][0]
        assert old in text
        path.write_text(text.replace(old, old.rpartition(",")[0] + ",9.91E+37"))
        with pytest.raises(InputError, match=r"overflow .*9.91e\+37"):
            read_measurements(path)


@pytest.mark.parametrize(
    ("text", "mapping", "said"),
    [
        (PLAIN, {"resistance_ohm": "Widerstand"}, "no such column; it has device, cycle"),
        (PLAIN, {"ohm": "resistance_ohm"}, "must be one of device, cycle, state"),
        (PLAIN, {"resistance_ohm": "resistance_ohm [kV]"}, "'kV' is no unit in ohm"),
        (PLAIN, {"LRS": "ON", "HRS": "OFF"}, "named LRS and HRS, not ON and OFF"),
        (
            LAYOUTS["semicolon_point"][0].replace(";9800\n", ";9,800\n"),
            {},
            "the comma has two readings",
        ),
        (PLAIN.replace("device", "where"), {}, '--map device="its column"'),
    ],
)
def test_a_wrong_word_is_refused_in_one_line(tmp_path, text, mapping, said):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        read_measurements(path, mapping=mapping)
    assert "\n" not in str(refused.value)


def test_a_small_file_that_unpacks_to_a_gigabyte_is_refused_soon(tmp_path, ends_soon):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(1024):
            file.write(bytes(2**20))
    assert path.stat().st_size < 16e6
    with pytest.raises(InputError, match="more than 256 MiB when unpacked"):
        read_measurements(path)
