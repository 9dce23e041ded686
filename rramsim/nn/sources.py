"""Where read errors come from: a run's folder, a sweep's dataset, counts, a model, a chip."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

import xarray as xr
from torch import nn

from rramsim.chips import ChipRead
from rramsim.circuits import SenseConditions
from rramsim.counting import ErrorStatistics, conditions_of, load_dataset, statistics_at
from rramsim.exceptions import InputError
from rramsim.networks import (
    ErrorMode,
    ReadErrors,
    WeightErrors,
    quantised_layers,
    set_read_weights,
    set_weight_errors,
)

ErrorSource = str | Path | xr.Dataset | ErrorStatistics | WeightErrors
"""A run's folder or its `sense.nc`, such a dataset, counts, or a model of errors."""


def dataset_of(source: str | Path | xr.Dataset) -> xr.Dataset:
    """The dataset of a sweep: itself, a file, or the `sense.nc` of a run's folder."""
    if isinstance(source, xr.Dataset):
        return source
    if not isinstance(source, str | Path):
        raise InputError(
            f"read errors from a {type(source).__name__}: must be a run's folder, a sweep's "
            "dataset, its counts, a model of errors such as BinaryFlips(0.01), or what a chip read"
        )
    path = Path(source)
    return load_dataset(path / "sense.nc" if path.is_dir() else path)


def selected(
    dataset: xr.Dataset,
    *,
    vdd_v: float | None = None,
    temperature_c: float | None = None,
    corner: str | None = None,
    window_s: float | None = None,
) -> list[SenseConditions]:
    """The conditions of a sweep that match; what is left out is its first, but for the supply.

    Raises `InputError`, naming what there is, if nothing matches.
    """
    everything = conditions_of(dataset)
    first = everything[0]
    wanted = {
        "temperature_c": first.temperature_c if temperature_c is None else temperature_c,
        "corner": corner or first.corner,
        "window_s": first.window_s if window_s is None else window_s,
    }
    if vdd_v is not None:
        wanted["vdd_v"] = vdd_v
    found = [c for c in everything if all(getattr(c, key) == v for key, v in wanted.items())]
    if found:
        return found
    for key, value in wanted.items():
        present = sorted({getattr(c, key) for c in everything})
        if value not in present:
            raise InputError(f"{key} = {value!r}: was not simulated; there are {present}")
    raise InputError(f"no senses were simulated at {wanted}")


def statistics_of(
    source: ErrorSource, *, vdd_v: float | None = None, temperature_c: float | None = None,
    corner: str | None = None, window_s: float | None = None,
) -> ReadErrors:  # fmt: skip
    """The counts of a source under one set of conditions; counts and models as they are.

    `vdd_v` may be left out where a sweep has one supply only.
    """
    if isinstance(source, ErrorStatistics | WeightErrors):
        return source
    dataset = dataset_of(source)
    found = selected(
        dataset, vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
    )
    if len(found) > 1:
        raise InputError(f"vdd_v: left out, must be one of {[c.vdd_v for c in found]}")
    return statistics_at(dataset, found[0])


@contextmanager
def read_errors(
    model: nn.Module,
    source: ErrorSource | ChipRead,
    *,
    vdd_v: float | Mapping[str, float] | None = None,
    temperature_c: float | None = None,
    corner: str | None = None,
    window_s: float | None = None,
    mode: ErrorMode = "redrawn",
    seed: int = 0,
) -> Iterator[None]:
    """Read a converted model's weights with errors inside the block, then as before.

    `source`: a run's folder, a sweep's dataset, its counts, a model of errors, or what one chip
    read. `vdd_v` picks the supply; a mapping from layer names (with * and ?) gives layers supplies
    of their own, and a layer that it does not name has no errors. `mode`: "redrawn" at every
    forward pass, or "frozen", drawn once. A chip's read is frozen by nature.
    """
    layers = quantised_layers(model)
    before = {layer: layer.attached for layer in layers.values()}
    at = {"temperature_c": temperature_c, "corner": corner, "window_s": window_s}
    try:
        if isinstance(source, ChipRead):
            set_read_weights(model, source.weights)
        elif isinstance(vdd_v, Mapping):
            errors: dict[str, ReadErrors | None] = {}
            for name in layers:
                supplies = [v for pattern, v in vdd_v.items() if fnmatchcase(name, pattern)]
                if supplies:
                    errors[name] = _at(source, supplies[0], at)
            _refuse_unused(vdd_v, list(layers))
            set_weight_errors(model, errors, seed=seed, mode=mode)
        else:
            set_weight_errors(model, _at(source, vdd_v, at), seed=seed, mode=mode)
        yield
    finally:
        for layer, attached in before.items():
            layer.attached = attached


def _at(source: ErrorSource, vdd_v: float | None, at: Mapping[str, object]) -> ReadErrors:
    return statistics_of(source, vdd_v=vdd_v, **cast(dict[str, None], at))


def _refuse_unused(supplies: Mapping[str, float], names: list[str]) -> None:
    for pattern in supplies:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"vdd_v of {pattern!r}: no converted layer of this name; there are "
                f"{', '.join(names)}"
            )
