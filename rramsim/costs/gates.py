"""Logic gates: their energies and delays simulated by ngspice, and the constants file that holds
them.

A CSV file with a first line of provenance (`# {...}`, JSON) and the columns of `GATE_COLUMNS`, all
in SI units. Between simulated supplies energy / VDD^2 (the capacitance) and ln(delay) are
interpolated; outside them a supply is refused.

Each gate of netlists/gates runs through every change from one input vector to another, once each
(an Euler circuit of the complete graph), so its mean is that of independent random inputs. Its
energy is what its own supply gives: internal nodes, its outputs, and the load of one inverter and 2
fF of wire on each output. Input charge is the gate's before, which drives it as its load; so gates'
energies add up without counting a node twice. The flip-flop pays for its clock pin too.
"""

import csv
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.engines.protocol import charge_c
from rramsim.exceptions import InputError, MachineError
from rramsim.files import atomic_path
from rramsim.processes import Process
from rramsim.processes.process import netlists_folder
from rramsim.spice import read_deck, read_text

State = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate: its netlist (in netlists/), input and output pins, clock, and its input vectors.

    `states` None: every combination. A gate with a clock sees one rising edge after each change.
    """

    name: str
    file: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    clock: str | None = None
    states: tuple[State, ...] | None = None

    @property
    def vectors(self) -> tuple[State, ...]:
        """The input vectors that occur."""
        return self.states or tuple(itertools.product((0, 1), repeat=len(self.inputs)))


# What a latch can say (+1, -1, 0) times the input's two bits.
_GXNOR_STATES = tuple(
    (*latch, nonzero, sign)
    for latch in ((0, 1), (1, 0), (1, 1))
    for nonzero in (0, 1)
    for sign in (0, 1)
)

GATES = {
    gate.name: gate
    for gate in (
        Gate(name="inv", file="gates/inv.spice", inputs=("a",), outputs=("y",)),
        Gate(name="nand2", file="gates/nand2.spice", inputs=("a", "b"), outputs=("y",)),
        Gate(name="xnor2", file="gates/xnor2.spice", inputs=("a", "b"), outputs=("y",)),
        Gate(
            name="full_adder", file="gates/full_adder.spice",
            inputs=("a", "b", "ci"), outputs=("co", "s"),
        ),
        Gate(name="dff", file="gates/dff.spice", inputs=("d",), outputs=("q",), clock="ck"),
        Gate(
            name="gxnor", file="gxnor.spice",
            inputs=("q", "qb", "xnz", "xs"), outputs=("nz", "s"), states=_GXNOR_STATES,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate at one supply; energies in joule, delay in second.

    `energy_j`: an operation with independent random inputs (repeated vectors, which cost nothing
    but a flip-flop's clock, counted in). `idle_energy_j`: inputs that stay. `delay_s`: the longest
    from a change of the inputs (of the clock) to half the supply at an output.
    """

    gate: str
    vdd_v: float
    energy_j: float
    idle_energy_j: float
    delay_s: float
    transistors: int


def state_walk(vectors: tuple[State, ...]) -> list[State]:
    """A walk that makes every change from one vector to another exactly once, and returns.

    >>> state_walk(((0,), (1,)))
    [(0,), (1,), (0,)]
    >>> len(state_walk(tuple(itertools.product((0, 1), repeat=3)))) - 1
    56
    """
    # Hierholzer's algorithm on the complete directed graph.
    left = {v: [w for w in vectors if w != v] for v in vectors}
    trail, walk = [vectors[0]], []
    while trail:
        if left[trail[-1]]:
            trail.append(left[trail[-1]].pop())
        else:
            walk.append(trail.pop())
    return walk[::-1]


def simulate_gate(
    gate: Gate, process: Process, *, vdd_v: float, temperature_c: float = 27.0, corner: str = "tt"
) -> GateResult:
    """Simulate a gate; raises `MachineError` if ngspice fails, or the gate is wrong or too slow."""
    walk = state_walk(gate.vectors)
    # Each vector once more: what it costs to leave the inputs alone.
    walk = [walk[0], *walk] if gate.clock is None else [v for v in walk for _ in (0, 1)]
    period_s = _period_s(vdd_v)
    text, transistors = _deck(
        gate, process, walk, vdd_v=vdd_v, period_s=period_s, temperature_c=temperature_c,
        corner=corner,
    )  # fmt: skip
    session = ngspice_session()
    where = f"gate {gate.name} at {vdd_v:g} V"
    try:
        session.load(text)
        session.run()
    except CircuitError as error:
        raise MachineError(f"{where}: {error}") from error
    time = session.vector("time")
    if time.size < 2 or time[-1] < (len(walk) - 0.01) * period_s:
        raise MachineError(f"{where}: ngspice stopped early ({'; '.join(session.faults())})")
    supply = -session.vector("vdut#branch")
    nodes = {name: session.vector(name) for name in gate.outputs}
    clock = -session.vector("vck#branch") if gate.clock else np.zeros_like(supply)
    session.discard_results()
    energies = []
    for step in range(len(walk)):
        start_s = step * period_s
        cycle = charge_c(time, supply, start_s=start_s, stop_s=start_s + period_s)
        # The clock's driver gives charge while the clock is high (the second half).
        pin = charge_c(
            time, clock, start_s=start_s + period_s / 2 - 1e-9, stop_s=start_s + period_s - 1e-9
        )
        energies.append(vdd_v * (cycle + (pin if gate.clock else 0.0)))
    _check(gate, walk, time, nodes, vdd_v=vdd_v, period_s=period_s, where=where)
    changed = [i for i in range(1, len(walk)) if walk[i] != walk[i - 1]]
    stayed = [i for i in range(1, len(walk)) if walk[i] == walk[i - 1]]
    moving = float(np.mean([energies[i] for i in changed]))
    idle = max(float(np.mean([energies[i] for i in stayed])), 0.0)
    share = 1 - 1 / len(gate.vectors)
    return GateResult(
        gate=gate.name,
        vdd_v=vdd_v,
        energy_j=share * moving + (1 - share) * idle,
        idle_energy_j=idle,
        delay_s=_delay_s(gate, time, nodes, changed, vdd_v=vdd_v, period_s=period_s),
        transistors=transistors,
    )


