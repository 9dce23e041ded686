"""How layers' weights are read: quantised, with errors or as one chip does, in place of their own.

Two hooks on a layer put the weight as read before its parameter for the time of its forward pass,
as an attribute that Python finds first. So the model's classes, its state_dict and its parameters
(those that an optimiser holds) stay what they are, and the layer's own forward, whatever its
kernel, stride, groups or bias, does the arithmetic. Threads take turns in a layer.

A weight that is not a parameter but computed by a module of the layer (a parametrization of torch,
Brevitas's `weight_quant`) is read where that module hands it on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rramsim.counting import ErrorStatistics
from rramsim.exceptions import InputError
from rramsim.networks.quantisers import LearnedScale, Quantiser, straight_through
from rramsim.networks.weight_errors import WeightErrors, errors_of_statistics

CONVERTIBLE = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.MultiheadAttention,
)
"""Layers whose weights can lie in arrays; a class derived from one of these counts.

Attention has two: its projections of query, key and value together, under its own name, and
`out_proj`, a linear layer whose weight it reads itself.
"""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class WeightReader:
    """One layer's quantiser and the errors with which its weights are read.

    `name`, `layer`: the layer, `key` its parameter. `host`: the module whose forward reads it, the
    layer itself but for attention's `out_proj`. `source`: the module that computes the weight, None
    for the layer's own parameter. `enabled`: False reads the full-precision weight.
    """

    def __init__(
        self, name: str, layer: nn.Module, quantiser: Quantiser, *, host: nn.Module | None = None
    ) -> None:
        self.name = name
        self.layer, self.key = layer, weight_key(layer)
        self.host = host or layer
        self.quantiser = quantiser
        self.source = weight_source(layer)
        self.enabled = True
        self.groups = int(getattr(layer, "groups", 1))
        self._inside: int | None = None
        self._lock = Lock()
        self._errors: WeightErrors | None = None
        self._generator: torch.Generator | None = None
        self._frozen: Tensor | None = None
        self._handles: tuple[Any, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock(), _inside=None)
        _let_compilers_see_hooks()

    def attach(self) -> None:
        """Read the layer's weights so from now on; `convert` checks them before."""
        if isinstance(self.quantiser, LearnedScale):
            latent = self.latent.detach()
            scale = self.quantiser.quantise(working(latent), self.dims(latent))[1]
            self.layer.register_parameter("weight_scale", nn.Parameter(cast(Tensor, scale)))
        if self.source is not None:
            self._handles = (self.source.register_forward_hook(self._replace),)
        else:
            self._handles = (
                self.host.register_forward_pre_hook(self._before),
                self.host.register_forward_hook(self._after, always_call=True),
            )
        self.layer.weight_reader = self  # type: ignore[assignment]
        _let_compilers_see_hooks()

    def detach(self) -> None:
        """Leave the layer as it was before `attach`."""
        for handle in self._handles:
            handle.remove()
        self.layer.__dict__.pop("weight_reader", None)
        self.layer._parameters.pop("weight_scale", None)

    @property
    def latent(self) -> Tensor:
        """The weight before the quantiser, as the layer holds or computes it."""
        if self.source is None:
            return self._parameter(self.layer)
        with without_hooks(self.source, self._handles), _untouched(self.source):
            return _value(_computed(self.layer, self.source))

    @property
    def weight(self) -> Tensor:
        """As `latent`."""
        return self.latent

    @property
    def weights(self) -> str:
        """What a read-out must decide between: "binary", "ternary", or "full" for neither."""
        return self.quantiser.kind

    @property
    def outputs(self) -> int:
        """Output channels or neurons."""
        shape = self.latent.shape
        return int(shape[1] * self.groups if isinstance(self.layer, _TRANSPOSED) else shape[0])

    def quantised_weight(self) -> Tensor:
        """The weight as written to the devices, times its scale: no read errors, no gradient."""
        latent = self.latent.detach()
        levels, scale = self._quantise(latent)
        return straight_through(latent, levels, scale).detach()

    def read_weight(self) -> Tensor:
        """The weight as read now: with its errors if any, gradient straight through."""
        return self._read(self.latent)

    def levels(self) -> Tensor:
        """The levels as written, in the shape of the weight."""
        return self._quantise(self.latent.detach())[0]

    def written(self) -> NDArray[np.int8]:
        """The digits in the devices: (outputs, ...) int8 of -1, 0 and +1.

        Of the shape of the weight where each weight is one digit and outputs come first; else
        (slices * outputs, inputs), slice after slice.
        """
        return self._as_rows(self.quantiser.digits(self.levels()))

    def attach_read(self, values: NDArray[np.int8]) -> None:
        """Read these digits from now on, in the shape of `written`."""
        self._errors = self._generator = None
        latent = self.latent
        digits = torch.from_numpy(np.ascontiguousarray(values)).to(latent.device).float()
        matrix = digits.reshape(len(self.quantiser.places), self.outputs, -1)
        frozen = self._join(torch.stack([self._from_matrix(one, latent.shape) for one in matrix]))
        if latent.dim() == 4 and latent.is_contiguous(memory_format=torch.channels_last):
            frozen = frozen.contiguous(memory_format=torch.channels_last)
        self._frozen = frozen

    @property
    def draws_errors(self) -> bool:
        """Whether every forward pass draws errors anew."""
        return self._errors is not None and self._frozen is None

    def error_generator(self) -> torch.Generator:
        """The generator to draw errors from: the one in use, where the weight still is.

        A CUDA graph that was recorded with it keeps to it, and a new seed then reaches the graph.
        """
        device = next(self.layer.parameters()).device
        if self._generator is not None and self._generator.device == device:
            return self._generator
        return torch.Generator(device=device)

    def attach_errors(
        self, errors: WeightErrors | None, *, generator: torch.Generator | None, frozen: bool
    ) -> None:
        """Read with these errors from now on; `frozen` draws them now, once."""
        self._errors, self._generator, self._frozen = errors, generator, None
        if frozen and errors is not None and generator is not None:
            self._frozen = self._with_errors(self.levels(), own=True)

    @property
    def attached(self) -> tuple[Any, ...]:
        """What `restore_attached` puts back."""
        return self._errors, self._generator, self._frozen

    @attached.setter
    def attached(self, state: tuple[Any, ...]) -> None:
        self._errors, self._generator, self._frozen = state

    def quantise(self) -> tuple[Tensor, Tensor | None]:
        """The levels as written, and the scale; None for 1."""
        return self._quantise(self.latent.detach())

    def _quantise(self, latent: Tensor) -> tuple[Tensor, Tensor | None]:
        levels, scale = self.quantiser.quantise(working(latent), self.dims(latent))
        if isinstance(self.quantiser, LearnedScale):
            scale = cast(Tensor, self.layer._parameters["weight_scale"])
        return levels, scale

    def dims(self, latent: Tensor) -> tuple[int, ...]:
        """The axes of the weight within one output channel."""
        channel = 1 if isinstance(self.layer, _TRANSPOSED) else 0
        return tuple(axis for axis in range(latent.dim()) if axis != channel)

    def _read(self, latent: Tensor) -> Tensor:
        if not self.enabled:
            return latent
        levels, scale = self._quantise(latent.detach())
        if self._frozen is not None:
            levels = self._frozen.to(levels)
        elif self._errors is not None:
            # The weights themselves, which are nobody's to overwrite, where there is no quantiser.
            levels = self._with_errors(levels, own=levels.data_ptr() != latent.data_ptr())
        return straight_through(latent, levels, scale)

    @torch.compiler.disable
    def _with_errors(self, levels: Tensor, *, own: bool) -> Tensor:
        assert self._errors is not None and self._generator is not None
        if torch._C._current_graph_task_id() != -1:
            raise InputError(
                f"{self.name}: errors would be drawn anew in the backward pass (activation "
                "checkpointing), and gradients be those of other weights; use mode='frozen'"
            )
        digits = self.quantiser.digits(levels)
        if len(digits) == 1:
            return self._errors.draw(levels, generator=self._generator, in_place=own)
        read = [self._errors.draw(one, generator=self._generator, in_place=True) for one in digits]
        return self._join(torch.stack(read))

    def _join(self, digits: Tensor) -> Tensor:
        if len(digits) == 1:
            return digits[0]
        places = digits.new_tensor(self.quantiser.places)
        return torch.tensordot(places, digits, dims=1)

    def _as_rows(self, digits: Tensor) -> NDArray[np.int8]:
        if len(digits) == 1 and not isinstance(self.layer, _TRANSPOSED):
            return digits[0].cpu().numpy().astype(np.int8)
        rows = torch.cat([self._to_matrix(one) for one in digits])
        return np.ascontiguousarray(rows.cpu().numpy().astype(np.int8))

    def _to_matrix(self, value: Tensor) -> Tensor:
        if not isinstance(self.layer, _TRANSPOSED):
            return value.reshape(len(value), -1)
        split = value.reshape(self.groups, -1, *value.shape[1:]).transpose(1, 2)
        return split.reshape(self.outputs, -1)

    def _from_matrix(self, matrix: Tensor, shape: torch.Size) -> Tensor:
        if not isinstance(self.layer, _TRANSPOSED):
            return matrix.reshape(shape)
        inputs = shape[0] // self.groups
        split = matrix.reshape(self.groups, shape[1], inputs, *shape[2:]).transpose(1, 2)
        return split.reshape(shape)

    def parameter(self, name: str) -> str:
        """The weight's name in the `state_dict` of a model that calls the layer `name`."""
        return f"{name}.{self.key}" if name else self.key

    def _owner(self, host: nn.Module) -> nn.Module:
        """Where a host, which may be a replica of ours, holds the weight."""
        return host if self.host is self.layer else cast(nn.Module, host.out_proj)

    def _parameter(self, layer: nn.Module) -> Tensor:
        found = layer._parameters.get(self.key)
        if found is not None:
            return found
        if getattr(layer, "_is_replica", False):
            why = "DataParallel copies it to several devices; use DistributedDataParallel"
        else:
            why = "restore the model and convert it again"
        raise InputError(f"{self.name}: its weight is no parameter any more; {why}")

    def _before(self, host: nn.Module, arguments: Any) -> None:
        del arguments
        if not torch.compiler.is_compiling() and self._inside != get_ident():
            self._lock.acquire()  # held already where this thread's last pass was interrupted
            self._inside = get_ident()
        layer = self._owner(host)
        # Python finds it before the parameter, which stays, whatever becomes of the forward pass.
        layer.__dict__[self.key] = self._read(self._parameter(layer))

    def _after(self, host: nn.Module, arguments: Any, output: Any) -> None:
        del arguments, output
        if torch.compiler.is_compiling():
            self._owner(host).__dict__.pop(self.key, None)
        elif self._inside == get_ident():
            self._owner(host).__dict__.pop(self.key, None)
            self._inside = None
            self._lock.release()

    def _replace(self, source: nn.Module, arguments: Any, output: Any) -> Any:
        del source, arguments
        read = self._read(_value(output))
        return read if isinstance(output, Tensor) else output._replace(value=read)


