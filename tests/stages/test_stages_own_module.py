"""[network] module: a user's own Python, from training to report, only where the user says so."""

import copy
import json
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import rramsim.nn as rn
from rramsim.cli import app as program
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.explore.explorer import load_subject
from rramsim.learning import load_network
from rramsim.stages import RunFolder, choose_data, run_stages, verify_folder
from rramsim.stages.chips import CHIPS
from rramsim.stages.plans import network_plans
from rramsim.stages.train import TRAINING

MODULE = """
from pathlib import Path
from torch import nn
from neighbour import hidden
import rramsim.nn as rn

with (Path(__file__).parent / "run.log").open("a") as log:
    log.write("imported\\n")

def build(input_shape, classes):
    pixels = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), hidden(pixels), nn.BatchNorm1d(24), nn.ReLU(),
                         nn.Linear(24, classes))

def converted():
    return rn.convert(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), rn.AbsMean())

def number():
    return 3

def fails():
    return 1 / 0

def narrow():
    return nn.Linear(3, 10)

def few():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))

def none():
    return nn.Flatten()
"""


@pytest.fixture
def own(tmp_path, small_experiment):
    """A folder with the module; returns a function that writes an experiment beside it."""
    (tmp_path / "my_model.py").write_text(MODULE)
    (tmp_path / "neighbour.py").write_text(
        "from torch import nn\ndef hidden(inputs):\n    return nn.Linear(inputs, 24)\n"
    )
    head, _, rest = small_experiment.partition("[network]")

    def write(keys, *, training='data = "digits"\nepochs = 2'):
        after = rest[rest.index("[test]") :]
        path = tmp_path / "own.toml"
        path.write_text(f"{head}[network]\n{keys}\n[training]\n{training}\n{after}")
        return path

    write.log = tmp_path / "run.log"
    return write


def test_the_whole_way_and_nothing_of_it_from_the_folder(results, own, tmp_path, monkeypatch):
    path = own('module = "my_model:build"\nweights = ["ternary", "binary"]')
    folder = RunFolder(path=shutil.copytree(results, tmp_path / "out"))
    for old in ("training.csv", "tradeoff.csv", "chips.csv", "chips.json", "report.html"):
        (folder.path / old).unlink()
    stages = ("train", "tradeoff", "chips", "report")
    with pytest.raises(InputError, match="rramsim run --allow-module"):
        run_stages(load_experiment(path), folder, stages)
    assert not own.log.exists()
    run_stages(load_experiment(path).with_module_allowed(), folder, stages)
    names = {"my_model.build-ternary", "my_model.build-binary"}
    assert {row.network for row in TRAINING.need(folder)} == names
    chips = [row for row in CHIPS.need(folder) if row.kind == "chip"]
    assert {row.network for row in chips} == names and len(chips) == 6
    assert min(row.accuracy for row in chips) > 0.5
    assert "my_model.build-ternary" in (folder.path / "report.html").read_text()
    provenance = json.loads((folder.path / "provenance.json").read_text())
    assert provenance["module"]["file"] == "my_model.py"
    assert len(provenance["module"]["sha256"]) == 64

    own.log.write_text("")
    stored = folder.load_experiment()
    run_stages(stored, folder, ("report",))
    assert (
        provenance["module"] == json.loads((folder.path / "provenance.json").read_text())["module"]
    )
    made = ("train", "tradeoff", "chips")
    found = verify_folder(folder, data=lambda _: choose_data("digits", path=None), stages=made)
    told = {check.check: check for check in found}
    assert told["files"].verdict == "holds"
    assert all(told[name].verdict == "not checked" for name in made)
    load_subject(folder.path)
    (folder.path / "tradeoff.csv").unlink()
    monkeypatch.setattr("sys.argv", ["rramsim", "tradeoff", str(folder.path)])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    with pytest.raises(InputError, match="somebody's own Python"):
        load_network(next(p for p in folder.networks.glob("my_model*.pt") if "check" not in p.name))
    assert own.log.read_text() == ""


