"""Measured resistances: tables of `device,cycle,state,resistance_ohm[,condition]` and their kin.

CSV (plain or gzip) or Parquet, rows in any order; the format is documented in
measurements/README.md. What cannot be used is told with its first line, and refused unless the
caller asks to leave it out.

A plain table has the columns device, cycle, state and resistance_ohm. In place of the last two it
may hold conductance_s, or voltage_v and current_a, or one column for each state; other names,
units and names of states are said with a map (`--map resistance_ohm="R (kOhm)"`), which the
refusal of such a table spells out.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.imports import require_package
from rramsim.numbers import unit_scale
from rramsim.spice import decoded

_UNITS = {
    "resistance_ohm": "ohm", "conductance_s": "siemens", "voltage_v": "V", "current_a": "A",
    "LRS": "ohm", "HRS": "ohm",
}  # fmt: skip
MAP_NAMES = ("device", "cycle", "state", "condition", *_UNITS)
"""What a map may name: columns, and LRS and HRS, the names of the states or their columns."""

_FORMS = (("resistance_ohm",), ("conductance_s",), ("voltage_v", "current_a"))
# How people name the columns, for the map that a refusal proposes.
_ENDS = r"([_. ]|read|d|ds|cell|meas|\d|$)"
_GUESSES = {
    "device": r"dev|dut|cell|die|sample|zelle|bauteil",
    "cycle": r"cyc|pulse|iter|n$|#|zyklus",
    "state": r"state|level|zustand",
    "resistance_ohm": r"r\b|r_|res|widerstand|.*(ohm|\u03a9)",
    "conductance_s": r"g\b|g_|cond|leitwert",
    "voltage_v": rf"(.*[_. ])?(a?v|u){_ENDS}|.*(volt|spannung)",
    "current_a": rf"(.*[_. ])?a?i{_ENDS}|.*(curr|strom)",
    "LRS": r"lrs|(r_?)?on\b|low",
    "HRS": r"hrs|(r_?)?off\b|high",
}
_LAST = {"voltage_v": "V", "current_a": "A", "conductance_s": "S"}
"""How a unit ends at the end of a name such as `i_ua`."""
_OVERFLOW = 9.9e37
"""Instruments answer 9.9e37 or 9.91e37 (SCPI's infinity and not-a-number) for what is too large."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns that hold each quantity, what scales it to its unit, and the states' names."""

    columns: Mapping[str, str]
    scales: Mapping[str, float]
    states: Mapping[str, str]

    def rows(
        self, table: pd.DataFrame, lines: NDArray[np.int64]
    ) -> tuple[pd.DataFrame, NDArray[np.int64]]:
        """The plain table (text kept as it stands in `written`), and each row's line.

        A row of units below the head is used and left out.
        """
        scales = dict(self.scales)
        if len(table) and (units := self._unit_row(table.iloc[0])) is not None:
            scales |= units
            table, lines = table.iloc[1:], lines[1:]
        kept = {n: table[self.columns[n]].to_numpy() for n in MAP_NAMES[:4] if n in self.columns}
        raw = {n: _numbers(table[self.columns[n]], n) for n in _UNITS if n in self.columns}
        scaled = {name: scales.get(name, 1.0) * value for name, value in raw.items()}
        if "LRS" in raw:
            lines = np.repeat(lines, 2)
            kept = {name: np.repeat(column, 2) for name, column in kept.items()}
            kept["state"] = np.tile(np.array(["LRS", "HRS"], dtype=object), len(table))
            raw, scaled = (
                {"resistance_ohm": np.stack([of["LRS"], of["HRS"]], -1).ravel()}
                for of in (raw, scaled)
            )
        overflow = np.any([np.isfinite(v) & (np.abs(v) >= _OVERFLOW) for v in raw.values()], axis=0)
        written = raw.get("current_a", next(iter(raw.values())))
        with np.errstate(divide="ignore", invalid="ignore"):
            if "conductance_s" in scaled:
                ohm = 1.0 / scaled["conductance_s"]
            elif "current_a" in scaled:
                ohm = scaled["voltage_v"] / scaled["current_a"]
            else:
                ohm = scaled["resistance_ohm"]
        frame = pd.DataFrame(
            kept | {"resistance_ohm": ohm, "written": written, "overflow": overflow}, copy=False
        )
        return frame, lines

    def _unit_row(self, row: pd.Series) -> dict[str, float] | None:
        """The scales that the first row gives, if it is one of units."""
        found: dict[str, float] = {}
        for name, column in self.columns.items():
            text = str(row[column]).strip().strip("[]()")
            if name in _UNITS:
                scale = unit_scale(text, unit=_UNITS[name])
                if scale is None:
                    return None
                found[name] = scale
        return found

    @property
    def value_column(self) -> tuple[str, str]:
        """The quantity whose unit decides the resistance, and its column."""
        names = ("resistance_ohm", "conductance_s", "current_a", "LRS")
        name = next(name for name in names if name in self.columns)
        return name, self.columns[name]


def find_layout(path: Path, held: list[str], mapping: Mapping[str, str]) -> Layout:
    """Find the quantities among the columns `held`, as `mapping` or their own names say.

    Raises `InputError`, which spells out the map that is missing, ready to paste.
    """
    for name in mapping:
        if name not in MAP_NAMES:
            raise InputError(f"--map {name}: must be one of {', '.join(MAP_NAMES)}")
    by_name = {column.strip().lower(): column for column in reversed(held)}
    columns: dict[str, str] = {}
    scales: dict[str, float] = {}
    has_states = "state" in mapping or "state" in by_name
    for name in MAP_NAMES:
        is_column = not (has_states and name in ("LRS", "HRS"))
        if name in mapping and is_column:
            columns[name], scale = _mapped(path, held, name, mapping[name])
            scales |= {name: scale} if scale is not None else {}
        elif is_column:
            own = by_name.get(name.lower()) or by_name.get(f"{name.lower()}_ohm")
            columns |= {name: own} if own is not None else {}
    wide = not has_states and "LRS" in columns and "HRS" in columns
    forms = [("LRS", "HRS")] if wide else [form for form in _FORMS if set(form) <= set(columns)]
    needed = ["device", "cycle", *(() if wide else ("state",))]
    missing = [name for name in needed if name not in columns]
    if not forms:
        missing.append("resistance_ohm")
    if missing:
        raise InputError(_lacks(path, held, missing))
    given = [form for form in forms if set(form) & set(mapping)]
    form = (given or forms)[0]
    states = {mapping[s].strip().lower(): s for s in ("LRS", "HRS") if has_states and s in mapping}
    return Layout(
        columns={n: c for n, c in columns.items() if n not in _UNITS or n in form},
        scales=scales,
        states=states or {"lrs": "LRS", "hrs": "HRS"},
    )


def paste_map(**names: str) -> str:
    """A map as an option and as a key of the experiment."""
    option = " ".join(f'--map {name}="{value}"' for name, value in names.items())
    key = ", ".join(f'{name} = "{value}"' for name, value in names.items())
    return f"{option} (in an experiment: [device] map = {{ {key} }})"


def _mapped(path: Path, held: list[str], name: str, text: str) -> tuple[str, float | None]:
    """The column that a map names, with the unit in its brackets or in the map's own."""
    column, unit = text, None
    if match := re.fullmatch(r"(.*?)\s*(?:[\[(]([^\])]*)[\])]|/\s*(\w+))", text):
        unit = match[2] or match[3]
        column = text if text in held else match[1]
    if column not in held:
        raise InputError(
            f"{path}: --map {name}={text}: no such column; it has {', '.join(held) or 'none'}"
        )
    if unit is None or name not in _UNITS:
        return column, None
    scale = unit_scale(unit, unit=_UNITS[name])
    if scale is None:
        raise InputError(f"{path}: --map {name}={text}: {unit!r} is no unit in {_UNITS[name]}")
    return column, scale


def _lacks(path: Path, held: list[str], missing: list[str]) -> str:
    def likely(name: str) -> str:
        """The column that is probably meant, with the unit that its name ends with."""
        guess = re.compile(_GUESSES[name], re.IGNORECASE)
        column = next((c for c in held if guess.match(re.sub(r"\s*[\[(/].*", "", c))), "")
        ending = column.rpartition("_")[2]
        unit = ending[:-1] + _LAST.get(name, ending[-1:])
        scale = unit_scale(unit, unit=_UNITS[name]) if name in _UNITS and ending != column else None
        return column if scale in (None, 1.0) else f"{column} [{unit}]"

    both = ("LRS", "HRS")
    if {"state", "resistance_ohm"} <= set(missing) and all(map(likely, both)):
        missing = [*(name for name in missing if name not in ("state", "resistance_ohm")), *both]
    names: dict[str, str] = {}
    for name in missing:
        forms = _FORMS if name == "resistance_ohm" else ((name,),)
        form = next((form for form in forms if all(map(likely, form))), forms[0])
        names |= {part: likely(part) or "its column" for part in form}
    return (
        f"{path}: lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; it has "
        f"{', '.join(map(str, held)) or 'none'}; a table has device, cycle, state and "
        "resistance_ohm, or conductance_s, or voltage_v and current_a, or a column for LRS and "
        f"HRS; if other columns hold them, say which: {paste_map(**names)}"
    )


def _numbers(column: pd.Series, name: str) -> NDArray[np.float64]:
    """The column as numbers, NaN for what is none; a decimal comma counts as point."""
    if column.dtype == object or pd.api.types.is_string_dtype(column):
        column = column.astype(str).str.strip()
        commas = column[column.str.contains(",", regex=False)]
        if len(commas):
            if commas.str.fullmatch(r"[-+]?\d{1,3}(,\d{3})+").all():
                raise InputError(
                    f"{name} = {commas.iloc[0]}: the comma has two readings, decimal or thousands; "
                    "write the numbers with a point, or with another count of decimals"
                )
            column = column.str.replace(",", ".", regex=False)
    try:
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        return pd.to_numeric(column.astype(str), errors="coerce").to_numpy(np.float64)


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
