"""The results that a run's folder holds, each read and checked, or None where it is not there."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import xarray as xr
from pydantic import BaseModel, ValidationError

from rramsim.counting import load_dataset
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures.report import (
    BoundaryRow,
    ChipRow,
    ChipsRecord,
    ErrorsRecord,
    ProvenanceRecord,
    SharesRecord,
    TradeoffRow,
    TrainingRow,
    WearRow,
)
from rramsim.schemas import FILE_SCHEMAS, check_schema
from rramsim.stages.folder import RunFolder

__all__ = ["RunResults", "read_results", "read_tradeoff", "swept_circuit"]

Record = TypeVar("Record", bound=BaseModel)

_SENSE_DIMS = ("vdd", "temperature", "corner", "window", "written")
_SENSE_VARIABLES = ("energy_j", "energy_se_j", "resolve_time_s", "resolve_time_sd_s")


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """What each stage left; None where it was not run."""

    experiment: Experiment | None
    sense: xr.Dataset | None
    errors: ErrorsRecord | None
    shares: SharesRecord | None
    boundary: tuple[BoundaryRow, ...] | None
    training: tuple[TrainingRow, ...] | None
    wear: tuple[WearRow, ...] | None
    tradeoff: tuple[TradeoffRow, ...] | None
    chips: tuple[ChipRow, ...] | None
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
        boundary=_rows(folder.boundary, BoundaryRow, "rramsim boundary"),
        wear=_rows(folder.wear, WearRow, "rramsim train"),
        training=_rows(folder.training, TrainingRow, "rramsim train"),
        tradeoff=read_tradeoff(folder),
        chips=_rows(folder.chips, ChipRow, "rramsim chips"),
        chip_summary=_record(folder.chip_summary, ChipsRecord, "rramsim chips"),
        provenance=_record(folder.provenance, ProvenanceRecord, "rramsim run"),
    )
    found = (results.sense, results.errors, results.shares, results.training, results.tradeoff,
             results.chips, results.chip_summary, results.boundary)  # fmt: skip
    if all(result is None for result in found):
        raise InputError(
            f"{folder.path}: holds no results of rramsim; make them with 'rramsim run "
            f"EXPERIMENT.toml --out {folder.path}'"
        )
    return results


def read_tradeoff(folder: RunFolder) -> tuple[TradeoffRow, ...] | None:
    """The rows of `tradeoff.csv`, or None; raises `InputError` if it is damaged."""
    return _rows(folder.tradeoff, TradeoffRow, f"rramsim tradeoff {folder.path}")


def swept_circuit(folder: RunFolder) -> str | None:
    """The hash of the circuit that `sense.nc` holds, or None; raises `InputError` if damaged."""
    dataset = _sense(folder.sense)
    return None if dataset is None else dataset.attrs.get("circuit_sha256")


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
        value = json.loads(text)
        if isinstance(value, dict):
            check_schema(value.get("schema"), FILE_SCHEMAS[path.name], path)
        return kind.model_validate_json(text)
    except FileNotFoundError:
        return None
    except InputError:
        raise
    except ValidationError as error:
        raise _damaged(path, _first(error), made_by) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error, made_by) from error


def _rows(path: Path, kind: type[Record], made_by: str) -> tuple[Record, ...] | None:
    """The rows of a table, each checked."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = tuple(kind.model_validate(row) for row in reader)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        # Line 1 is the header.
        raise _damaged(path, f"line {reader.line_num}, {_first(error)}", made_by) from error
    except (OSError, ValueError, csv.Error) as error:
        raise _damaged(path, error, made_by) from error
    if not rows:
        raise _damaged(path, "holds no row", made_by)
    return rows


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    at = ".".join(str(part) for part in first["loc"])
    return f"{at}: {first['msg']}" if at else first["msg"]


def _damaged(path: Path, what: object, made_by: str) -> InputError:
    line = " ".join(str(what).split())
    return InputError(f"{path}: damaged ({line}); make it again with {made_by}")