def test_the_program_asks_for_leave_before_any_work(own, tmp_path, monkeypatch, capsys):
    path = own('module = "my_model:build"')
    monkeypatch.setattr("sys.argv", ["rramsim", "run", str(path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    assert "rramsim run --allow-module" in capsys.readouterr().err.splitlines()[-1]
    assert not own.log.exists()
    with pytest.raises(InputError, match="--allow-module: the experiment has no"):
        load_experiment(own("width = 4")).with_module_allowed()


def networks(own, keys):
    experiment = load_experiment(own(keys)).with_module_allowed()
    return experiment.make_own_networks((1, 8, 8), 10)


def test_pixels_weights_and_code_make_other_networks(own, tmp_path):
    (spec,) = networks(own, 'module = "my_model:build"\nweights = "ternary"')
    built = spec.build(seed=3)
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(spec.build(seed=3).eval()(images), built.eval()(images))
    assert not torch.equal(spec.build(seed=4).eval()(images), built(images))
    for twin in (copy.deepcopy(built), pickle.loads(pickle.dumps(built))):
        assert torch.equal(twin(images), built(images))
    (unit,) = networks(own, 'module = "my_model:build"\nweights = "ternary"\npixels = "unit"')
    scaled = unit.build(seed=3).eval()
    assert torch.equal(scaled(images), scaled.network(images / 255.0))
    source = tmp_path / "my_model.py"
    source.write_text(source.read_text() + "\n# changed\n")
    (other,) = networks(own, 'module = "my_model:build"\nweights = "ternary"')
    assert len({spec, unit, other}) == 3
    (by_hand,) = networks(own, 'module = "my_model:converted"\nweights = "ternary"')
    layers = rn.quantised_layers(by_hand.build(seed=0))
    assert [reader.quantiser for reader in layers.values()] == [rn.AbsMean()]


@pytest.mark.parametrize("ending", ["safetensors", "npz", "pt"])
def test_finished_weights_are_read_and_not_trained(own, tmp_path, results, ending):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(),
                          nn.Linear(24, 10))  # fmt: skip
    rn.save_weights(model, tmp_path / f"mine.{ending}")
    keys = f'module = "my_model:build"\nweights = "ternary"\nweights_file = "mine.{ending}"'
    path = own(keys, training='data = "digits"')
    folder = RunFolder(path=shutil.copytree(results, tmp_path / "out"))
    experiment = load_experiment(path).with_module_allowed()
    trained = run_stages(experiment, folder, ("train",))["train"]
    assert [row.epoch for row in TRAINING.need(folder)] == [0]
    kept = trained[0].network.network.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in model.state_dict().items())
    with pytest.raises(
        InputError, match=r"\[training\] epochs = 3: does nothing here; .*weights_f"
    ):
        load_experiment(own(keys, training="epochs = 3"))


REFUSED = {
    'module = "my_model"': "must be of the form 'my_model:build'",
    'module = "os.system(1):x"': "must be of the form",
    'module = "nowhere:build"': "no nowhere.py in .*, and no installed module nowhere",
    'module = "broken:build"': "cannot be imported .SyntaxError",
    'module = "leaves:build"': "cannot be imported .SystemExit",
    'module = "my_model:missing"': "my_model has no function missing",
    'module = "my_model:number"': "returned a int, must be a torch.nn.Module",
    'module = "my_model:fails"': "failed when called .ZeroDivisionError",
    'module = "my_model:narrow"': r"does not take images \(2, 1, 8, 8\)",
    'module = "my_model:few"': r"gives \(2, 4\) for 2 images, must be scores \(2, 10\)",
    'module = "my_model:none"': "has no layer to convert",
    'module = "my_model:converted"\nweights = "binary"': "has ternary weights, where",
    'module = "my_model:build"\nweights_file = "away.npz"': "away.npz",
    'module = "my_model:build"\nweights_file = "other.npz"': "has no 1.weight, which the model has",
    'module = "my_model:build"\nwidth = 9': "width = .9.: does nothing here",
    'pixels = "unit"': "pixels = 'unit': does nothing here; it needs a module",
}


@pytest.mark.parametrize("keys", REFUSED)
def test_what_is_no_network_is_refused_in_one_line(own, tmp_path, keys):
    (tmp_path / "broken.py").write_text("def build(:\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)\n")
    np.savez(tmp_path / "other.npz", weight=np.zeros(3))
    with pytest.raises(InputError, match=REFUSED[keys]) as caught:
        training = 'data = "digits"' if "weights_file" in keys else 'data = "digits"\nepochs = 2'
        experiment = load_experiment(own(keys, training=training)).with_module_allowed()
        for spec in experiment.make_own_networks((1, 8, 8), 10):
            spec.build(seed=0)
    assert "\n" not in str(caught.value)


def test_plans_need_leave_too(own, tmp_path):
    experiment = load_experiment(own('module = "my_model:build"'))
    with pytest.raises(InputError, match="rramsim run --allow-module"):
        network_plans(experiment, RunFolder(path=tmp_path), choose_data("digits", path=None))