def _let_compilers_see_hooks() -> None:
    """What torch.compile made, of this model or of another of its form, would skip the hooks."""
    from torch._dynamo import config

    if config.skip_nnmodule_hook_guards:  # its default, for speed
        config.skip_nnmodule_hook_guards = False
        torch._dynamo.reset()


def reader_of(layer: nn.Module) -> WeightReader | None:
    """The reader that `convert` gave a layer, or None."""
    found = layer.__dict__.get("weight_reader")
    return found if isinstance(found, WeightReader) else None


def weight_key(layer: nn.Module) -> str:
    """The name of the parameter that is a layer's weight."""
    return "in_proj_weight" if isinstance(layer, nn.MultiheadAttention) else "weight"


def weight_source(layer: nn.Module) -> nn.Module | None:
    """The module that computes a layer's weight, if its parameter is not the weight itself."""
    key = weight_key(layer)
    if nn.utils.parametrize.is_parametrized(layer, key):
        return cast(nn.Module, cast(Any, layer).parametrizations[key])
    proxy = layer._modules.get("weight_quant")
    if proxy is not None and hasattr(layer, "quant_weight") and cast(Any, proxy).is_quant_enabled:
        return proxy
    return None


class without_hooks:
    """Inside the block a module computes without some of its forward hooks."""

    def __init__(self, module: nn.Module, handles: tuple[Any, ...]) -> None:
        self._hooks, self._ids = module._forward_hooks, {handle.id for handle in handles}

    def __enter__(self) -> None:
        self._kept = {key: hook for key, hook in self._hooks.items() if key in self._ids}
        for key in self._kept:
            del self._hooks[key]

    def __exit__(self, *error: object) -> None:
        self._hooks.update(self._kept)


