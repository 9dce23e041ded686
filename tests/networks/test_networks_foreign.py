"""Models of kinds that others write: each works, or is refused in one line, nothing converted."""

import threading
from functools import partial

import pytest
import torch
import torch.nn.utils.prune
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import rramsim.nn as rn
from rramsim.exceptions import InputError

ROWS = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
SEQUENCES = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(2))


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def changed(model, change):
    change(model)
    return model


class Twice(nn.Module):
    """Calls one layer at two places."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, rows):
        return self.layer(torch.relu(self.layer(rows)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, sequences):
        return self.head(self.cell(sequences)[0][:, -1])


def lazy():
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    return changed(model, lambda m: m(ROWS))


def compiled_first():
    model = torch.compile(perceptron(), backend="eager")
    with torch.no_grad():
        model(ROWS)
    return model


def encoder():
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()


WORKS = {
    "a layer called twice": (Twice, ROWS),
    "lazy, run once": (lazy, ROWS),
    "LSTM before a linear layer": (Recurrent, SEQUENCES),
    "weight_norm": (
        lambda: changed(perceptron(), lambda m: parametrizations.weight_norm(m[0])), ROWS
    ),
    "spectral_norm": (
        lambda: changed(perceptron(), lambda m: parametrizations.spectral_norm(m[0])).eval(), ROWS
    ),
    "DataParallel": (lambda: nn.DataParallel(perceptron()), ROWS),
    "float64": (lambda: perceptron().double(), ROWS.double()),
    "compiled and run before": (compiled_first, ROWS),
    "built in inference mode": (torch.inference_mode()(perceptron), ROWS),
    "transformer": (encoder, SEQUENCES),
    "circular padding": (
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")),
        ROWS.reshape(1, 2, 4, 4),
    ),
    "transposed 1d in groups": (
        lambda: nn.ConvTranspose1d(4, 6, 3, groups=2, dilation=2), ROWS.reshape(2, 4, 4)
    ),
    "transposed 3d in groups": (
        lambda: nn.ConvTranspose3d(4, 6, 2, groups=2, stride=2), ROWS.reshape(1, 4, 2, 2, 2)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "inputs"), WORKS.values(), ids=WORKS)
def test_every_converted_layer_of_it_reads_with_errors(make, inputs):
    model = make()
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    rn.convert(model, rn.Twn(scale="channel"))
    assert rn.summary(model).layers
    written = rn.written_weights(model)
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    with torch.no_grad():
        clean = model(inputs)
        rn.set_read_weights(model, written)
        assert torch.equal(model(inputs), clean)
        for name in rn.quantised_layers(model):
            rn.set_weight_errors(model, {name: rn.BinaryFlips(1.0)})
            assert not torch.equal(model(inputs), clean), name
        rn.set_weight_errors(model, None)
        assert torch.equal(model(inputs), clean)


def test_what_was_compiled_without_hooks_is_not_used_with_them():
    plain = torch.compile(perceptron(), backend="eager")
    with torch.no_grad():
        full = plain(ROWS)
        model = rn.convert(perceptron())
        compiled = torch.compile(model, backend="eager")
        wanted = model(ROWS)
        assert torch.equal(compiled(ROWS), wanted) and not torch.equal(wanted, full)
        with rn.without_quantisers(model):
            assert torch.equal(compiled(ROWS), full)
        assert torch.equal(compiled(ROWS), wanted) and torch.equal(plain(ROWS), full)
        rn.restore(model)
        assert torch.equal(compiled(ROWS), full)


def tied(model):
    model.append(nn.Linear(16, 4))
    model[3].weight = model[2].weight


def on_meta():
    with torch.device("meta"):
        return perceptron()


def own_scale(model):
    model[2].weight_scale = nn.Parameter(torch.ones(1))


def sparse(model):
    model[0].weight = nn.Parameter(model[0].weight.detach().to_sparse())


REFUSED = {
    "tied": (lambda: changed(perceptron(), tied), {}, "2: shares its weight with 3"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4)), {}, "0: has no weights yet; run the model"),
    "meta": (on_meta, {}, "0: is on the meta device, without values; load its weights first"),
    "sparse": (lambda: changed(perceptron(), sparse), {}, "0: weights lie as torch.sparse_coo"),
    "complex": (lambda: perceptron().to(torch.complex64), {}, "0: weights are torch.complex64"),
    "pruned": (
        lambda: changed(perceptron(), lambda m: nn.utils.prune.l1_unstructured(m[2], "weight", 1)),
        {}, "2: its weight is no parameter",
    ),
    "LSTM": (lambda: nn.LSTM(8, 8), {}, r"the model \(LSTM\) has no layer to convert"),
    "scripted": (lambda: torch.jit.script(perceptron()), {}, "has no layer to convert"),
    "own scale": (
        lambda: changed(perceptron(), own_scale), {"quantiser": rn.LearnedScale()},
        "2: has a weight_scale of its own, which conversion would replace",
    ),
    "quantiser's class": (perceptron, {"quantiser": rn.Twn}, "quantiser = Twn: must be an object"),
    "quantiser's name": (perceptron, {"quantiser": "twn"}, "quantiser = 'twn': must be an object"),
    "no module": (lambda: perceptron().state_dict(), {}, "OrderedDict cannot be converted"),
}  # fmt: skip


def hooks(model):
    parts = model.modules() if isinstance(model, nn.Module) else ()
    return [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in parts]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("make", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_in_one_line_with_nothing_converted(make, given, message):
    model = make()
    before = hooks(model)
    with pytest.raises(InputError, match=message) as refused:
        rn.convert(model, **given)
    assert "\n" not in str(refused.value)
    assert hooks(model) == before
    assert not isinstance(model, nn.Module) or not rn.quantised_layers(model)


@pytest.mark.parametrize(
    "change", [parametrizations.weight_norm, partial(nn.utils.prune.l1_unstructured, amount=0.5)]
)
def test_a_weight_that_stops_being_a_parameter_is_named(change):
    model = rn.convert(perceptron())
    change(model[0], name="weight")
    with pytest.raises(InputError, match="0: its weight is no parameter any more; restore"):
        model(ROWS)


def test_spectral_norm_in_training_is_looked_at_without_a_step_of_it():
    model = perceptron()
    parametrizations.spectral_norm(model[0])
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    rn.convert(model)
    rn.summary(model)
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    model(ROWS)  # a step of the user's own
    assert not torch.equal(model.state_dict()["0.parametrizations.weight.0._u"],
                           kept["0.parametrizations.weight.0._u"])  # fmt: skip


def test_threads_share_a_model_and_leave_its_parameters_alone():
    model = rn.convert(perceptron())
    own, wanted, wrong = dict(model.named_parameters()), model(ROWS), []

    def use():
        wrong.extend(1 for _ in range(200) if not torch.equal(model(ROWS), wanted))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(value is own[key] for key, value in model.named_parameters())


def test_an_interrupted_pass_leaves_the_model_as_it_was():
    model = perceptron()
    stopped = model[0].register_forward_pre_hook(lambda *_: None)
    rn.convert(model)
    wanted, state = model(ROWS), {k: v.clone() for k, v in model.state_dict().items()}

    def interrupt(*given):
        raise KeyboardInterrupt

    stopped = model[0].register_forward_pre_hook(interrupt)  # with the weight as read in place
    with pytest.raises(KeyboardInterrupt):
        model(ROWS)
    stopped.remove()
    assert all(isinstance(value, nn.Parameter) for value in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(model(ROWS), wanted)
    other = threading.Thread(target=model, args=(ROWS,), daemon=True)
    other.start()
    other.join(timeout=20)
    assert not other.is_alive()


def test_function_transforms_of_torch_take_a_converted_model():
    model = rn.convert(perceptron(), rn.LearnedScale())
    given = dict(model.named_parameters())

    def loss(values):
        return torch.func.functional_call(model, values, (ROWS,)).square().sum()

    found = torch.func.grad(loss)(given)
    model(ROWS).square().sum().backward()
    assert all(torch.allclose(found[key], value.grad) for key, value in given.items())
    assert torch.allclose(torch.func.vmap(model)(ROWS), model(ROWS), atol=1e-6)


def test_activation_checkpointing_gets_the_gradients_of_the_weights_it_read():
    model = rn.convert(perceptron())
    with (
        rn.read_errors(model, rn.BinaryFlips(0.3)),
        pytest.raises(InputError, match="0: errors would be drawn anew in the backward pass"),
    ):
        checkpoint(model, ROWS, use_reentrant=False).sum().backward()
    found = []
    with rn.read_errors(model, rn.BinaryFlips(0.3), mode="frozen"):
        for run in (model, partial(checkpoint, model, use_reentrant=False)):
            model.zero_grad()
            run(ROWS).square().sum().backward()
            found.append(model[0].weight.grad.clone())
    assert torch.equal(*found)
