"""`rramsim devices` as a user runs it, and the experiment that names its model."""

import json
import re
from pathlib import Path

import pytest

from rramsim.counting import SenseTask
from rramsim.devices import LogNormal, Skewed
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment

EXAMPLE = Path(__file__).parents[2] / "measurements" / "example_made.csv"


@pytest.fixture
def experiment(tmp_path):
    def load(device):
        path = tmp_path / "experiment.toml"
        path.write_text(f"[device]\n{device}\n")
        return load_experiment(path)

    return load


def test_fit_prints_writes_and_draws(rramsim, tmp_path):
    model, plot = tmp_path / "model.json", tmp_path / "fit.png"
    code, out, _ = rramsim("devices", "fit", EXAMPLE, "--out", model, "--plot", plot)
    assert code == 0
    assert "LRS skewed (chosen)" in out and "HRS lognormal (chosen)" in out
    assert re.search(r"sigma_cell_ln +[\d.]+ \([\d.]+ to [\d.]+\)", out)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert json.loads(model.read_text())["measurements"]["rows"] == {"lrs": 1000, "hrs": 1000}


def test_fit_as_json_is_one_object(rramsim):
    code, out, err = rramsim("devices", "fit", EXAMPLE, "--json")
    assert code == 0 and err == ""
    record = json.loads(out)
    assert record["chosen"] == {"lrs": "skewed", "hrs": "lognormal"}
    median = record["states"]["hrs"]["lognormal"]["estimates"]["median_ohm"]
    # What the example was made from (measurements/make_example.py).
    assert median["low"] < 630e3 < median["high"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.csv"], "cannot read measurements"),
        ([EXAMPLE, "--plot", "a.bmp"], "--plot a.bmp"),
        ([EXAMPLE, "--out", "a.toml"], "must end in .json"),
        ([EXAMPLE, "--condition", "x"], "has no column condition"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(rramsim, arguments, said):
    code, out, err = rramsim("devices", "fit", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_dropped_rows_are_told(rramsim, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(EXAMPLE.read_text() + "99,0,LRS,-4\n99,1,LRS,0\n")
    code, _, err = rramsim("devices", "fit", path)
    assert code == 2 and "2 of 2,002 rows cannot be used" in err and err.count("\n") == 1
    code, out, err = rramsim("devices", "fit", path, "--drop")
    assert code == 0 and "1,000 LRS" in out
    assert "left out: 1 with a resistance of 0 ohm" in err
    assert "left out: 1 with a negative resistance" in err


def test_program_one_pulse_and_verify(rramsim, tmp_path):
    plot = tmp_path / "set.png"
    code, out, _ = rramsim("devices", "program", "--bl", "2.4", "--json", "--plot", plot)
    assert code == 0 and plot.read_bytes().startswith(b"\x89PNG")
    value = json.loads(out)
    assert value["before_ohm"] > 3e6 and value["after_ohm"] < 12e3
    band = ("--low", "300k", "--high", "600k", "--step", "0.02")
    code, out, _ = rramsim(
        *("devices", "program", "--from", "10k", *band, "--devices", "20", "--spread", "0.03"),
        *("--json", "--plot", plot),
    )
    value = json.loads(out)
    assert code == 0 and value["reached"] >= 18
    assert value["pulses_mean"] > 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "give --bl"),
        ("--bl 2 --sl 1", "give --bl"),
        ("--bl 2 --low 1k", "--low and --high"),
        ("--bl 2 --from 10", "reaches"),
        ("--bl 2 --from often", "--from often"),
        ("--bl 9", "bl_v"),
        ("--bl 2 --wl 9", "word_line_v = 9"),
        ("--bl 2 --devices 0", "--devices 0"),
        ("--bl 2 --spread 2", "--spread 2"),
        ("--bl 2 --corner xx", "corner"),
        ("--bl 2 --pulse 0", "width_s"),
        ("--low 500k --high 300k", "band_ohm"),
        ("--bl 2 --temperature 500", "temperature_c"),
    ],
)
def test_program_refuses_in_one_line(rramsim, arguments, said):
    code, out, err = rramsim("devices", "program", *arguments.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def task_id(loaded):
    return SenseTask(
        circuit=loaded.make_circuit(),
        conditions=loaded.make_conditions()[0],
        resistances=loaded.make_resistances(),
        written=1,
        seed=1,
        engine=loaded.errors.make_engine(),
    ).id


def test_an_experiment_names_measurements_or_their_model(rramsim, experiment, tmp_path):
    (tmp_path / "rows.csv").write_text(EXAMPLE.read_text())
    assert rramsim("devices", "fit", EXAMPLE, "--out", tmp_path / "model.json")[0] == 0
    by_rows = experiment('measurements = "rows.csv"').make_resistances()
    by_model = experiment('model = "model.json"').make_resistances()
    assert by_rows == by_model
    assert isinstance(by_model.lrs, Skewed) and isinstance(by_model.hrs, LogNormal)
    scaled = experiment('model = "model.json"\nhrs_median_ohm = "1meg"').make_resistances()
    assert scaled.hrs == by_model.hrs.scaled(1e6) and scaled.lrs == by_model.lrs
    # Every family draws, and each gives tasks of its own.
    ids = {task_id(experiment('model = "model.json"'))}
    for kind in ("lognormal", "skewed", "empirical"):
        loaded = experiment(f'model = "model.json"\nkind = "{kind}"')
        ids.add(task_id(loaded))
        low, high = loaded.make_resistances().nominal(1)
        assert 4e3 < low < 6e3 < 3e5 < high
    assert len(ids) == 4
    # Other measurements under the same name are other tasks.
    before = task_id(experiment('measurements = "rows.csv"'))
    lines = EXAMPLE.read_text().splitlines(keepends=True)
    (tmp_path / "rows.csv").write_text("".join(lines[:-200]))
    assert task_id(experiment('measurements = "rows.csv"')) != before


def test_the_default_device_is_unchanged(experiment):
    model = experiment("").make_resistances()
    assert repr(model) == (
        "ResistanceModel(lrs=LogNormal(median_ohm=10000.0, sigma_ln=0.22), "
        "hrs=LogNormal(median_ohm=630000.0, sigma_ln=1.0))"
    )


def test_age_widens_both_states(experiment):
    fresh, aged = experiment("").make_resistances(), experiment("age_s = 1e6").make_resistances()
    for state in ("lrs", "hrs"):
        before, after = getattr(fresh, state), getattr(aged, state)
        # Six decades at 0.1 a root decade (an assumption of docs/devices.md).
        assert after.sigma_ln == pytest.approx((before.sigma_ln**2 + 0.06) ** 0.5, rel=1e-4)


def test_programming_voltages_make_a_device(experiment):
    model = experiment(
        "set_word_line_v = 2.5\nreset_source_line_v = 2.0\nhrs_median_ohm = 630e3"
    ).make_resistances()
    assert model.lrs.median_ohm == pytest.approx(7.15e3)
    assert (model.hrs.median_ohm, model.hrs.sigma_ln) == (630e3, 1.18)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ('model = "a.json"\nmeasurements = "b.csv"', "give one of model and measurements"),
        ('model = "absent.json"', "absent.json: cannot read a device model"),
        ('measurements = "absent.csv"', "absent.csv: cannot read measurements"),
        ('kind = "skewed"', "kind = 'skewed': goes with model or measurements"),
        ('model = "a.json"\nlrs_sigma_ln = 0.1', "lrs_sigma_ln = 0.1: goes with medians only"),
        ("set_word_line_v = 2.5", "give both set_word_line_v and reset_source_line_v"),
        ("set_word_line_v = 1.5\nreset_source_line_v = 2.0", "measured from 2.3 to 2.7 V"),
        ("pulse_s = 1e-7", "pulse_s"),
        ("age_s = 1e12", "age_s = 1e+12"),
        ("relaxation_ln = 0.1", "relaxation_ln = 0.1: goes with age_s"),
        ("age_s = 1\nrelaxation_ln = -1", "relaxation_ln = -1"),
        ('kind = "gamma"', "kind = 'gamma'"),
    ],
)
def test_device_sections_that_cannot_be(experiment, device, said):
    with pytest.raises(InputError, match=re.escape(said)) as error:
        experiment(device)
    assert "experiment.toml" in str(error.value) and "\n" not in str(error.value)
