"""A converted model's accuracy and energy at every supply, with intervals."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor, nn

from rramsim.costs import (
    accuracy_loss,
    inference_energy,
    mean_accuracy,
    sense_energy_at,
)
from rramsim.counting import statistics_at
from rramsim.learning import classified_right
from rramsim.networks import errors_of_statistics, layer_census, quantised_layers, set_weight_errors
from rramsim.nn.sources import dataset_of, selected

__all__ = ["test", "without_quantisers"]


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
    same inputs, energies of the weight reads in joule; and two more: `accuracy_full_precision`
    without any quantiser and `quantiser_loss` with `quantiser_loss_low` and `_high`, what the
    quantisers alone cost. The model is left as it was.
    """
    dataset = dataset_of(source)
    readers = quantised_layers(model)
    census = layer_census(model, inputs[: min(64, len(inputs))])

    def right() -> np.ndarray[Any, np.dtype[np.bool_]]:
        return classified_right(model, inputs, labels, batch=batch)

    before = {reader: reader.attached for reader in readers.values()}
    rows = []
    try:
        set_weight_errors(model, None)
        clean = right()
        with without_quantisers(model):
            full = right()
        alone = accuracy_loss(full, clean[None])
        kinds = {reader.quantiser.kind for reader in readers.values()}
        kind = next(iter(kinds)) if len(kinds) == 1 else "mixed"
        for at in selected(dataset):
            statistics = statistics_at(dataset, at)
            noisy = []
            for draw in range(draws):
                rng = np.random.default_rng([seed, draw])
                models = {own: errors_of_statistics(statistics, own, rng=rng) for own in kinds}
                errors = {key: models[reader.quantiser.kind] for key, reader in readers.items()}
                set_weight_errors(model, errors, seed=seed * 1_000_003 + draw, mode="frozen")
                noisy.append(right())
            mean = mean_accuracy([int(r.sum()) for r in noisy], images=len(labels))
            loss = accuracy_loss(clean, np.array(noisy))
            row = {
                "network": name or type(model).__name__,
                "architecture": type(model).__name__,
                "width": sum(layer.outputs for layer in census),
                "weights": kind,
                "activations": "own",
                "trained_with_errors": "none",
                "data": f"{len(labels)} inputs",
                "vdd_v": at.vdd_v,
                "temperature_c": at.temperature_c,
                "corner": at.corner,
                "window_s": at.window_s,
                "type1": statistics.type1.value,
                "type2": statistics.type2.value,
                "type3": statistics.type3.value,
                "binary": statistics.binary.value,
                "accuracy": mean.value,
                "accuracy_low": mean.low,
                "accuracy_high": mean.high,
                "accuracy_without_errors": float(clean.mean()),
                "draws": draws,
                "images": len(labels),
                "loss": loss.value,
                "loss_low": loss.low,
                "loss_high": loss.high,
                "loss_deviation": loss.deviation,
                "loss_image_error": loss.image_error,
            }
            sense = sense_energy_at(dataset, at)
            for flow in ("once", "per_use"):
                energy = inference_energy(census, sense, flow=flow)
                row[f"energy_{flow}_j"] = energy.value_j
                row[f"energy_{flow}_low_j"] = energy.low_j
                row[f"energy_{flow}_high_j"] = energy.high_j
            rows.append(
                row
                | {
                    "accuracy_full_precision": float(full.mean()),
                    "quantiser_loss": alone.value,
                    "quantiser_loss_low": alone.low,
                    "quantiser_loss_high": alone.high,
                }
            )
    finally:
        for reader, attached in before.items():
            reader.attached = attached
    return pd.DataFrame(rows)
