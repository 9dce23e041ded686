"""A sense circuit: the netlists, the process and the column made into one deck.

Each transistor gets a copy of its card under a name of its own, so that an engine can give every
transistor its own mismatch by altering the copy (the foundry's mismatch acts on model parameters,
not on instances).
"""

import hashlib
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rramsim.circuits.column import Column
from rramsim.circuits.conditions import SenseConditions
from rramsim.circuits.netlist import Netlist, Subcircuit, read_netlist
from rramsim.circuits.readouts import (
    ReadOut,
    check_column,
    check_neighbours,
    input_lines,
    wire_lines,
)
from rramsim.exceptions import InputError
from rramsim.numbers import spice_number
from rramsim.processes import ModelCard, Process
from rramsim.processes.process import netlists_folder

__all__ = ["MismatchSite", "SenseCircuit", "Transistor", "sense_circuit"]

_BOLTZMANN_J_K = 1.380649e-23
_NEIGHBOUR = "neighbour_card"
_CAPACITANCES = (
    "cgso", "cgdo", "cgbo", "cgsl", "cgdl", "cf",
    "cjs", "cjd", "cjsws", "cjswd", "cjswgs", "cjswgd",
)  # fmt: skip
_ALIASES = {"nch": "nmos", "pch": "pmos"}


@dataclass(frozen=True, kw_only=True)
class Transistor:
    """A transistor of the deck: its name, the device it is made of, its geometry in metre."""

    name: str
    device: str
    width_m: float
    length_m: float


@dataclass(frozen=True, kw_only=True)
class MismatchSite:
    """One parameter of one transistor's card that varies: nominal value and deviation."""

    transistor: str
    model: str
    parameter: str
    nominal: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class SenseCircuit:
    """A read testbench around a PCSA and a synapse; what an engine is asked to solve.

    `text` holds the subcircuits and the testbench with every transistor's model renamed to its
    own copy; `transistors` lists them. `neighbours` are the resistances (r_bl_ohm, r_blb_ohm) of
    each row of a column that is written out; those of the selected row are the sample's.
    """

    name: str
    process: Process
    column: Column
    text: str
    transistors: tuple[Transistor, ...]
    read_out: ReadOut = field(default_factory=ReadOut)
    neighbours: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        # Wires and leakage stand in the text: a column that is exchanged later has none of them.
        wires = self.read_out.name != "column" and self.column.r_row_ohm > 0
        leaks = self.column.leakage and self.column.rows > 1
        if wires != ("rwirebl" in self.text) or leaks != self._leaks:
            raise InputError(
                "a column with other wires or leakage needs a circuit of its own: "
                "sense_circuit(column=...)"
            )

    @property
    def devices(self) -> tuple[str, str]:
        """ngspice's names of the two resistors that are read."""
        if self.read_out.name == "column":
            row = self.column.row
            return f"r.xcolumn.rbl{row}", f"r.xcolumn.rblb{row}"
        return "r.xsynapse.rbl", "r.xsynapse.rblb"

    def threshold_v(self, conditions: SenseConditions) -> float:
        """The voltage at which the gates behind the outputs switch."""
        return self.column.threshold * conditions.vdd_v

    def noise_sigma_v(self, conditions: SenseConditions) -> float:
        """Deviation of the noise between the outputs when they are let go, in volt.

        The reset switches leave the sampled thermal noise kT/C on each of the two output nodes;
        the latch's own transistors are taken to add as much again while it decides (a factor of 2,
        assumed; how such latches make noise: Nuzzo et al. 2008, IEEE TCAS-I 55:1441). C is
        `c_out_f`; with the transistors' own charge on the node, some 15 % less arrives.
        """
        kelvin = conditions.temperature_c + 273.15
        return math.sqrt(2 * 2 * _BOLTZMANN_J_K * kelvin / self.column.c_out_f)

    def cards(self, corner: str) -> dict[str, ModelCard]:
        """The card of each transistor in a corner."""
        return {
            t.name: self.process.card(
                corner=corner, device=t.device, width_m=t.width_m, length_m=t.length_m
            )
            for t in self.transistors
        }

    def mismatch_sites(self, corner: str) -> tuple[MismatchSite, ...]:
        """Every varying parameter of every transistor, in the order in which it is drawn."""
        sites = []
        for transistor, card in zip(self.transistors, self.cards(corner).values(), strict=True):
            for coefficient in self.process.coefficients(card):
                nominal = card.parameter(coefficient.parameter)
                if nominal is None:
                    raise InputError(
                        f"process {self.process.name}: card {card.bin_name} sets no "
                        f"{coefficient.parameter}, which its mismatch varies"
                    )
                sites.append(
                    MismatchSite(
                        transistor=transistor.name,
                        model=_copy_name(transistor.name),
                        parameter=coefficient.parameter,
                        nominal=nominal,
                        sigma=coefficient.sigma(
                            nominal=nominal,
                            width_m=transistor.width_m,
                            length_m=transistor.length_m,
                        ),
                    )
                )
        return tuple(sites)

    def deck(self, conditions: SenseConditions) -> str:
        """The SPICE text for some conditions: title, parameters, cards, circuit; no analysis."""
        values = self.column.parameters | {
            "vdd_v": conditions.vdd_v,
            "window_s": conditions.window_s,
        }
        for row, pair in enumerate(self.neighbours, start=1):
            values |= {f"r_bl_{row}_ohm": pair[0], f"r_blb_{row}_ohm": pair[1]}
        parameters = " ".join(f"{name}={value!r}" for name, value in values.items())
        cards = [
            card.renamed(_copy_name(name)) for name, card in self.cards(conditions.corner).items()
        ]
        if self._leaks:
            cards.append(self._neighbour_card(conditions.corner))
        return "\n".join(
            [
                "rramsim: read of a synapse",
                f".param {parameters}",
                *cards,
                self.text,
                f".options temp={conditions.temperature_c!r}",
            ]
        )

    @property
    def _leaks(self) -> bool:
        return _NEIGHBOUR in self.text

    def _neighbour_card(self, corner: str) -> str:
        """The card of the other rows' access transistors: their currents without their charges.

        What they add in capacitance is in the column's `c_row_f` already.
        """
        access = next(t for t in self.transistors if t.name.startswith("synapse_2t2r_"))
        card = self.process.card(
            corner=corner, device=access.device, width_m=access.width_m, length_m=access.length_m
        )
        return card.with_values(dict.fromkeys(_CAPACITANCES, "0")).renamed(_NEIGHBOUR)

    @cached_property
    def sha256(self) -> str:
        """Hash of netlists, column and process: the circuit's part of a task's id."""
        value = f"{self.text}\n{self.column!r}\n{self.process.sha256}\n{self.neighbours!r}"
        return hashlib.sha256(value.encode()).hexdigest()


