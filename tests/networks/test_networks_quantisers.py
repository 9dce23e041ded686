import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rramsim.exceptions import InputError
from rramsim.networks import (
    TERNARY_THRESHOLD,
    quantise_activation,
    straight_through,
)
from rramsim.networks.quantisers import quantiser_of_kind


def quantise_weight(latent, kind):
    return straight_through(latent, quantiser_of_kind(kind).quantise(latent, ())[0])


floats = st.floats(-10, 10, width=32)


@given(st.lists(floats, min_size=1, max_size=50))
def test_ternary_weights_follow_the_threshold(values):
    latent = torch.tensor(values)
    expected = [0.0 if abs(v) <= TERNARY_THRESHOLD else (1.0 if v > 0 else -1.0) for v in values]
    # A float32 within one rounding of the threshold may fall on either side of the float64 rule.
    near = (latent.abs() - TERNARY_THRESHOLD).abs() < 1e-8
    agree = quantise_weight(latent, "ternary") == torch.tensor(expected)
    assert bool((agree | near).all())


@given(st.lists(floats, min_size=1, max_size=50))
def test_binary_values_are_never_zero(values):
    latent = torch.tensor([*values, 0.0, -0.0])
    for quantised in (quantise_weight(latent, "binary"), quantise_activation(latent, "binary")):
        assert set(quantised.tolist()) <= {-1.0, 1.0}
        assert quantised[-2:].tolist() == [1.0, 1.0]


def test_weight_gradient_is_the_identity_even_far_outside_one():
    latent = torch.tensor([-7.0, -0.01, 0.0, 3.0], requires_grad=True)
    (quantise_weight(latent, "ternary") * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert latent.grad.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", ["binary", "ternary"])
def test_activation_gradient_is_that_of_hardtanh(kind):
    values = torch.tensor([-1.5, -0.9, 0.0, 0.9, 1.5], requires_grad=True)
    quantise_activation(values, kind).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_activation_is_the_same_with_and_without_gradients():
    values = torch.linspace(-2, 2, 41)
    for kind in ("full", "binary", "ternary"):
        with torch.no_grad():
            plain = quantise_activation(values, kind)
        assert torch.equal(plain, quantise_activation(values.clone().requires_grad_(), kind))


def test_straight_through_is_exact_and_keeps_its_argument():
    latent = torch.tensor([0.1, 1e8], requires_grad=True)
    value = torch.tensor([1.0, -1.0])
    result = straight_through(latent, value)
    assert torch.equal(result, value)
    result.sum().backward()
    assert latent.grad.tolist() == [1.0, 1.0]


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match=r"weights = 'quaternary': must be 'binary'"):
        quantise_weight(torch.zeros(1), "quaternary")
    with pytest.raises(InputError, match=r"activations = 'relu': must be 'full'"):
        quantise_activation(torch.zeros(1), "relu")