@contextmanager
def _untouched(source: nn.Module) -> Iterator[None]:
    """Inside the block a parametrization in training does not move its buffers (spectral norm)."""
    training = [module for module in source.modules() if module.training]
    try:
        if isinstance(source, nn.utils.parametrize.ParametrizationList):
            source.eval()
        yield
    finally:
        for module in training:
            module.training = True


def _computed(layer: nn.Module, source: nn.Module) -> Any:
    return source(layer.weight) if hasattr(layer, "quant_weight") else source()


def _value(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else cast(Tensor, output.value)


def working(latent: Tensor) -> Tensor:
    """Half precision quantises in float32: its sums would be off, and the draws know no halves."""
    return latent if latent.dtype in (torch.float32, torch.float64) else latent.float()


ErrorMode = Literal["redrawn", "frozen"]
ReadErrors = WeightErrors | ErrorStatistics
"""A model of errors, or the counts of a campaign, from which each layer's model follows."""


def quantised_layers(network: nn.Module) -> dict[str, WeightReader]:
    """The converted layers by name, in the order of the model: quantiser, levels and errors."""
    found = ((name, reader_of(module)) for name, module in network.named_modules())
    return {name: reader for name, reader in found if reader is not None}


def set_weight_errors(
    network: nn.Module,
    errors: ReadErrors | Mapping[str, ReadErrors | None] | None,
    *,
    seed: int = 0,
    mode: ErrorMode = "redrawn",
) -> None:
    """Read the weights of every converted layer with `errors` from now on; None takes them off.

    `errors` are one model or one campaign's counts for all layers, or a mapping with each layer's
    own by name; a layer that it does not name is read without errors.

    mode "redrawn" draws anew at every forward pass, in training and in evaluation: what a read
    that fails now and then does. mode "frozen" draws once, now, from the weights as they are: what
    one chip with devices that always read wrong does. Frozen weights do not follow later changes of
    the network's weights until this is called again.

    Each layer has a generator of its own, seeded from (seed, position of the layer), so the errors
    of a layer do not depend on the others. Raises `InputError` if the errors do not fit the
    weights, the mode is unknown or the network has no converted layer.
    """
    if mode not in ("redrawn", "frozen"):
        raise InputError(f"mode = {mode!r}: must be 'redrawn' or 'frozen'")
    if seed < 0:
        raise InputError(f"seed = {seed}: must be 0 or above")
    layers = _layers(network)
    models = _models(layers, errors)
    for index, (name, layer) in enumerate(layers.items()):
        model = models[name]
        if model is None:
            layer.attach_errors(None, generator=None, frozen=False)
            continue
        state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
        generator = layer.error_generator()
        generator.manual_seed(int(state >> np.uint64(1)))
        layer.attach_errors(model, generator=generator, frozen=mode == "frozen")


@contextmanager
def without_weight_errors(network: nn.Module) -> Iterator[None]:
    """Read without errors inside the block, then as before; no random number is drawn."""
    saved = {layer: layer.attached for layer in quantised_layers(network).values()}
    for layer in saved:
        layer.attached = (None, None, None)
    try:
        yield
    finally:
        for layer, attached in saved.items():
            layer.attached = attached


def written_weights(network: nn.Module) -> dict[str, NDArray[np.int8]]:
    """What goes into the devices: every layer's digits, (outputs, ...) int8 of -1, 0 and +1.

    A layer of several slices, or a transposed one, gives its matrix (slices * outputs, inputs).
    Raises `InputError` if a layer's weights are not quantised.
    """
    found = {}
    for name, layer in _layers(network).items():
        if layer.weights == "full":
            raise InputError(f"{name}: weights = 'full' cannot be programmed as -1, 0 and +1")
        found[name] = layer.written()
    return found


def binary_layers(network: nn.Module) -> frozenset[str]:
    """The layers whose read-out must decide between -1 and +1."""
    return frozenset(
        name for name, layer in quantised_layers(network).items() if layer.weights == "binary"
    )


def set_read_weights(network: nn.Module, weights: Mapping[str, NDArray[np.int8]]) -> None:
    """Read these digits from now on, as one chip read them, until errors are set otherwise.

    `weights` has every converted layer by name, as `written_weights` gives them; raises
    `InputError` if one is missing, unknown, of another shape or holds something else.
    """
    layers = _layers(network)
    if set(weights) != set(layers):
        raise InputError(
            f"weights read for the layers {', '.join(sorted(weights)) or 'none'}: the network has "
            f"{', '.join(sorted(layers))}"
        )
    for name, wanted in written_weights(network).items():
        if weights[name].shape != wanted.shape:
            raise InputError(
                f"{name}: weights read of shape {weights[name].shape}, the layer has {wanted.shape}"
            )
        if not np.isin(weights[name], (-1, 0, 1)).all():
            raise InputError(f"{name}: weights read must be -1, 0 or +1")
    for name, layer in layers.items():
        layer.attach_read(weights[name])


def _layers(network: nn.Module) -> dict[str, WeightReader]:
    layers = quantised_layers(network)
    if not layers:
        raise InputError(
            "the network has no converted layer to read weights of; convert it with "
            "rramsim.nn.convert first"
        )
    return layers


def _models(
    layers: dict[str, WeightReader], errors: ReadErrors | Mapping[str, ReadErrors | None] | None
) -> dict[str, WeightErrors | None]:
    """Each layer's errors, all of them checked before any is attached."""
    if isinstance(errors, Mapping):
        unknown = sorted(set(errors) - set(layers))
        if unknown:
            raise InputError(
                f"read errors for {unknown[0]}: no converted layer of this name; there are "
                f"{', '.join(layers)}"
            )
        wanted = {name: errors.get(name) for name in layers}
    else:
        wanted = dict.fromkeys(layers, errors)
    found: dict[str, WeightErrors | None] = {}
    for name, own in wanted.items():
        kind = layers[name].weights
        model = errors_of_statistics(own, kind) if isinstance(own, ErrorStatistics) else own
        if not isinstance(model, WeightErrors | None):
            raise InputError(
                f"read errors = {model!r}: must be a model of errors such as BinaryFlips(0.01), or "
                "counts"
            )
        if model is not None:
            model.check_weights(layers[name].quantiser.kind)
        found[name] = model
    return found
