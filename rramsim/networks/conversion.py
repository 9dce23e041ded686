"""Convert the layers of any PyTorch model, or refuse by name; nothing is converted by halves."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from rramsim.exceptions import InputError
from rramsim.networks.quantisers import LearnedScale, Quantiser, Twn
from rramsim.networks.reading import (
    CONVERTIBLE,
    WeightReader,
    quantised_layers,
    reader_of,
    weight_key,
    working,
)

Model = TypeVar("Model", bound=nn.Module)
LayerChoice = str | type[nn.Module] | Callable[[str, nn.Module], bool]
"""A layer by name (with * and ? as in file names), by its class, or by a function of both."""
Quantisers = Quantiser | Mapping[str, Quantiser] | Callable[[str, nn.Module], Quantiser]


@dataclass(frozen=True, kw_only=True)
class ConvertedLayer:
    """What the quantiser made of one layer.

    `error` is the share of the weights' squared norm that the quantiser alone loses, before any
    read error: 1 - cos^2 of the angle between the weights and what became of them. `zeros` is the
    share of digits 0 among all that lie in devices.
    """

    name: str
    type: str
    quantiser: str
    weights: int
    slices: int
    zeros: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The converted layers, and what holds parameters and was left out, with the reason."""

    layers: tuple[ConvertedLayer, ...]
    left_out: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [
            f"{layer.name}: {layer.type}, {layer.quantiser}, {layer.weights} weights"
            f"{f' of {layer.slices} slices' if layer.slices > 1 else ''}, "
            f"{100 * layer.zeros:.1f} % zeros, the quantiser loses {100 * layer.error:.1f} % "
            "of their energy"
            for layer in self.layers
        ]
        return "\n".join(lines + [f"{name}: left out, {why}" for name, why in self.left_out])


def convert(
    model: Model,
    quantiser: Quantisers = Twn(),  # noqa: B008 - frozen
    *,
    layers: LayerChoice | Iterable[LayerChoice] | None = None,
    exclude: LayerChoice | Iterable[LayerChoice] = (),
) -> Model:
    """Quantise the weights of a model's layers where they are read; returns the same model.

    `layers` chooses among Linear, Conv and ConvTranspose layers (1 to 3 dimensions) and classes
    derived from them, and the weights of MultiheadAttention; None takes all. `exclude` leaves some
    out. `quantiser` is one for all, a mapping from names (with * and ?) to quantisers, or a
    function of name and layer.

    The model's classes, state_dict keys and parameters stay as they are: an optimiser that holds
    them, torch.compile, autocast, deepcopy, pickle, DDP and checkpoints go on working, and training
    goes on in the full-precision weights with straight-through gradients. `summary` says what the
    quantiser costs, `restore` undoes it.

    Raises `InputError`, with nothing converted, for a model without such a layer, a layer that
    shares its weight with another, whose weights are not finite, have a scale of zero or are not
    quantised (`Quantised`), or whose own forward does not use its weight linearly.

    >>> import torch
    >>> model = convert(nn.Linear(2, 2), Twn())
    >>> sorted(model.state_dict())
    ['bias', 'weight']
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"a {type(model).__name__} cannot be converted: must be a torch.nn.Module")
    chosen = _chosen(model, layers, exclude)
    hosts = {
        f"{name}.out_proj" if name else "out_proj": module
        for name, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    }
    _refuse_shared(model, chosen)
    readers = []
    for name, layer in chosen.items():
        if reader_of(layer) is not None:
            raise InputError(f"{name}: converted already; undo it with rramsim.nn.restore first")
        _check_holds_weight(name, layer)
        own = _quantiser_for(quantiser, name, layer)
        taken = {"weight_reader", *(["weight_scale"] if isinstance(own, LearnedScale) else [])}
        if clash := [key for key in sorted(taken) if hasattr(layer, key)]:
            raise InputError(f"{name}: has a {clash[0]} of its own, which conversion would replace")
        reader = WeightReader(name, layer, own, host=hosts.get(name))
        weight = reader.latent.detach()
        try:
            own.check(working(weight), reader.dims(weight))
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        if reader.source is None:
            _check_linear(name, layer)
        elif reader.host is not layer:
            raise InputError(
                f"{name}: its weight is computed by {type(reader.source).__name__}, past the "
                "attention that reads it; leave it out with exclude"
            )
        readers.append(reader)
    for reader in readers:
        reader.attach()
    return model


def restore(model: Model) -> Model:
    """Undo `convert`: the layers compute with their full-precision weights again."""
    for reader in quantised_layers(model).values():
        reader.detach()
    return model


def summary(model: nn.Module) -> Summary:
    """What `convert` made of a model's layers, and what it left out."""
    rows = []
    converted = quantised_layers(model)
    for name, reader in converted.items():
        weight, value = reader.latent.detach().double(), reader.quantised_weight().double()
        digits = reader.quantiser.digits(reader.levels())
        rows.append(
            ConvertedLayer(
                name=name,
                type=type(reader.layer).__name__,
                quantiser=repr(reader.quantiser),
                weights=weight.numel(),
                slices=len(digits),
                zeros=float((digits == 0).double().mean()),
                error=1 - float((weight * value).sum() ** 2 / (weight**2).sum() / (value**2).sum()),
            )
        )
    inside = {id(m) for reader in converted.values() for m in reader.layer.modules()}
    left = tuple(
        (name or "the model", _why(module))
        for name, module in model.named_modules()
        if id(module) not in inside and any(True for _ in module.parameters(recurse=False))
    )
    return Summary(layers=tuple(rows), left_out=left)