def _period_s(vdd_v: float) -> float:
    """Long enough for every gate to settle: near threshold they take tens of ns."""
    return 4e-6 if vdd_v < 0.85 else 1e-6 if vdd_v < 0.95 else 400e-9 if vdd_v < 1.15 else 200e-9


def _deck(
    gate: Gate, process: Process, walk: list[State], *, vdd_v: float, period_s: float,
    temperature_c: float, corner: str,
) -> tuple[str, int]:  # fmt: skip
    path = netlists_folder() / gate.file
    sub = read_deck(path).body.subcircuits[gate.name]
    files = dict.fromkeys((path, netlists_folder() / "gates" / "inv.spice"))
    cards = [
        process.card(corner=corner, device=device, width_m=width_m, length_m=0.5e-6).renamed(name)
        for device, width_m, name in ((process.nmos, 1e-6, "nch"), (process.pmos, 2e-6, "pch"))
    ]
    lines = ["rramsim: energy of a gate", *cards]
    lines += [read_text(file, "a netlist") for file in files]
    lines += [
        f"vdut vdut 0 {vdd_v!r}",
        f"vload vload 0 {vdd_v!r}",
        "xdut "
        + " ".join({"vdd": "vdut", "vss": "0"}.get(pin, pin) for pin in sub.pins)
        + f" {sub.name}",
    ]
    for output in gate.outputs:
        lines += [f"xl{output} {output} n{output} vload 0 inv", f"cl{output} {output} 0 2f"]
    for index, pin in enumerate(gate.inputs):
        bits = [state[index] for state in walk]
        lines.append(f"v{pin} {pin} 0 {_steps(bits, vdd_v, period_s)}")
    if gate.clock:
        lines.append(
            f"vck {gate.clock} 0 pulse(0 {vdd_v!r} {period_s / 2!r} 1n 1n {period_s / 2 - 2e-9!r} "
            f"{period_s!r})"
        )
    saved = " ".join(f"v({name})" for name in gate.outputs)
    stop_s = len(walk) * period_s
    lines += [
        f".options temp={temperature_c!r} reltol=1e-4 trtol=1",
        f".save {saved} i(vdut){' i(vck)' if gate.clock else ''}",
        f".tran 1n {stop_s!r} 0 {period_s / 40!r}",
        ".end",
    ]
    return "\n".join(lines), sum(s.letter == "m" for s in sub.body.elements)


def _steps(bits: list[int], vdd_v: float, period_s: float) -> str:
    points = [f"0 {bits[0] * vdd_v!r}"]
    for step, (before, after) in enumerate(itertools.pairwise(bits), start=1):
        if before != after:
            at = step * period_s
            points += [f"{at!r} {before * vdd_v!r}", f"{at + 1e-9!r} {after * vdd_v!r}"]
    return f"pwl({' '.join(points)})"


def _truth(gate: Gate, state: State) -> State:
    """What the gate's outputs must be (a flip-flop's after its clock edge)."""
    if gate.name == "gxnor":
        q, qb, nonzero, sign = state
        # The sign means nothing where the product is 0; there it follows the netlist.
        return int(q != qb and nonzero), int(qb == sign)
    a, b, c = (*state, 0, 0)[:3]
    return {
        "inv": (1 - a,),
        "nand2": (1 - (a & b),),
        "xnor2": (int(a == b),),
        "full_adder": ((a + b + c) // 2, (a + b + c) % 2),
        "dff": (a,),
    }[gate.name]


def _check(
    gate: Gate, walk: list[State], time: NDArray[np.float64],
    nodes: dict[str, NDArray[np.float64]], *, vdd_v: float, period_s: float, where: str,
) -> None:  # fmt: skip
    """Refuse a gate whose outputs are not what they should be at the end of each period."""
    for step, state in enumerate(walk):
        for output, wanted in zip(gate.outputs, _truth(gate, state), strict=True):
            value = float(np.interp((step + 0.98) * period_s, time, nodes[output])) / vdd_v
            if abs(value - wanted) > 0.1:
                raise MachineError(
                    f"{where}: inputs {state} give {output} = {value:.2f} VDD, not {wanted}"
                )


def _delay_s(
    gate: Gate, time: NDArray[np.float64], nodes: dict[str, NDArray[np.float64]],
    changed: list[int], *, vdd_v: float, period_s: float,
) -> float:  # fmt: skip
    """The last crossing of half the supply in any period, from its start or its clock edge."""
    latest = 0.0
    for step in changed:
        start_s = step * period_s + (period_s / 2 if gate.clock else 0.0) + 0.5e-9
        inside = (time > start_s) & (time < (step + 1) * period_s)
        for voltage in nodes.values():
            high = voltage[inside] > vdd_v / 2
            crossings = np.flatnonzero(high[1:] != high[:-1])
            if crossings.size:
                latest = max(latest, float(time[inside][crossings[-1] + 1]) - start_s)
    return latest


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
