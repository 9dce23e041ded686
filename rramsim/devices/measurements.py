"""Measured resistances: a tidy table of `device,cycle,state,resistance_ohm[,condition]`.

CSV (plain or gzip) or Parquet, rows in any order; the format is documented in
measurements/README.md. What cannot be used is told with its first line, and refused unless the
caller asks to leave it out.
"""

import hashlib
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rramsim.exceptions import InputError

__all__ = ["MEASUREMENT_COLUMNS", "Measurements", "StateMeasurements", "read_measurements"]

MEASUREMENT_COLUMNS = ("device", "cycle", "state", "resistance_ohm")
_MIN_ROWS = 30
"""Fewest values of a state from which a spread and its skew are worth fitting."""

# A resistance between electrodes of one atom is h / (2 e^2) = 12.9 kOhm and filaments of many
# atoms reach a few hundred ohm; an LRS below 100 ohm is a wire, one above 10 MOhm no LRS.
_LRS_PLAUSIBLE_OHM = (100.0, 10e6)
_HRS_HIGHEST_OHM = 1e13


@dataclass(frozen=True, kw_only=True, eq=False)
class StateMeasurements:
    """One state's rows sorted by device and cycle: three arrays of one length.

    `device` numbers the devices of the whole file from 0.
    """

    device: NDArray[np.int64]
    cycle: NDArray[np.int64]
    resistance_ohm: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurements:
    """Both states of one programming condition, and what was left out on the way."""

    source: str
    sha256: str
    condition: str | None
    devices: int
    lrs: StateMeasurements
    hrs: StateMeasurements
    left_out: tuple[str, ...]


def read_measurements(
    path: Path, *, condition: str | None = None, drop: bool = False
) -> Measurements:
    """Read a table of measured resistances.

    `condition` chooses among the conditions that the file holds. Rows that cannot be used are
    left out with `drop`, and listed in `left_out`. Raises `InputError` of one line for a file that
    is no such table, for unusable rows without `drop`, implausible units, a state that is missing
    or has fewer than 30 values.
    """
    path = Path(path)
    table, first_line = _read_table(path)
    missing = [name for name in MEASUREMENT_COLUMNS if name not in table.columns]
    if missing:
        raise InputError(
            f"{path}: lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(map(str, table.columns)) or 'none'}; a measurement file has "
            f"{', '.join(MEASUREMENT_COLUMNS)} and may have condition"
        )
    if table.empty:
        raise InputError(f"{path}: holds no rows")
    lines = np.arange(len(table)) + first_line
    table, lines, condition = _choose_condition(path, table, lines, condition)
    columns, bad, described = _usable(table, lines)
    if described and not drop:
        raise InputError(
            f"{path}: {int(bad.sum()):,} of {len(table):,} rows cannot be used: "
            f"{'; '.join(described)}; mend them, or leave them out with --drop"
        )
    keep = ~bad
    devices, names = pd.factorize(columns["device"][keep])
    cycle = columns["cycle"][keep].astype(np.int64)
    ohm = columns["resistance_ohm"][keep]
    is_lrs = columns["is_lrs"][keep]
    _plausible(path, ohm[is_lrs], ohm[~is_lrs])
    order = np.lexsort((cycle, devices))
    devices, cycle, ohm, is_lrs = devices[order], cycle[order], ohm[order], is_lrs[order]
    low, high = (
        StateMeasurements(device=devices[of], cycle=cycle[of], resistance_ohm=ohm[of])
        for of in (is_lrs, ~is_lrs)
    )
    return Measurements(
        source=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        condition=condition,
        devices=len(names),
        lrs=low,
        hrs=high,
        left_out=tuple(described),
    )