def _why(module: nn.Module) -> str:
    kind = type(module).__name__
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return (
            f"{kind}: a table that is looked up, not multiplied; it stays real, outside the arrays"
        )
    return f"{kind}: not chosen" if isinstance(module, CONVERTIBLE) else f"{kind}: stays real"


def _chosen(
    model: nn.Module,
    layers: LayerChoice | Iterable[LayerChoice] | None,
    exclude: LayerChoice | Iterable[LayerChoice],
) -> dict[str, nn.Module]:
    modules = dict(model.named_modules())
    wanted = None if layers is None else _choices(layers)
    unwanted = _choices(exclude)
    for choice in (*(wanted or ()), *unwanted):
        if isinstance(choice, str) and not any(fnmatchcase(name, choice) for name in modules):
            raise InputError(f"layers: no layer is called {choice!r}; there are {_some(modules)}")
    found: dict[str, nn.Module] = {}
    for name, module in modules.items():
        if wanted is not None and not any(_fits(choice, name, module) for choice in wanted):
            continue
        if any(_fits(choice, name, module) for choice in unwanted):
            continue
        if isinstance(module, CONVERTIBLE):
            found[name or "model"] = module
        elif wanted is not None and name in wanted:
            raise InputError(
                f"{name}: a {type(module).__name__} cannot be converted; Linear, Conv, "
                "ConvTranspose and MultiheadAttention layers can"
            )
    if not found:
        raise InputError(
            f"the model ({type(model).__name__}) has no layer to convert: Linear, Conv, "
            "ConvTranspose and MultiheadAttention layers are, unless left out"
        )
    return found


def _choices(choices: LayerChoice | Iterable[LayerChoice]) -> tuple[LayerChoice, ...]:
    if isinstance(choices, str | type) or callable(choices):
        return (choices,)
    if not isinstance(choices, Iterable):
        raise InputError(
            f"layers = {choices!r}: must be names, classes or functions of name and layer"
        )
    return tuple(choices)


def _fits(choice: LayerChoice, name: str, module: nn.Module) -> bool:
    if isinstance(choice, str):
        return fnmatchcase(name, choice)
    return isinstance(module, choice) if isinstance(choice, type) else bool(choice(name, module))


def _some(modules: Mapping[str, nn.Module]) -> str:
    names = [name for name, module in modules.items() if isinstance(module, CONVERTIBLE)]
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "") if names else "none"


def _refuse_shared(model: nn.Module, chosen: Mapping[str, nn.Module]) -> None:
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        for parameter in module.parameters(recurse=False):
            if _lies_in_memory(parameter):
                owners.setdefault(parameter.data_ptr(), []).append(name)
    for name, layer in chosen.items():
        weight = layer._parameters.get(weight_key(layer))
        if weight is None or not _lies_in_memory(weight):
            continue
        others = [one for one in owners.get(weight.data_ptr(), ()) if one != name]
        if len(owners.get(weight.data_ptr(), ())) > 1:
            raise InputError(
                f"{name}: shares its weight with {others[0]}; leave it out with exclude, or give "
                "it a weight of its own"
            )
    for name, module in model.named_modules():
        own = type(module).forward is not nn.MultiheadAttention.forward
        if isinstance(module, nn.MultiheadAttention) and own:
            for part in (name or "model", f"{name}.out_proj" if name else "out_proj"):
                if part in chosen:
                    raise InputError(
                        f"{part}: {type(module).__name__} has an attention of its own, which may "
                        "read this weight otherwise; leave it out with exclude"
                    )


