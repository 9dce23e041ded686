"""The gates' constants file: energies and delays at several supplies, as `make costs` wrote them.

A CSV file with a first line of provenance (`# {...}`, JSON) and the columns of `GATE_COLUMNS`, all
in SI units. Between simulated supplies energy / VDD^2 (the capacitance) and ln(delay) are
interpolated; outside them a supply is refused.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from rramsim.costs.gate_simulation import GATES, GateResult
from rramsim.exceptions import InputError
from rramsim.files import atomic_path

__all__ = ["GATES_FILE", "GateTable", "read_gates", "write_gates"]

GATES_FILE = Path(__file__).with_name("gates_sky130-5v.csv")
"""The constants of the process `sky130-5v`, tt, 27 degrees, that come with rramsim."""

GATE_COLUMNS = tuple(field.name for field in fields(GateResult))

# What the numbers of a gate of a few to a few dozen transistors can be, from 28 nm to 5 V: a value
# outside was given in another unit.
_PLAUSIBLE = {
    "vdd_v": (0.2, 6.0, "volt"),
    "energy_j": (1e-18, 1e-10, "joule"),
    "idle_energy_j": (0.0, 1e-10, "joule"),
    "delay_s": (1e-13, 1e-4, "second"),
    "transistors": (2, 1000, "transistors"),
}


@dataclass(frozen=True, kw_only=True)
class GateTable:
    """Gate results by gate, sorted by supply, and what made them."""

    results: Mapping[str, tuple[GateResult, ...]]
    provenance: Mapping[str, Any]

    def covers(self, vdd_v: float) -> bool:
        """Whether every gate was simulated around a supply."""
        return all(rows[0].vdd_v <= vdd_v <= rows[-1].vdd_v for rows in self.results.values())

    def at(self, gate: str, vdd_v: float) -> GateResult:
        """A gate at a supply; raises `InputError` outside the simulated ones.

        >>> inverter = read_gates(GATES_FILE).at("inv", 1.2)
        >>> 1e-15 < inverter.energy_j < 1e-14
        True
        """
        rows = self.results[gate]
        supplies = [row.vdd_v for row in rows]
        if not supplies[0] <= vdd_v <= supplies[-1]:
            raise InputError(
                f"vdd_v = {vdd_v:g}: gates were simulated from {supplies[0]:g} to "
                f"{supplies[-1]:g} V; simulate more with 'rramsim costs gates --vdd'"
            )

        def between(values: list[float]) -> float:
            return float(np.interp(vdd_v, supplies, values))

        return GateResult(
            gate=gate,
            vdd_v=vdd_v,
            energy_j=vdd_v**2 * between([r.energy_j / r.vdd_v**2 for r in rows]),
            idle_energy_j=vdd_v**2 * between([r.idle_energy_j / r.vdd_v**2 for r in rows]),
            delay_s=math.exp(between([math.log(r.delay_s) for r in rows])),
            transistors=rows[0].transistors,
        )


def write_gates(results: Iterable[GateResult], provenance: Mapping[str, Any], path: Path) -> None:
    """Write a constants file, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        file.write(f"# {json.dumps(dict(provenance), sort_keys=True)}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(GATE_COLUMNS)
        for result in results:
            gate, vdd_v, *values = astuple(result)
            writer.writerow([gate, f"{vdd_v:g}", *(f"{value:.4g}" for value in values)])


def read_gates(path: Path) -> GateTable:
    """Read and check a constants file; raises `InputError` naming line, column and value."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read gate energies ({error})") from error
    provenance = {}
    if lines and lines[0].startswith("#"):
        try:
            provenance = json.loads(lines[0][1:])
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} line 1: provenance is not JSON") from error
    body = [(n, line) for n, line in enumerate(lines, start=1) if line and line[0] != "#"]
    header = tuple(body[0][1].split(",")) if body else ()
    for column in GATE_COLUMNS:
        if column not in header:
            other = next((h for h in header if h.rsplit("_", 1)[0] == column.rsplit("_", 1)[0]), "")
            hint = f"; it has {other}: give it in the unit of {column}" if other else ""
            raise InputError(f"{path}: lacks the column {column}{hint}")
    found: dict[str, list[GateResult]] = {}
    for number, line in body[1:]:
        result = _row(dict(zip(header, line.split(","), strict=False)), f"{path} line {number}")
        found.setdefault(result.gate, []).append(result)
    for gate in GATES:
        if gate not in found:
            raise InputError(f"{path}: lacks the gate {gate}")
    return GateTable(
        results={g: tuple(sorted(rows, key=lambda r: r.vdd_v)) for g, rows in found.items()},
        provenance=provenance,
    )


def _row(cells: dict[str, str], where: str) -> GateResult:
    values: dict[str, Any] = {"gate": cells["gate"]}
    for column, (low, high, unit) in _PLAUSIBLE.items():
        text = cells.get(column, "")
        try:
            value = float(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: {column} = {text!r}: must be a number") from error
        if not low <= value <= high:
            raise InputError(
                f"{where}: {column} = {value:g}: must lie between {low:g} and {high:g} {unit}; "
                "is it in another unit?"
            )
        values[column] = int(value) if column == "transistors" else value
    return GateResult(**values)
