"""The results that a run's folder holds, each read and checked, or None where it is not there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ValidationError

from rramsim.biterrors import load_dataset
from rramsim.costs import TRADEOFF_COLUMNS
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures.report import ChipsRecord, ErrorsRecord, ProvenanceRecord, SharesRecord
from rramsim.pipeline.folder import RunFolder

__all__ = ["RunResults", "read_results"]

Record = TypeVar("Record", bound=BaseModel)

_SENSE_DIMS = ("vdd", "temperature", "corner", "window", "written")
_SENSE_VARIABLES = ("energy_j", "energy_se_j", "resolve_time_s", "resolve_time_sd_s")
_TEXTS = {
    "network", "architecture", "weights", "activations", "trained_with_errors", "data", "corner",
    "kind",
}  # fmt: skip
_TRAINING_COLUMNS = ("network", "trained_with_errors", "data", "seed", "epoch", "test_accuracy")
_CHIP_COLUMNS = ("network", "kind", "chip", "accuracy", "accuracy_without_errors")
_MAY_BE_EMPTY = {"type1", "type2", "type3", "binary"}


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What each stage left; None where it was not run."""

    experiment: Experiment | None
    sense: xr.Dataset | None
    errors: ErrorsRecord | None
    shares: SharesRecord | None
    training: pd.DataFrame | None
    tradeoff: pd.DataFrame | None
    chips: pd.DataFrame | None
    chip_summary: ChipsRecord | None
    provenance: ProvenanceRecord | None


def read_results(folder: RunFolder) -> RunResults:
    """Read every result of a folder.

    Raises `InputError` of one line if a file is damaged, or the folder holds no result at all.
    """
    results = RunResults(
        experiment=folder.load_experiment() if folder.experiment.is_file() else None,
        sense=_sense(folder.sense),
        errors=_record(folder.errors, ErrorsRecord, f"rramsim errors {folder.path}"),
        shares=_record(folder.shares, SharesRecord, "rramsim shares"),
        training=_table(folder.training, _TRAINING_COLUMNS, "rramsim train"),
        tradeoff=_table(folder.tradeoff, TRADEOFF_COLUMNS, f"rramsim tradeoff {folder.path}"),
        chips=_table(folder.chips, _CHIP_COLUMNS, "rramsim chips"),
        chip_summary=_record(folder.chip_summary, ChipsRecord, "rramsim chips"),
        provenance=_record(folder.provenance, ProvenanceRecord, "rramsim run"),
    )
    found = (results.sense, results.errors, results.shares, results.training, results.tradeoff,
             results.chips, results.chip_summary)  # fmt: skip
    if all(result is None for result in found):
        raise InputError(
            f"{folder.path}: holds no results of rramsim; make them with 'rramsim run "
            f"EXPERIMENT.toml --out {folder.path}'"
        )
    return results


def _sense(path: Path) -> xr.Dataset | None:
    if not path.is_file():
        return None
    dataset = load_dataset(path)
    wrong = [
        name
        for name in _SENSE_VARIABLES
        if name not in dataset or dataset[name].dims != _SENSE_DIMS
    ]
    wrong += [name for name in ("count", "nominal_resolve_time_s") if name not in dataset]
    wrong += [name for name in ("engine", "circuit", "process") if name not in dataset.attrs]
    if wrong:
        raise InputError(f"{path}: damaged (lacks {', '.join(wrong)}); sweep again")
    return dataset


def _record(path: Path, kind: type[Record], made_by: str) -> Record | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); make it again with {made_by}") from error
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: damaged ({at + ': ' if at else ''}{first['msg']}); make it again with "
            f"{made_by}"
        ) from error


def _table(path: Path, columns: tuple[str, ...], made_by: str) -> pd.DataFrame | None:
    if not path.is_file():
        return None

    def damaged(what: Any) -> InputError:
        line = " ".join(str(what).split())
        return InputError(f"{path}: damaged ({line}); make it again with {made_by}")

    try:
        # Names may look like numbers, and "none" is a word here, not a gap.
        table = pd.read_csv(
            path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=["", "nan"]
        )
    except (OSError, ValueError) as error:
        raise damaged(error) from error
    missing = [name for name in columns if name not in table]
    if missing:
        raise damaged(f"lacks the columns {', '.join(missing)}")
    if table.empty:
        raise damaged("holds no row")
    for name in columns:
        if name in _TEXTS:
            table[name] = table[name].fillna("")
            continue
        try:
            values = table[name].to_numpy(dtype=float)
        except (ValueError, TypeError) as error:
            raise damaged(f"column {name}: {error}") from error
        if name not in _MAY_BE_EMPTY and not np.isfinite(values).all():
            raise damaged(f"column {name}: a number is missing")
        if name.startswith("accuracy") and ((values < 0) | (values > 1)).any():
            raise damaged(f"column {name}: an accuracy lies between 0 and 1")
    return table