def sense_circuit(
    *,
    process: Process,
    column: Column | None = None,
    netlist: Path | None = None,
    read_out: ReadOut | None = None,
    neighbours: tuple[tuple[float, float], ...] | None = None,
) -> SenseCircuit:
    """Build the read of a synapse from rramsim's netlists, or around the user's own PCSA.

    `netlist`, if given, is a file with a `.subckt pcsa` that has the pins q, qb, bl, blb, sl,
    sen, vdd and vss in any order (and `pcsa_xnor` x and xb for that read-out). `neighbours` gives
    the resistances of the 32 rows of the read-out "column"; None: `neighbour_ohm` everywhere.
    Raises `InputError` for a netlist without the pins, or one whose transistors the process does
    not have.
    """
    read_out, column = read_out or ReadOut(), column or Column()
    check_column(read_out, column)
    folder = netlists_folder()
    own = read_netlist(folder / f"{read_out.amplifier}.spice" if netlist is None else Path(netlist))
    if own.top:
        number, line = own.top[0]
        raise InputError(
            f"{own.path} line {number}: {line.split()[0]!r} stands outside a subcircuit; "
            "the sense amplifier's file holds .subckt blocks only"
        )
    pcsa = _pcsa(own, read_out)
    is_column = read_out.name == "column"
    synapse = read_netlist(folder / ("column.spice" if is_column else "synapse_2t2r.spice"))
    behind = [read_netlist(folder / "gxnor.spice")] if read_out.name == "gxnor" else []
    testbench = read_netlist(folder / "read_testbench.spice")
    blocks: list[str] = []
    transistors: list[Transistor] = []
    for path, sub in [(own.path, s) for s in _used(own, pcsa)] + [
        (netlist.path, s) for netlist in (synapse, *behind) for s in netlist.subcircuits.values()
    ]:
        text, found = _named_transistors(sub, process, path)
        blocks.append(text)
        transistors += found
    access = next((line for line in blocks[-1 - len(behind)].splitlines() if line[0] == "m"), "")
    geometry = " ".join(field for field in access.split()[6:])
    instance = f"xpcsa {' '.join({'vss': '0'}.get(pin, pin) for pin in pcsa.pins)} {pcsa.name}"
    for _, line in testbench.top:
        if line.lower().startswith("xpcsa "):
            blocks += [instance, *input_lines(read_out)]
        else:
            blocks += [
                each.replace("NEIGHBOUR", f"{_NEIGHBOUR} {geometry}")
                for each in wire_lines(line, read_out, column)
            ]
    if is_column and neighbours is None:
        neighbours = ((column.neighbour_ohm, column.neighbour_ohm),) * column.rows
    circuit = SenseCircuit(
        name=own.path.stem if read_out.name in ("pcsa", "pcsa_xnor") else read_out.name,
        process=process,
        column=column,
        text="\n".join(blocks),
        transistors=tuple(transistors),
        read_out=read_out,
        neighbours=check_neighbours(read_out, neighbours),
    )
    for corner in process.corners:
        circuit.cards(corner)
    return circuit


