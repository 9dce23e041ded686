"""Measured resistances: tables of `device,cycle,state,resistance_ohm[,condition]` and their kin.

CSV (plain or gzip) or Parquet, rows in any order, in the layouts of `rramsim.devices.layouts`; the
format is documented in measurements/README.md. What cannot be used is told with its first line,
and refused unless the caller asks to leave it out.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rramsim.devices.layouts import Layout, find_layout, paste_map
from rramsim.exceptions import InputError
from rramsim.extras import require_package
from rramsim.spice import decoded

__all__ = ["MEASUREMENT_COLUMNS", "Measurements", "StateMeasurements", "read_measurements"]

MEASUREMENT_COLUMNS = ("device", "cycle", "state", "resistance_ohm")
_MIN_ROWS = 30
"""Fewest values of a state from which a spread and its skew are worth fitting."""

# A resistance between electrodes of one atom is h / (2 e^2) = 12.9 kOhm and filaments of many
# atoms reach a few hundred ohm; an LRS below 100 ohm is a wire, one above 10 MOhm no LRS.
_LRS_PLAUSIBLE_OHM = (100.0, 10e6)
_HRS_HIGHEST_OHM = 1e13
_MOST_BYTES = 256 * 2**20
_MOST_ROWS = 10_000_000


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
    path: Path,
    *,
    condition: str | None = None,
    drop: bool = False,
    mapping: Mapping[str, str] | None = None,
) -> Measurements:
    """Read a table of measured resistances.

    `condition` chooses among the conditions that the file holds; `mapping` names its columns, with
    their units, and its states where they are not ours (`{"resistance_ohm": "R (kOhm)", "LRS":
    "ON"}`). Rows that cannot be used are left out with `drop`, and listed in `left_out`. Raises
    `InputError` of one line for a file that is no such table, for unusable rows without `drop`,
    implausible units, a state that is missing or has fewer than 30 values.
    """
    path = Path(path)
    table, lines, layout = _read_table(path, mapping or {})
    if table.empty:
        raise InputError(f"{path}: holds no rows")
    try:
        table, lines = layout.rows(table, lines)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    table, lines, condition = _choose_condition(path, table, lines, condition)
    _known_states(path, table, layout)
    columns, bad, described = _usable(table, lines, layout)
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
    _plausible(path, ohm[is_lrs], ohm[~is_lrs], layout)
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


def _read_table(
    path: Path, mapping: Mapping[str, str]
) -> tuple[pd.DataFrame, NDArray[np.int64], Layout]:
    """The raw table, the number that a message gives to each row, and its layout."""
    parquet = path.suffix.lower() in (".parquet", ".pq")
    if parquet:
        require_package("pyarrow", f"{path}: a Parquet file (CSV needs no more)")
    try:
        if parquet:
            import pyarrow.parquet

            file = pyarrow.parquet.ParquetFile(path)
            if file.metadata.num_rows > _MOST_ROWS:
                raise InputError(f"{path}: holds more than {_MOST_ROWS:,} rows")
            layout = find_layout(path, file.schema_arrow.names, mapping)
            table = pd.read_parquet(path, columns=sorted(set(layout.columns.values())))
            return table, np.arange(len(table)) + 1, layout
        text = decoded(_bytes(path), path, "a table of measurements")
        comments = _comment_lines(text)
        head = text.split("\n", comments + 1)[comments : comments + 1] or [""]
        signs = (sign for sign in "\t;,|" if sign in head[0])
        separator = next(signs, r"\s+")
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            skiprows=comments,
            skipinitialspace=True,
            skip_blank_lines=False,
        )
        table.columns = [str(name).strip() for name in table.columns]
        lines = np.arange(len(table)) + comments + 2
        blank = table.isna().all(axis=1).to_numpy()
        return table[~blank], lines[~blank], find_layout(path, list(table.columns), mapping)
    except InputError:
        raise
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise InputError(f"{path}: cannot read measurements ({reason})") from error
    # pandas' and pyarrow's parse errors are ValueErrors.
    except (ValueError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: not a table of measurements (CSV, .csv.gz or .parquet with the columns "
            f"{', '.join(MEASUREMENT_COLUMNS)}): {str(error).splitlines()[0]}"
        ) from error


def _bytes(path: Path) -> bytes:
    """The file's bytes, unpacked; never more than `_MOST_BYTES` are held."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InputError(
            f"{path}: holds more than {_MOST_BYTES // 2**20} MiB"
            f"{' when unpacked' if packed else ''}; save the table as Parquet or in parts"
        )
    return data


