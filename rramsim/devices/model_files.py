"""Device models as files: what `rramsim devices fit` writes and an experiment names."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rramsim.devices.fitting import FAMILIES, DeviceFit
from rramsim.devices.history import DeviceStatistics, Persistence
from rramsim.devices.marginals import Empirical, LogNormal, Marginal, Skewed
from rramsim.devices.measurements import Measurements
from rramsim.devices.resistances import ResistanceModel
from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.spice import read_text

__all__ = ["fit_record", "load_model_file", "write_model_file"]

_SCHEMA = "rramsim device model 1"
_KINDS: dict[str, type[Any]] = {"lognormal": LogNormal, "skewed": Skewed, "empirical": Empirical}


def fit_record(measurements: Measurements, fit: DeviceFit) -> dict[str, Any]:
    """Everything that a fit found, as JSON values; undefined numbers are null."""
    return {
        "schema": _SCHEMA,
        "status": "fitted",
        "measurements": {
            "file": measurements.source,
            "sha256": measurements.sha256,
            "condition": measurements.condition,
            "devices": measurements.devices,
            "rows": {s: len(getattr(measurements, s).cycle) for s in ("lrs", "hrs")},
            "left_out": list(measurements.left_out),
        },
        "interval": "95 %: of each (low, high), of all at once (joint_low, joint_high)",
        "chosen": dict(fit.chosen),
        "cell_correlation": {name: asdict(e) for name, e in fit.cell_correlation.items()},
        "states": {
            state: {
                family: {
                    "marginal": asdict(found.marginal),  # type: ignore[call-overload]
                    "persistence": asdict(found.persistence),
                    "estimates": {name: asdict(e) for name, e in found.estimates.items()},
                    "goodness": asdict(found.goodness),
                    "loglik": None if math.isnan(found.loglik) else found.loglik,
                    "bic": None if math.isnan(found.loglik) else found.bic,
                }
                for family, found in fits.items()
            }
            for state, fits in fit.states.items()
        },
    }


def write_model_file(path: Path, record: dict[str, Any]) -> None:
    """Write a fit's record, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def load_model_file(path: Path, *, kind: str = "best") -> DeviceStatistics:
    """The statistics that a model file holds: of one family, or of the best for each state.

    Raises `InputError` for a file that is none or damaged, or a kind that it lacks.
    """
    if kind not in ("best", *FAMILIES):
        raise InputError(f"kind = {kind!r}: must be one of best, {', '.join(FAMILIES)}")
    try:
        record = json.loads(read_text(path, "a device model"))
        if not isinstance(record, dict) or record.get("schema") != _SCHEMA:
            raise InputError(
                f"{path}: not a device model (schema {_SCHEMA!r}); make one with "
                "'rramsim devices fit FILE --out MODEL.json'"
            )
        families = {s: record["chosen"][s] if kind == "best" else kind for s in ("lrs", "hrs")}
        found = {s: record["states"][s][families[s]] for s in ("lrs", "hrs")}
        lrs, hrs = (_marginal(families[s], found[s]["marginal"]) for s in ("lrs", "hrs"))
        persistence = {s: Persistence(**found[s]["persistence"]) for s in ("lrs", "hrs")}
        correlation = record["cell_correlation"].get(kind)
        return DeviceStatistics(
            resistances=ResistanceModel(lrs=lrs, hrs=hrs),
            lrs=persistence["lrs"],
            hrs=persistence["hrs"],
            cell_correlation=float(correlation["value"]) if correlation else 0.0,
        )
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged device model ({type(error).__name__}: {error}); "
            "make it again with 'rramsim devices fit'"
        ) from error


def _marginal(family: str, values: dict[str, Any]) -> Marginal:
    if family == "empirical":
        return Empirical(scores=tuple(values["scores"]), ln_ohm=tuple(values["ln_ohm"]))
    marginal: Marginal = _KINDS[family](**values)
    return marginal
