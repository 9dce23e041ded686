"""Where a table of measured resistances holds its values, in the layouts that people write.

A plain table has the columns device, cycle, state and resistance_ohm. In place of the last two it
may hold conductance_s, or voltage_v and current_a, or one column for each state; other names,
units and names of states are said with a map (`--map resistance_ohm="R (kOhm)"`), which the
refusal of such a table spells out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.numbers import unit_scale

__all__ = ["MAP_NAMES", "Layout", "find_layout", "paste_map"]

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
