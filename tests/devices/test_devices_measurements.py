import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rramsim.devices import open_hfo2_statistics, read_measurements
from rramsim.exceptions import InputError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "measurements" / "example_made.csv"


def table(devices=6, cycles=20, seed=3):
    history = open_hfo2_statistics().draw_history(devices, cycles, np.random.default_rng(seed))
    return pd.DataFrame(
        {
            "device": np.repeat(np.arange(devices), 2 * cycles),
            "cycle": np.tile(np.repeat(np.arange(cycles), 2), devices),
            "state": np.tile(["LRS", "HRS"], devices * cycles),
            "resistance_ohm": np.stack([history.lrs_ohm, history.hrs_ohm], -1).ravel(),
        }
    )


def write(frame, path):
    frame.to_csv(path, index=False)
    return path


def test_the_example_is_what_its_script_makes():
    spec = importlib.util.spec_from_file_location(
        "make_example", EXAMPLE.parent / "make_example.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert EXAMPLE.read_text() == module.example_csv()
    assert EXAMPLE.read_text().startswith("# MADE, not measured")
    measured = read_measurements(EXAMPLE)
    assert (measured.devices, len(measured.lrs.cycle), len(measured.hrs.cycle)) == (40, 1000, 1000)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_every_format_and_order_gives_the_same(tmp_path, suffix):
    frame = table()
    shuffled = frame.sample(frac=1, random_state=1)
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        shuffled.to_parquet(path)
    else:
        shuffled.to_csv(path, index=False)
    measured = read_measurements(path)
    for state in ("lrs", "hrs"):
        part = frame[frame.state == state.upper()]
        found = getattr(measured, state)
        # Devices are numbered as they appear; within one the cycles rise.
        by_device = {
            tuple(found.resistance_ohm[found.device == d]) for d in np.unique(found.device)
        }
        expected = {tuple(group.resistance_ohm) for _, group in part.groupby("device")}
        assert by_device == expected
        assert (np.diff(found.cycle)[np.diff(found.device) == 0] > 0).all()


def test_gzip_is_known_by_its_content_not_its_name(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(gzip.compress(("# a comment\n" + table().to_csv(index=False)).encode()))
    assert read_measurements(path).devices == 6


def test_devices_may_have_names_and_other_columns_are_ignored(tmp_path):
    frame = table()
    frame["device"] = "chip1:" + frame["device"].astype(str)
    frame["operator"] = "nobody"
    frame["state"] = frame["state"].str.lower()
    assert read_measurements(write(frame, tmp_path / "a.csv")).devices == 6


def spoil(index, **values):
    def change(frame):
        frame = frame.astype({"resistance_ohm": object, "cycle": object, "device": object})
        for name, value in values.items():
            frame.loc[frame.index[index], name] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil(3, resistance_ohm=0), "1 of 240 rows .*1 with a resistance of 0 ohm .*line 5"),
        (spoil(3, resistance_ohm=-5), "1 with a negative resistance .*line 5"),
        (spoil(3, resistance_ohm="inf"), "1 with an infinite resistance .*line 5"),
        (spoil(3, resistance_ohm="open"), "1 without a number for resistance_ohm .*line 5"),
        (spoil(3, resistance_ohm=None), "1 without a number for resistance_ohm .*line 5"),
        (spoil(3, state="MRS"), "1 with a state other than LRS or HRS .*line 5"),
        (spoil(3, state=None), "1 with a state other than LRS or HRS .*line 5"),
        (spoil(3, cycle=1.5), "1 whose cycle is not a whole number .*line 5"),
        (spoil(3, device=None), "1 without a device .*line 5"),
        (lambda f: pd.concat([f, f.iloc[[7, 8]]]), "2 that repeat .*line 242"),
    ],
)
def test_unusable_rows_are_told_and_left_out_on_request(tmp_path, change, said):
    path = write(change(table()), tmp_path / "a.csv")
    with pytest.raises(InputError, match=said) as error:
        read_measurements(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    measured = read_measurements(path, drop=True)
    assert len(measured.left_out) == 1
    assert len(measured.lrs.cycle) + len(measured.hrs.cycle) >= 239


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(columns="cycle"), "lacks the column cycle; it has device, state"),
        (lambda f: f.drop(columns=["cycle", "state"]), "lacks the columns cycle, state"),
        (
            lambda f: f.assign(resistance_ohm=f.resistance_ohm / 1e3),
            r"look like kOhm: --map resistance_ohm=\"resistance_ohm \[kOhm\]\"",
        ),
        (
            lambda f: f.assign(resistance_ohm=f.resistance_ohm / 1e6),
            r"look like MOhm: --map resistance_ohm=\"resistance_ohm \[MOhm\]\"",
        ),
        (
            lambda f: f.assign(resistance_ohm=f.resistance_ohm * 1e6),
            "resistance_ohm must be in another unit",
        ),
        (lambda f: f[f.state == "LRS"], "holds LRS only"),
        (lambda f: f[f.state == "HRS"], "holds HRS only"),
        (lambda f: f.head(10), "5 usable values of the LRS; at least 30"),
        (lambda f: f.head(0), "holds no rows"),
        (
            lambda f: f.assign(state=f.state.map({"LRS": "HRS", "HRS": "LRS"})),
            "are the states swapped",
        ),
        (
            lambda f: f.assign(condition=np.where(f.device < 3, "soft", "hard")),
            "holds the conditions hard, soft; choose one",
        ),
    ],
)
def test_other_faults_are_one_line(tmp_path, change, said):
    path = write(change(table()), tmp_path / "a.csv")
    with pytest.raises(InputError, match=said) as error:
        read_measurements(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_files_that_are_no_tables(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match="cannot read measurements"):
        read_measurements(path)
    path.write_bytes(b"\x1f\x8b broken \x00\xff" if name != "a.csv" else b"\xff\xfe\x00")
    with pytest.raises(InputError) as error:
        read_measurements(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_parquet_without_the_columns(tmp_path):
    path = tmp_path / "a.parquet"
    table().drop(columns="state").to_parquet(path)
    with pytest.raises(InputError, match="lacks the column state"):
        read_measurements(path)


def test_a_condition_is_chosen(tmp_path):
    frame = table(devices=12)
    frame["condition"] = np.where(frame.device < 6, "soft", "hard")
    path = write(frame, tmp_path / "a.csv")
    measured = read_measurements(path, condition="soft")
    assert (measured.condition, measured.devices) == ("soft", 6)
    with pytest.raises(InputError, match="'firm' is not among them"):
        read_measurements(path, condition="firm")
    with pytest.raises(InputError, match="has no column condition"):
        read_measurements(EXAMPLE, condition="soft")
