"""Weights in files that others read and write: safetensors, `.npz`, PyTorch's `.pt`."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.imports import require_package
from rramsim.networks.reading import quantised_layers

_FORMS = ".safetensors, .npz, .pt or .pth"


def save_weights(model: nn.Module, path: str | Path, *, quantised: bool = False) -> None:
    """Write a model's `state_dict`, by the file's ending: .safetensors, .npz, .pt or .pth.

    `quantised`: converted layers' weights as what lies in the devices, levels times scale, in place
    of the full-precision ones; `Quantised` finds both again. Whole or not at all; raises
    `InputError` for another ending, or bfloat16 in an `.npz`, which knows none.
    """
    path = Path(path)
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    if quantised:
        for name, reader in quantised_layers(model).items():
            if (key := reader.parameter(name)) in state:
                state[key] = reader.quantised_weight().cpu().contiguous()
    if path.suffix == ".safetensors":
        require_package("safetensors", "weights in .safetensors files")
        from safetensors.torch import save_file

        with atomic_path(path) as temporary:
            save_file({name: value.clone() for name, value in state.items()}, temporary)
    elif path.suffix == ".npz":
        for name, value in state.items():
            if value.dtype == torch.bfloat16:
                raise InputError(f"{path}: {name} is {value.dtype}, which .npz lacks; .safetensors")
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **{name: value.numpy() for name, value in state.items()})
    elif path.suffix in (".pt", ".pth"):
        with atomic_path(path) as temporary:
            torch.save(state, temporary)
    else:
        raise InputError(f"{path}: must end in {_FORMS}")


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Copy a file's tensors into a model of the same names and shapes, all of them or none.

    Reads .safetensors, `.npz` and PyTorch's .pt or .pth, whose `state_dict` may lie under that key;
    no pickled code is run. Raises `InputError` of one line, naming the tensor, for one that is
    missing, unknown, of another shape, or not finite.
    """
    path = Path(path)
    given, wanted = _read(path), model.state_dict()
    for name, own in wanted.items():
        if name not in given:
            raise InputError(f"{path}: has no {name}, which the model has; {_some(given)}")
        if given[name].shape != own.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(given[name].shape)}, the model has "
                f"{tuple(own.shape)}"
            )
        if given[name].is_floating_point() and not bool(torch.isfinite(given[name]).all()):
            raise InputError(f"{path}: {name} holds values that are not finite")
    for name in given:
        if name not in wanted:
            raise InputError(f"{path}: {name} is unknown to the model; {_some(wanted)}")
    model.load_state_dict(given)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            require_package("safetensors", "weights in .safetensors files")
            from safetensors.torch import load_file

            return dict(load_file(path))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                return {name: torch.from_numpy(stored[name]) for name in stored.files}
        if path.suffix not in (".pt", ".pth"):
            raise InputError(f"{path}: must end in {_FORMS}")
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (InputError, ImportError):
        raise
    except Exception as error:  # safetensors' own, zip's, and whatever torch's unpickler meets
        raise InputError(f"{path}: not a whole {path.suffix} file ({_told(error)})") from error
    if isinstance(values, dict) and isinstance(values.get("state_dict"), dict):
        values = values["state_dict"]
    if not isinstance(values, dict) or not all(isinstance(v, Tensor) for v in values.values()):
        raise InputError(f"{path}: holds no state_dict (names and tensors)")
    return values


def _some(names: dict[str, Tensor]) -> str:
    shown = ", ".join(sorted(names)[:6])
    return f"there are {shown}{', ...' if len(names) > 6 else ''}"


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
