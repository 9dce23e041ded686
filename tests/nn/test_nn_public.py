"""The public way in: errors from a run, tests by supply, costs, one chip."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import rramsim.nn as rn
from rramsim.counting import save_dataset
from rramsim.exceptions import InputError


def classifier(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )


def task(count=300):
    """Inputs that a network of random weights can be asked about: its own answers."""
    inputs = torch.randn(count, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return inputs, rn.convert(classifier())(inputs).argmax(dim=1)


def test_a_run_names_its_errors_by_supply_and_the_block_leaves_no_trace(sweep, tmp_path):
    save_dataset(sweep, tmp_path / "sense.nc")
    model, (inputs, _) = rn.convert(classifier()), task()
    clean = model(inputs)
    for source in (sweep, tmp_path, str(tmp_path), tmp_path / "sense.nc"):
        with rn.read_errors(model, source, vdd_v=1.0, seed=5):
            noisy = model(inputs)
            assert not torch.equal(noisy, clean) and not torch.equal(model(inputs), noisy)
        with rn.read_errors(model, source, vdd_v=1.0, seed=5, mode="frozen"):
            assert torch.equal(model(inputs), model(inputs))
        with rn.read_errors(model, source, vdd_v=1.2):
            assert torch.equal(model(inputs), clean)
    assert torch.equal(model(inputs), clean)
    with pytest.raises(InputError, match=r"vdd_v = 3\.0: was not simulated; there are \[0\.95"):
        rn.statistics_of(sweep, vdd_v=3.0)
    with pytest.raises(InputError, match="vdd_v: left out, must be one of"):
        rn.statistics_of(sweep)
    with pytest.raises(InputError, match="corner = 'ff': was not simulated"):
        rn.statistics_of(sweep, vdd_v=1.0, corner="ff")


def test_layers_have_supplies_of_their_own(sweep):
    model = rn.convert(classifier())
    lost = {}
    supplies = {"0": 1.2, "2": 0.95}
    with rn.read_errors(model, sweep, vdd_v=supplies):
        for name, reader in rn.quantised_layers(model).items():
            written = reader.quantised_weight()
            off = (reader.read_weight() == 0) & (written != 0)
            lost[name] = float(off.sum()) / float((written != 0).sum())
    assert lost["0"] == lost["4"] == 0 and lost["2"] == pytest.approx(0.4, abs=0.05)
    with (
        pytest.raises(InputError, match="vdd_v of '9': no converted layer"),
        rn.read_errors(model, sweep, vdd_v={"9": 1.0}),
    ):
        pass


def test_accuracy_by_supply_with_intervals_and_what_the_quantiser_alone_costs(sweep):
    model, (inputs, labels) = rn.convert(classifier()), task()
    table = rn.test(model, sweep, inputs, labels, draws=3)
    assert table.vdd_v.tolist() == [0.95, 1.0, 1.05, 1.1, 1.2]
    assert (table.accuracy_without_errors == 1.0).all()
    worst, best = table.iloc[0], table.iloc[-1]
    assert worst.accuracy < 0.8 < best.accuracy and best.loss < 0.03 < worst.loss_low
    assert (table.accuracy_low <= table.accuracy).all() and (table.loss_high >= table.loss).all()
    with rn.without_quantisers(model):
        full = rn.accuracy(model, inputs, labels).value
    assert full == table.accuracy_full_precision[0] != 1.0
    assert table.quantiser_loss[0] == pytest.approx(full - 1.0)
    assert table.type2[0] == pytest.approx(0.4) and (table.energy_once_j > 0).all()
    again = rn.test(model, sweep, inputs, labels, draws=3)
    assert again.equals(table)


def test_costs_of_images_and_sequences(sweep):
    model, (inputs, _) = rn.convert(classifier()), task()
    one = rn.costs(model, inputs[:8], sweep, vdd_v=1.1).set_index("flow")
    assert list(one.index) == ["once", "per_row", "per_use", "parallel"]
    tokens = inputs[:40].reshape(4, 10, 16)
    ten = rn.costs(model, tokens, sweep, vdd_v=1.1).set_index("flow")
    assert ten.senses["once"] == one.senses["once"]
    assert ten.senses["per_use"] == pytest.approx(10 * one.senses["per_use"], rel=0.1)
    assert (ten.total_j > one.total_j).all()


def test_one_chip_reads_what_was_written_with_its_own_errors(sweep):
    model, (inputs, labels) = rn.convert(classifier()), task()
    chip = rn.program(model, seed=3, points=350)
    clean = model(inputs)
    with chip.reading(vdd_v=1.1) as read:
        noisy = model(inputs)
        counts = read.statistics.counts
        assert rn.accuracy(model, inputs, labels).value > 0.9
    assert counts.sum() == sum(w.size for w in rn.written_weights(model).values())
    assert 0 < counts.sum() - np.trace(counts[:, :3]) < 0.1 * counts.sum()
    assert not torch.equal(noisy, clean) and torch.equal(model(inputs), clean)
    with rn.read_errors(model, read):
        assert torch.equal(model(inputs), noisy)


def test_reading_a_chip_leaves_the_number_of_threads_alone():
    """PyTorch and numba share one OpenMP, of which numba's own threads would set the number."""
    code = (
        "import torch; torch.set_num_threads(1); import rramsim.nn as rn\n"
        "model = rn.convert(torch.nn.Linear(400, 300))\n"  # enough synapses for several threads
        "rn.program(model, points=350).read(vdd_v=1.2)\n"
        "print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_nothing_is_tested_that_was_not_converted(sweep):
    inputs, labels = task()
    with pytest.raises(
        InputError, match=r"no converted layer; convert it with rramsim\.nn\.convert"
    ):
        rn.test(classifier(), sweep, inputs, labels)
    with (
        pytest.raises(InputError, match="no converted layer"),
        rn.read_errors(classifier(), sweep, vdd_v=1.0),
    ):
        pass


class Answers(nn.Module):
    """A classifier that hands its scores on in a form of its own."""

    def __init__(self, form):
        super().__init__()
        self.layer, self.form = nn.Linear(16, 4), form

    def forward(self, inputs):
        return self.form(self.layer(inputs))


INPUTS = torch.randn(6, 16)
CLASSES = torch.arange(6) % 4
NO_TESTS = {
    "class 4": (None, INPUTS, CLASSES + 1, "label 4: the network gives scores of 4 classes"),
    "below 0": (None, INPUTS, CLASSES - 1, "label -1: must be 0 or above"),
    "shares": (None, INPUTS, torch.eye(6), "labels are torch.float32 of shape"),
    "fewer": (None, INPUTS, CLASSES[:5], "6 images with 5 labels"),
    "NaN": (None, INPUTS / 0, CLASSES, "inputs hold NaN or infinite values"),
    "tuple": (lambda s: (s, 1), INPUTS, CLASSES, "gives a tuple for 6 inputs: must be scores"),
    "dict": (lambda s: {"logits": s}, INPUTS, CLASSES, "gives a dict for 6 inputs"),
    "flat": (torch.flatten, INPUTS, CLASSES, r"gives a Tensor of shape \(24,\) for 6 inputs"),
    "sides": (None, INPUTS[:, :9], CLASSES, r"does not take inputs of shape \(6, 9\)"),
}


@pytest.mark.parametrize(("form", "inputs", "labels", "message"), NO_TESTS.values(), ids=NO_TESTS)
def test_what_is_no_test_of_a_classifier_is_said_in_one_line(form, inputs, labels, message, sweep):
    model = rn.convert(classifier() if form is None else Answers(form))
    with pytest.raises(InputError, match=message):
        rn.test(model, sweep, inputs, labels, draws=1)
    norms = nn.Sequential(nn.BatchNorm1d(inputs.shape[1]), model)
    if message != NO_TESTS["sides"][3]:
        with pytest.raises(InputError, match=message):
            rn.fine_tune(norms, inputs, labels, steps=1)


def test_what_is_no_source_of_errors_is_named(sweep):
    model = rn.convert(classifier())
    with pytest.raises(InputError, match="read errors from a float: must be a run's folder"):
        rn.statistics_of(0.1)
    with pytest.raises(InputError, match=r"read errors = 0\.1: must be a model of errors"):
        rn.set_weight_errors(model, 0.1)
    with pytest.raises(InputError, match="draws = 0: must be 1 or above"):
        rn.test(model, sweep, INPUTS, CLASSES, draws=0)
    with pytest.raises(InputError, match="example is a list: must be a batch of inputs"):
        rn.costs(model, [1, 2], sweep)
    with pytest.raises(InputError, match="layers = 3: must be names, classes or functions"):
        rn.convert(classifier(), layers=3)
