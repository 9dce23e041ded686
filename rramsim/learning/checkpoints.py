"""Networks and half-finished trainings on disk: tensors and plain values, never pickled code."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.networks import RECIPES, ModuleSpec, NetworkSpec

__all__ = ["load_network", "read_tensors", "save_network", "write_tensors"]

_FORMAT = "rramsim network 1"


def write_tensors(path: Path, values: dict[str, Any]) -> None:
    """Write a dictionary of tensors and plain values, whole or not at all."""
    with atomic_path(path) as temporary:
        torch.save(values, temporary)


def read_tensors(path: Path, *, wanted: str) -> dict[str, Any]:
    """Read what `write_tensors` wrote, on the CPU; `wanted` is its "format" entry.

    Raises `InputError` of one line if the file is missing, cut short, holds anything but tensors
    and plain values, or is of another format.
    """
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # torch's restricted unpickler raises whatever the bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{path}: not a whole rramsim checkpoint ({reason})") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != wanted:
        raise InputError(f"{path}: its format is {found!r}, must be {wanted!r}")
    return values


def save_network(path: Path, spec: NetworkSpec | ModuleSpec, network: nn.Module) -> None:
    """Write a network and what it is, whole or not at all.

    Raises `InputError` if a weight is not a finite number or the path cannot be written.
    """
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: not written, {name} holds values that are not finite")
    cpu = {name: tensor.detach().cpu() for name, tensor in state.items()}
    write_tensors(path, {"format": _FORMAT, "spec": json.dumps(asdict(spec)), "state": cpu})


def load_network(
    path: Path, *, expected: NetworkSpec | ModuleSpec | None = None
) -> tuple[NetworkSpec | ModuleSpec, nn.Module]:
    """Read a network written by `save_network`, in evaluation mode on the CPU.

    Raises `InputError` of one line if the file is missing or cut short, or if it holds another
    network than `expected`. One of a user's own Python (`ModuleSpec`) is read only if it is
    expected: a file alone never has code imported.
    """
    path = Path(path)
    values = read_tensors(path, wanted=_FORMAT)
    try:
        fields = json.loads(values["spec"])
        fields["input_shape"] = tuple(fields["input_shape"])
        # A file that names no thresholds is older than they are.
        spec: NetworkSpec | ModuleSpec = (
            ModuleSpec(**fields)
            if "module" in fields
            else NetworkSpec(**(RECIPES["published"] | fields))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not say which network it holds ({error})") from error
    if isinstance(spec, ModuleSpec) and not isinstance(expected, ModuleSpec):
        raise InputError(
            f"{path}: holds weights of {spec.module!r}, somebody's own Python; it is read only by "
            "the experiment that names it"
        )
    if expected is not None and spec != expected:
        difference = ", ".join(
            f"{key} = {asdict(spec).get(key)!r}, wanted {value!r}"
            for key, value in asdict(expected).items()
            if asdict(spec).get(key) != value
        )
        raise InputError(f"{path}: holds another network ({difference})")
    network = (expected or spec).build(seed=0)
    load_state(network, values.get("state"), path)
    return spec, network.eval()


def load_state(network: nn.Module, state: object, path: Path) -> None:
    """Copy a state dictionary read from `path` into `network`; `InputError` if it does not fit."""
    try:
        if not isinstance(state, dict):
            raise RuntimeError("no weights")
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{path}: its weights do not fit the network it names ({reason})"
        ) from error
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: {name} holds values that are not finite")