def _read_table(path: Path) -> tuple[pd.DataFrame, int]:
    """The raw table, and the number that a message gives to its first row."""
    wanted = {*MEASUREMENT_COLUMNS, "condition"}
    parquet = path.suffix.lower() in (".parquet", ".pq")
    if parquet and find_spec("pyarrow") is None:
        raise InputError(
            f"{path}: Parquet files need pyarrow: pip install 'rramsim[parquet]', or save the "
            "table as CSV"
        )
    try:
        if parquet:
            import pyarrow.parquet

            held = pyarrow.parquet.read_schema(path).names
            if not set(MEASUREMENT_COLUMNS) <= set(held):
                return pd.DataFrame(columns=held), 1
            return pd.read_parquet(path, columns=[n for n in held if n in wanted]), 1
        comments = _comment_lines(path)
        table = pd.read_csv(
            path,
            skiprows=comments,
            usecols=None,
            skipinitialspace=True,
            compression="gzip" if _is_gzip(path) else None,
        )
        return table, comments + 2
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise InputError(f"{path}: cannot read measurements ({reason})") from error
    # pandas' and pyarrow's parse errors are ValueErrors.
    except (ValueError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: not a table of measurements (CSV, .csv.gz or .parquet with the columns "
            f"{', '.join(MEASUREMENT_COLUMNS)}): {str(error).splitlines()[0]}"
        ) from error


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _comment_lines(path: Path) -> int:
    """How many lines at the head of a CSV begin with '#'."""
    import gzip

    with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as file:
        count = 0
        for line in file:
            if not line.startswith(b"#"):
                break
            count += 1
    return count


def _choose_condition(
    path: Path, table: pd.DataFrame, lines: NDArray[np.int64], condition: str | None
) -> tuple[pd.DataFrame, NDArray[np.int64], str | None]:
    if "condition" not in table.columns:
        if condition is not None:
            raise InputError(f"{path}: has no column condition, so none can be chosen")
        return table, lines, None
    held = table["condition"].astype(str)
    names = sorted(held.unique())
    if condition is None and len(names) == 1:
        return table, lines, names[0]
    if condition not in names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        asked = "choose one" if condition is None else f"condition {condition!r} is not among them"
        raise InputError(f"{path}: holds the conditions {shown}; {asked}")
    of = (held == condition).to_numpy()
    return table[of], lines[of], condition


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """The column as numbers, NaN for what is none."""
    try:
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        return pd.to_numeric(column.astype(str), errors="coerce").to_numpy(np.float64)


def _usable(
    table: pd.DataFrame, lines: NDArray[np.int64]
) -> tuple[dict[str, NDArray], NDArray[np.bool_], list[str]]:
    """The columns as arrays, which rows are bad, and what is bad about them."""
    ohm, cycle = _numbers(table["resistance_ohm"]), _numbers(table["cycle"])
    state = table["state"]
    codes, labels = pd.factorize(state)
    kinds = np.array([str(label).strip().upper() for label in labels] + ["missing"])[codes]
    is_lrs, is_hrs = kinds == "LRS", kinds == "HRS"
    device = table["device"]
    bad = np.zeros(len(table), dtype=bool)
    described: list[str] = []

    def refuse(rows: NDArray[np.bool_], what: str) -> None:
        nonlocal bad
        rows = rows & ~bad
        if rows.any():
            described.append(f"{int(rows.sum()):,} {what} (first in line {lines[rows].min()})")
            bad = bad | rows

    refuse(~(is_lrs | is_hrs), "with a state other than LRS or HRS")
    refuse(device.isna().to_numpy(), "without a device")
    whole = np.isfinite(cycle) & (np.floor(cycle) == cycle) & (np.abs(cycle) < 2**53)
    refuse(~whole, "whose cycle is not a whole number")
    refuse(np.isnan(ohm), "without a number for resistance_ohm")
    refuse(np.isinf(ohm), "with an infinite resistance")
    refuse(ohm == 0, "with a resistance of 0 ohm")
    refuse(ohm < 0, "with a negative resistance")
    codes, _ = pd.factorize(device)
    key = pd.DataFrame({"device": codes, "cycle": cycle, "lrs": is_lrs})[~bad]
    repeated = np.zeros(len(table), dtype=bool)
    repeated[np.flatnonzero(~bad)] = key.duplicated(keep="first").to_numpy()
    refuse(repeated, "that repeat the device, cycle and state of an earlier one")
    columns = {
        "device": device.to_numpy(),
        "cycle": cycle,
        "resistance_ohm": ohm,
        "is_lrs": is_lrs,
    }
    return columns, bad, described


def _plausible(path: Path, lrs: NDArray[np.float64], hrs: NDArray[np.float64]) -> None:
    """Refuse what no RRAM state can be."""
    for missing, other in ((lrs, "HRS"), (hrs, "LRS")):
        if not len(missing):
            raise InputError(
                f"{path}: holds {other} only; a synapse has both states, so both are needed"
            )
    for name, of in (("LRS", lrs), ("HRS", hrs)):
        if len(of) < _MIN_ROWS:
            raise InputError(
                f"{path}: {len(of)} usable values of the {name}; at least {_MIN_ROWS} of each "
                "state are needed for a fit"
            )
    low, high = float(np.median(lrs)), float(np.median(hrs))
    least, most = _LRS_PLAUSIBLE_OHM
    if low < least:
        unit, scale = ("kOhm", 1e3) if low * 1e3 > least else ("MOhm", 1e6)
        raise InputError(
            f"{path}: the LRS has a median of {low:.4g} ohm, below any filament's; the values look "
            f"like {unit}: multiply resistance_ohm by {scale:g}"
        )
    if low > most or high > _HRS_HIGHEST_OHM:
        raise InputError(
            f"{path}: medians of {low:.4g} ohm (LRS) and {high:.4g} ohm (HRS) are above any RRAM "
            "state's; resistance_ohm must be in ohm (not mOhm or uOhm)"
        )
    if low >= high:
        raise InputError(
            f"{path}: the LRS's median {low:.4g} ohm is not below the HRS's {high:.4g} ohm; are "
            "the states swapped?"
        )
