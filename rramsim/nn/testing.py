"""A converted model's accuracy and energy at every supply, with intervals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from rramsim.costs import accuracy_loss, sense_energy_at, tradeoff_row
from rramsim.counting import statistics_at
from rramsim.learning import classified_right
from rramsim.networks import (
    errors_of_statistics,
    layer_census,
    quantised_layers,
    set_weight_errors,
)
from rramsim.nn.sources import dataset_of, selected

__all__ = ["test", "without_quantisers"]

_CENSUS_INPUTS = 64


@contextmanager
def without_quantisers(model: nn.Module) -> Iterator[None]:
    """Inside the block the model computes with its full-precision weights."""
    readers = list(quantised_layers(model).values())
    for reader in readers:
        reader.enabled = False
    try:
        yield
    finally:
        for reader in readers:
            reader.enabled = True


def test(
    model: nn.Module,
    source: str | Path | xr.Dataset,
    inputs: Tensor,
    labels: Tensor,
    *,
    draws: int = 4,
    seed: int = 0,
    name: str | None = None,
    batch: int = 250,
) -> pd.DataFrame:
    """Test a converted classifier with the read errors of every supply of a sweep.

    `inputs` (N, ...) and `labels` (N,) are the test set. Each draw freezes rates (drawn from what
    the counts leave open) and errors, as one chip of independent errors has them. One row a supply,
    columns as `rramsim.costs.TRADEOFF_COLUMNS`: accuracy with its 95 % interval, its loss on the
    same inputs, energies of the weight reads in joule; and more: `accuracy_full_precision`
    without any quantiser and `quantiser_loss` with `quantiser_loss_low` and `_high`, what the
    quantisers alone cost. The model is left as it was. Raises `InputError` if it has no converted
    layer or the inputs and labels do not fit.
    """
    dataset = dataset_of(source)
    readers = quantised_layers(model)
    census = layer_census(model, inputs[:_CENSUS_INPUTS])
    kinds = {reader.quantiser.kind for reader in readers.values()}
    spec = _Named(
        name=name or type(model).__name__,
        architecture=type(model).__name__,
        width=census[0].outputs,
        weights=next(iter(kinds)) if len(kinds) == 1 else "mixed",
        activations="own",
    )
    before = {reader: reader.attached for reader in readers.values()}
    rows = []
    try:
        set_weight_errors(model, None)
        clean = classified_right(model, inputs, labels, batch=batch)
        full = clean
        if not all(torch.equal(r.latent, r.quantised_weight()) for r in readers.values()):
            with without_quantisers(model):
                full = classified_right(model, inputs, labels, batch=batch)
        alone = accuracy_loss(full, clean[None])
        quantiser = {
            "accuracy_full_precision": float(full.mean()),
            "quantiser_loss": alone.value,
            "quantiser_loss_low": alone.low,
            "quantiser_loss_high": alone.high,
        }
        for at in selected(dataset):
            statistics = statistics_at(dataset, at)
            noisy = []
            for draw in range(draws):
                rng = np.random.default_rng([seed, draw])
                models = {kind: errors_of_statistics(statistics, kind, rng=rng) for kind in kinds}
                errors = {key: models[reader.quantiser.kind] for key, reader in readers.items()}
                set_weight_errors(model, errors, seed=seed * 1_000_003 + draw, mode="frozen")
                noisy.append(classified_right(model, inputs, labels, batch=batch))
            row = tradeoff_row(
                spec=spec, trained_with="none", data=f"{len(labels)} inputs", conditions=at,
                engine=dataset.attrs.get("engine", "engine not recorded"), statistics=statistics,
                sense=sense_energy_at(dataset, at), census=census, clean=clean,
                noisy=np.array(noisy),
            )  # fmt: skip
            rows.append(row | quantiser)
    finally:
        for reader, attached in before.items():
            reader.attached = attached
    return pd.DataFrame(rows)


test.__test__ = False  # type: ignore[attr-defined] # pytest must not take it for one of its own


@dataclass(frozen=True, kw_only=True)
class _Named:
    """What the trade-off's rows call a model that is none of ours."""

    name: str
    architecture: str
    width: int
    weights: str
    activations: str