def _comment_lines(text: str) -> int:
    """How many lines at the head of a CSV begin with '#'."""
    count = position = 0
    while text.startswith("#", position):
        count += 1
        position = text.find("\n", position) + 1
        if position == 0:
            break
    return count


def _known_states(path: Path, table: pd.DataFrame, layout: Layout) -> None:
    """Refuse two names of states that are not ours, with the map that would say which is which."""
    labels = table["state"].dropna().astype(str).str.strip()
    names = list(labels.unique()[:3])
    if len(names) != 2 or any(name.lower() in layout.states for name in names):
        return
    ours = " and ".join(name.upper() for name in layout.states)
    median_ohm = table["resistance_ohm"].groupby(labels).median()
    low, high = sorted(names, key=lambda name: median_ohm[name])
    plain = {name.lower() for name in names} == {"lrs", "hrs"}
    raise InputError(
        f"{path}: the states are named {names[0]} and {names[1]}, not {ours}; "
        + ("leave the map out" if plain else f"by their values: {paste_map(LRS=low, HRS=high)}")
    )


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


def _usable(
    table: pd.DataFrame, lines: NDArray[np.int64], layout: Layout
) -> tuple[dict[str, NDArray], NDArray[np.bool_], list[str]]:
    """The columns as arrays, which rows are bad, and what is bad about them."""
    ohm = table["resistance_ohm"].to_numpy()
    cycle = pd.to_numeric(table["cycle"].astype(object), errors="coerce").to_numpy(np.float64)
    written = table["written"].to_numpy()
    codes, labels = pd.factorize(table["state"])
    names = [layout.states.get(str(label).strip().lower(), "") for label in labels]
    kinds = np.array([*names, "missing"])[codes]
    is_lrs, is_hrs = kinds == "LRS", kinds == "HRS"
    device = table["device"]
    bad = np.zeros(len(table), dtype=bool)
    described: list[str] = []

    def refuse(rows: NDArray[np.bool_], what: str) -> None:
        nonlocal bad
        rows = rows & ~bad
        if rows.any():
            line = lines[rows].min()
            value = f": {written[rows][0]:g}" if what.endswith("overflow") else ""
            described.append(f"{int(rows.sum()):,} {what} (first in line {line}{value})")
            bad = bad | rows

    refuse(
        ~(is_lrs | is_hrs),
        f"with a state other than {' or '.join(name.upper() for name in layout.states)}",
    )
    refuse(device.isna().to_numpy(), "without a device")
    whole = np.isfinite(cycle) & (np.floor(cycle) == cycle) & (np.abs(cycle) < 2**53)
    refuse(~whole, "whose cycle is not a whole number")
    refuse(table["overflow"].to_numpy(), "with an instrument's overflow")
    refuse(np.isnan(ohm), f"without a number for {layout.value_column[0]}")
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


def _plausible(
    path: Path, lrs: NDArray[np.float64], hrs: NDArray[np.float64], layout: Layout
) -> None:
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
        name, column = layout.value_column
        units = {"conductance_s": ("mS", "uS"), "current_a": ("mA", "uA")}
        unit = units.get(name, ("kOhm", "MOhm"))[low * 1e3 <= least]
        names = {name: f"{column} [{unit}]"}
        if name == "LRS":
            names["HRS"] = f"{layout.columns['HRS']} [{unit}]"
        raise InputError(
            f"{path}: the LRS has a median of {low:.4g} ohm, below any filament's; the values look "
            f"like {unit}: {paste_map(**names)}"
        )
    if low > most or high > _HRS_HIGHEST_OHM:
        raise InputError(
            f"{path}: medians of {low:.4g} ohm (LRS) and {high:.4g} ohm (HRS) are above any RRAM "
            f"state's; {layout.value_column[1]} must be in another unit"
        )
    if low >= high:
        raise InputError(
            f"{path}: the LRS's median {low:.4g} ohm is not below the HRS's {high:.4g} ohm; are "
            "the states swapped?"
        )
