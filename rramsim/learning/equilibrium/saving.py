"""A trained energy-based network on disk: tensors and plain values, never pickled code."""

import json
from dataclasses import asdict
from pathlib import Path

import torch

from rramsim.exceptions import InputError
from rramsim.learning.checkpoints import read_tensors, write_tensors
from rramsim.learning.equilibrium.network import EquilibriumNetwork, EquilibriumSpec
from rramsim.learning.equilibrium.pixels import Pixels

__all__ = ["load_equilibrium", "save_equilibrium"]

_FORMAT = "rramsim equilibrium 1"


def save_equilibrium(path: Path, network: EquilibriumNetwork, pixels: Pixels) -> None:
    """Write a network and what its inputs are, whole or not at all.

    Raises `InputError` if a weight is not a finite number or the path cannot be written.
    """
    for name, value in network.parameters.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: not written, {name} holds values that are not finite")
    write_tensors(
        path,
        {
            "format": _FORMAT,
            "spec": json.dumps(asdict(network.spec)),
            "pixels": json.dumps(asdict(pixels)),
            "parameters": {n: p.detach().cpu() for n, p in network.parameters.items()},
        },
    )


def load_equilibrium(path: Path) -> tuple[EquilibriumNetwork, Pixels]:
    """Read what `save_equilibrium` wrote; `InputError` of one line if it is not that."""
    path = Path(path)
    values = read_tensors(path, wanted=_FORMAT)
    try:
        fields = json.loads(values["spec"])
        spec = EquilibriumSpec(**fields)
        pixels = Pixels(**{key: tuple(v) for key, v in json.loads(values["pixels"]).items()})
        parameters = dict(values["parameters"])
        shapes = {name: value.shape for name, value in spec.build(seed=0).parameters.items()}
        if {name: value.shape for name, value in parameters.items()} != shapes:
            raise ValueError("its weights do not fit the network it names")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not a whole rramsim network ({error})") from error
    for name, value in parameters.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds values that are not finite")
    return EquilibriumNetwork(spec=spec, parameters=parameters), pixels