def _lies_in_memory(weight: Tensor) -> bool:
    return (
        not isinstance(weight, UninitializedParameter)
        and not weight.is_meta
        and weight.layout == torch.strided
        and weight.numel() > 0
    )


def _check_holds_weight(name: str, layer: nn.Module) -> None:
    key = weight_key(layer)
    weight = layer._parameters.get(key)
    if isinstance(layer, nn.MultiheadAttention) and not layer._qkv_same_embed_dim:
        raise InputError(
            f"{name}: its keys or values have another width than its queries, so that it has three "
            "weights; leave it out with exclude"
        )
    if isinstance(weight, UninitializedParameter):
        raise InputError(f"{name}: has no weights yet; run the model once before converting")
    if weight is None and not nn.utils.parametrize.is_parametrized(layer, key):
        raise InputError(
            f"{name}: its weight is no parameter (a hook such as the old weight_norm computes it); "
            "use torch.nn.utils.parametrizations instead, or leave it out with exclude"
        )
    if weight is not None and weight.is_meta:
        raise InputError(f"{name}: is on the meta device, without values; load its weights first")
    if weight is not None and weight.layout != torch.strided:
        raise InputError(f"{name}: weights lie as {weight.layout}; call to_dense() on them first")
    if weight is not None and not weight.is_floating_point():
        raise InputError(f"{name}: weights are {weight.dtype}, must be of a floating-point type")


def _quantiser_for(quantiser: Quantisers, name: str, layer: nn.Module) -> Quantiser:
    if isinstance(quantiser, Quantiser):
        return quantiser
    if isinstance(quantiser, Mapping):
        fitting = [own for pattern, own in quantiser.items() if fnmatchcase(name, pattern)]
        if not fitting:
            raise InputError(f"{name}: no quantiser for it; {', '.join(quantiser)} were given")
        return fitting[0]
    if isinstance(quantiser, type) or not callable(quantiser):
        raise InputError(
            f"quantiser = {getattr(quantiser, '__name__', repr(quantiser))}: must be an object "
            "such as Twn(), a mapping from names to such, or a function of name and layer"
        )
    found = quantiser(name, layer)
    if not isinstance(found, Quantiser):
        raise InputError(f"{name}: the quantiser is a {type(found).__name__}, must be a Quantiser")
    return found


_STOCK = {base.forward for base in CONVERTIBLE}


def _check_linear(name: str, layer: nn.Module) -> None:
    """A forward of the layer's own must be affine in the weight, or it quantises it once more."""
    if type(layer).forward in _STOCK or getattr(layer, "weight_used_linearly", False):
        return
    weight = cast(Tensor, layer._parameters["weight"])
    generator = torch.Generator().manual_seed(0)

    def drawn(shape: Any) -> Tensor:
        return torch.randn(shape, generator=generator).to(weight)

    inputs = weight.shape[1] * int(getattr(layer, "groups", 1))
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        inputs = weight.shape[0]
    dilation = cast(Any, getattr(layer, "dilation", ()))
    sides = [d * (k - 1) + 3 for d, k in zip(dilation, weight.shape[2:], strict=True)]
    example = drawn((2, inputs, *sides))
    one, other = drawn(weight.shape), drawn(weight.shape)
    training = layer.training

    def output(value: Tensor) -> Tensor:
        layer._parameters["weight"] = cast(nn.Parameter, value)
        return layer(example).double()

    try:
        layer.eval()
        with torch.no_grad():
            parts, both = output(one) + output(other), output(one + other)
            rest = output(torch.zeros_like(one))
    except Exception as error:
        raise InputError(
            f"{name}: the own forward of {type(layer).__name__} could not be tried "
            f"({type(error).__name__}); leave it out with exclude"
        ) from error
    finally:
        layer._parameters["weight"] = cast(nn.Parameter, weight)
        layer.train(training)
    off = float((parts - both - rest).abs().max())
    if not off <= 1e-2 * float(both.abs().max() + 1e-30):
        raise InputError(
            f"{name}: the own forward of {type(layer).__name__} does not use its weight linearly "
            "(it quantises it itself?), so a weight read from devices would be changed once more; "
            "use the plain layer with one of rramsim.nn's quantisers, or leave it out with exclude"
        )