def _copy_name(transistor: str) -> str:
    return f"{transistor}_card"


def _pcsa(netlist: Netlist, read_out: ReadOut) -> Subcircuit:
    name, pins = read_out.amplifier, read_out.pins
    pcsa = netlist.subcircuits.get(name)
    if pcsa is None:
        raise InputError(
            f"{netlist.path}: no '.subckt {name}'; it has "
            f"{', '.join(netlist.subcircuits) or 'no subcircuit'}"
        )
    if sorted(pcsa.pins) != sorted(pins):
        missing = [pin for pin in pins if pin not in pcsa.pins]
        extra = [pin for pin in pcsa.pins if pin not in pins]
        raise InputError(
            f"{netlist.path}: .subckt {name} "
            + " and ".join(
                part
                for part in (
                    f"lacks the pins {', '.join(missing)}" if missing else "",
                    f"has unknown pins {', '.join(extra)}" if extra else "",
                    "" if missing or extra else "names a pin twice",
                )
                if part
            )
            + f"; it needs {', '.join(pins)}, in any order"
        )
    return pcsa


def _used(netlist: Netlist, root: Subcircuit) -> list[Subcircuit]:
    """The subcircuits that `root` needs, itself last; each may be used once.

    A transistor's card is altered by name, so two instances of one subcircuit would share their
    mismatch: that is refused rather than simulated wrongly.
    """
    order: list[Subcircuit] = []

    def visit(sub: Subcircuit, trail: tuple[str, ...]) -> None:
        for number, line in sub.elements:
            if line[0].lower() != "x":
                continue
            name = [f for f in line.lower().split() if "=" not in f][-1]
            inner = netlist.subcircuits.get(name)
            if inner is None:
                raise InputError(f"{netlist.path} line {number}: no .subckt {name!r}")
            if name in trail or inner in order:
                raise InputError(
                    f"{netlist.path} line {number}: .subckt {name!r} is used more than once; "
                    "write its transistors out, so that each has a mismatch of its own"
                )
            visit(inner, (*trail, name))
        order.append(sub)

    visit(root, (root.name,))
    return order


def _named_transistors(
    sub: Subcircuit, process: Process, path: Path
) -> tuple[str, list[Transistor]]:
    """Write a subcircuit with each transistor's model renamed, and list its transistors."""
    defaults = "".join(f" {name}={value}" for name, value in sub.parameters)
    lines = [f".subckt {sub.name} {' '.join(sub.pins)}{defaults}"]
    found: list[Transistor] = []
    values = dict(sub.parameters)
    for number, line in sub.elements:
        where = f"{path} line {number}"
        if line.split()[0].lower() == ".param":
            values |= dict(re.findall(r"(\w+)\s*=\s*(\S+)", line.lower()))
        if line[0].lower() == "m":
            line, transistor = _transistor(line, sub.name, values, process, where)
            found.append(transistor)
        lines.append(line)
    return "\n".join([*lines, f".ends {sub.name}"]), found


def _transistor(
    line: str, subcircuit: str, values: dict[str, str], process: Process, where: str
) -> tuple[str, Transistor]:
    fields = re.sub(r"\s*=\s*", "=", line.lower()).split()
    if len(fields) < 6 or any("=" in field for field in fields[:6]):
        raise InputError(f"{where}: expected 'M<name> drain gate source bulk model W=.. L=..'")
    given = dict(field.split("=", 1) for field in fields[6:] if "=" in field)

    def size(key: str) -> float:
        text = given.get(key, "").strip("{}' ")
        try:
            value = spice_number(values.get(text, text))
        except ValueError as error:
            raise InputError(
                f"{where}: {key.upper()} = {given.get(key, '(missing)')}: "
                "must be a number, such as 1u, or the name of a .param"
            ) from error
        if not value > 0:
            raise InputError(f"{where}: {key.upper()} = {value:g}: must be above 0 m")
        return value

    role = _ALIASES.get(fields[5])
    device = getattr(process, role) if role else fields[5]
    name = f"{subcircuit}_{fields[0]}"
    transistor = Transistor(name=name, device=device, width_m=size("w"), length_m=size("l"))
    try:
        process.card(
            corner=next(iter(process.corners)),
            device=device,
            width_m=transistor.width_m,
            length_m=transistor.length_m,
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    fields[5] = _copy_name(name)
    return " ".join(fields), transistor
