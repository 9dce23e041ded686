"""Three networks that are none of ours, as the examples convert them."""

import runpy
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import rramsim.nn as rn

EXAMPLES = Path(__file__).parents[2] / "examples" / "own_networks"
SCRIPTS = ("brevitas_cnv 1", "brevitas_cnv 2", "resnet18", "ternary_transformer")


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    sys.modules.pop("common", None)
    import common

    yield common
    sys.modules.pop("common", None)


def twn_by_channel(weight):
    size = weight.double().abs().flatten(1)
    kept = weight.abs().flatten(1) > torch.tensor(0.7) * size.mean(1, keepdim=True).float()
    scale = ((size * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True)).float()
    return (weight.flatten(1).sign() * kept * scale).reshape(weight.shape)


def abs_mean(weight):
    scale = weight.double().abs().mean().float()
    return (weight / scale).round().clamp(-1, 1) * scale


def cnv(bits):
    from brevitas_examples.bnn_pynq.models.CNV import CNV

    return CNV(10, weight_bit_width=bits, act_bit_width=bits, in_bit_width=8, in_ch=3)


CASES = {
    "CNV 1W1A": (lambda c: cnv(1), rn.Quantised(binary=True), None, (3, 32, 32)),
    "CNV 2W2A": (lambda c: cnv(2), rn.Quantised(), None, (3, 32, 32)),
    "ResNet-18": (lambda c: c.ResNet18(), rn.Twn(scale="channel"), twn_by_channel, (3, 32, 32)),
    "transformer": (lambda c: c.Transformer(features=8), rn.AbsMean(), abs_mean, (8, 8)),
}


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_logits_equal_an_independently_quantised_copy_to_the_last_bit(case, count, common):
    make, quantiser, by_hand, shape = case
    inputs = torch.rand(count, *shape, generator=torch.Generator().manual_seed(2))
    models = []
    for _ in range(2):
        torch.manual_seed(7)
        models.append(make(common).eval())
    model, copy = models
    if by_hand is not None:  # Brevitas's layers quantise themselves: its own model is the copy
        for layer in copy.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.data = by_hand(layer.weight.data)
    rn.convert(model, quantiser)
    identity = rn.TransitionErrors([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    with torch.no_grad():
        wanted = torch.cat([copy(part) for part in inputs.split(100)])
        assert torch.equal(torch.cat([model(part) for part in inputs.split(100)]), wanted)
        with rn.read_errors(model, identity):
            assert torch.equal(torch.cat([model(part) for part in inputs.split(100)]), wanted)
        with rn.read_errors(model, rn.BinaryFlips(0.2)):
            assert not torch.equal(model(inputs[:20]), copy(inputs[:20]))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_at_most_twelve_lines_does_it_all(
    script, common, sweep, monkeypatch, tmp_path, capsys
):
    """With errors that are given and few steps: the rest, its 500 images too, is the script's."""
    name, *arguments = script.split()
    path = EXAMPLES / f"{name}.py"
    lines = [ln for ln in path.read_text().split('"""')[2].splitlines() if ln.strip()]
    own = [ln for ln in lines if not ln.startswith(("import", "from"))]
    assert len(own) <= 12
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    fit = common.fit
    monkeypatch.setattr(common, "fit", lambda *a, steps, **k: fit(*a, steps=2, batch=16, **k))
    monkeypatch.setattr(common, "simulated_errors", lambda: sweep)
    monkeypatch.setattr(common, "ResNet18", partial(common.ResNet18, width=16))
    # A draw each for Brevitas's networks, whose own quantisers of activations take the time.
    draws = 1 if arguments else 4
    monkeypatch.setattr(rn, "test", partial(rn.test, draws=draws, batch=50))
    found = runpy.run_path(str(path), run_name="__main__")
    assert found["table"].vdd_v.tolist() == [0.95, 1.0, 1.05, 1.1, 1.2]
    assert found["table"].images.tolist() == 5 * [500]
    assert found["table"].draws.tolist() == 5 * [draws]
    assert found["on_chip"].total == 500
    assert len(list(tmp_path.glob("*.png"))) == 1
    shown = capsys.readouterr().out
    assert "on one chip:" in shown and "per_use" in shown and "0.95" in shown
