"""A network that a user's own Python builds: "my_model:build" beside the experiment file.

Nothing here is run unless the caller has the user's leave: building the network imports the module.
"""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import nn

from rramsim.exceptions import InputError
from rramsim.networks.architectures import Standardise
from rramsim.networks.conversion import convert
from rramsim.networks.quantisers import Binary, Quantiser, Twn, WeightKind
from rramsim.networks.reading import quantised_layers
from rramsim.networks.weight_files import load_weights
from rramsim.numbers import check_limits

Pixels = Literal["standardised", "unit", "bytes"]
"""How images reach a module: mean 0 and deviation 1 in each channel, 0 to 1, or 0 to 255."""

_QUANTISERS: dict[str, Quantiser] = {"ternary": Twn(), "binary": Binary(scale="tensor")}


@dataclass(frozen=True, kw_only=True)
class ModuleSpec:
    """What a network of somebody's own Python is, apart from its weights.

    `module` is "file:function", the file beside the experiment in `folder`, or an installed
    package's module; `code_sha256` is of that file. The function is called without arguments, or
    with those of `input_shape` and `classes` that it names, and returns an `nn.Module` that takes
    (B, channels, height, width) floats and returns scores (B, classes). Layers are converted with
    Twn or Binary by `weights`, unless the function converted some itself. `weights_file`, if not
    empty, has the finished weights, of this `weights_sha256`.
    """

    module: str
    code_sha256: str
    weights: WeightKind
    pixels: Pixels
    input_shape: tuple[int, ...]
    classes: int
    weights_file: str = ""
    weights_sha256: str = ""
    folder: InitVar[Path] = Path()

    architecture = "own"
    width = 0
    activations = "own"

    def __post_init__(self, folder: Path) -> None:
        # Where the file lies is nothing that the network depends on.
        object.__setattr__(self, "_folder", Path(folder))
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        check_limits(self)

    @property
    def name(self) -> str:
        """The module's name and function, and the weights' levels."""
        return f"{self.module.replace(':', '.')}-{self.weights}"

    def build(self, *, seed: int) -> nn.Module:
        """Import the module, call its function and convert what it returns.

        Raises `InputError` of one line, naming `module`, for anything but a module that takes such
        images and can be converted.
        """
        folder: Path = self._folder  # type: ignore[attr-defined]
        with torch.random.fork_rng(devices=[]), _importable(folder):
            torch.manual_seed(seed)
            model = self._called(folder)
            if self.weights_file:
                load_weights(model, folder / self.weights_file)
            try:
                if not quantised_layers(model):
                    convert(model, _QUANTISERS[self.weights])
            except InputError as error:
                raise InputError(f"{_key(self.module)}: {error}") from error
            other = {x.quantiser.kind for x in quantised_layers(model).values()} - {self.weights}
            if other:
                raise InputError(
                    f"{_key(self.module)}: has {', '.join(sorted(other))} weights, where [network] "
                    f"weights = {self.weights!r}"
                )
            network = OwnNetwork(self, model)
            self._check(network)
        return network

    def _called(self, folder: Path) -> nn.Module:
        name, _, function = self.module.partition(":")
        found = _imported(self.module, folder)
        build = getattr(found, function, None)
        if not callable(build):
            raise InputError(f"{_key(self.module)}: {name} has no function {function}")
        given = {"input_shape": self.input_shape, "classes": self.classes}
        try:
            wanted = inspect.signature(build).parameters
            model = build(**{key: value for key, value in given.items() if key in wanted})
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{_key(self.module)}: failed when called ({_told(error)})") from error
        if not isinstance(model, nn.Module):
            raise InputError(
                f"{_key(self.module)}: returned a {type(model).__name__}, must be a torch.nn.Module"
            )
        return model

    def _check(self, network: nn.Module) -> None:
        example = torch.zeros((2, *self.input_shape))
        try:
            with torch.no_grad():
                scores = network.eval()(example)
        except Exception as error:
            raise InputError(
                f"{_key(self.module)}: does not take images {tuple(example.shape)} ({_told(error)})"
            ) from error
        finally:
            network.train()
        if getattr(scores, "shape", None) != (2, self.classes):
            shape = tuple(getattr(scores, "shape", ())) or type(scores).__name__
            raise InputError(
                f"{_key(self.module)}: gives {shape} for 2 images, must be scores (2, "
                f"{self.classes})"
            )


class OwnNetwork(nn.Sequential):
    """The module, with its pixels scaled before it; pickled as its spec and its weights.

    So another process builds it by the spec, and needs no class of the user's to unpickle.
    """

    def __init__(self, spec: ModuleSpec, model: nn.Module) -> None:
        scale = {
            "standardised": Standardise(spec.input_shape[0]),
            "unit": Standardise(spec.input_shape[0], deviation=255.0),
            "bytes": Standardise(spec.input_shape[0], deviation=1.0),
        }[spec.pixels]
        super().__init__(OrderedDict(standardise=scale, network=model))
        self.spec = spec

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle and copy store."""
        return _rebuilt, (self.spec, self.state_dict(), self.training)


def _rebuilt(spec: ModuleSpec, state: dict[str, Any], training: bool) -> nn.Module:
    network = spec.build(seed=0)
    network.load_state_dict(state)
    return network.train(training)


def module_file(module: str, folder: Path) -> Path:
    """The file of "name:function": beside the experiment, or an installed module's.

    Raises `InputError` if the text is not of this form or there is no such module.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", module):
        raise InputError(f"{_key(module)}: must be of the form 'my_model:build'")
    name = module.partition(":")[0]
    path = folder.joinpath(*name.split("."))
    for own in (path.with_suffix(".py"), path / "__init__.py"):
        if own.is_file():
            return own
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.origin or not Path(found.origin).is_file():
        raise InputError(
            f"{_key(module)}: no {name.replace('.', '/')}.py in {folder}, and no installed module "
            f"{name}"
        )
    return Path(found.origin)


def _imported(module: str, folder: Path) -> ModuleType:
    name, file = module.partition(":")[0], module_file(module, folder)
    try:
        if not file.is_relative_to(folder.resolve()) and not file.is_relative_to(folder):
            return importlib.import_module(name)
        # Two experiments may have a module of one name.
        content = file.read_bytes()
        unique = f"rramsim_own_{hashlib.sha256(str(file).encode() + content).hexdigest()[:16]}"
        if unique in sys.modules:
            return sys.modules[unique]
        spec = importlib.util.spec_from_file_location(unique, file)
        assert spec is not None and spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules[unique] = found
        try:
            spec.loader.exec_module(found)
        except BaseException:
            del sys.modules[unique]
            raise
        return found
    except (Exception, SystemExit) as error:
        raise InputError(f"{_key(module)}: {file} cannot be imported ({_told(error)})") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Inside the block the module finds its neighbours."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _key(module: str) -> str:
    return f"[network] module = {module!r}"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
