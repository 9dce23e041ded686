"""A sense circuit: the netlists, the process and the column made into one deck.

Each transistor gets a copy of its card under a name of its own, so that an engine can give every
transistor its own mismatch by altering the copy (the foundry's mismatch acts on model parameters,
not on instances).
"""

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from rramsim.circuits.column import Column
from rramsim.circuits.conditions import SenseConditions
from rramsim.circuits.netlist import Netlist, Subcircuit, read_netlist
from rramsim.devices import ModelCard, Process, spice_number
from rramsim.devices.process import netlists_folder
from rramsim.exceptions import InputError

__all__ = ["MismatchSite", "SenseCircuit", "Transistor", "sense_circuit"]

PCSA_PINS = ("q", "qb", "bl", "blb", "sl", "sen", "vdd", "vss")
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
    own copy; `transistors` lists them.
    """

    name: str
    process: Process
    column: Column
    text: str
    transistors: tuple[Transistor, ...]

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
        values = asdict(self.column) | {
            "vdd_v": conditions.vdd_v,
            "window_s": conditions.window_s,
        }
        parameters = " ".join(f"{name}={value!r}" for name, value in values.items())
        cards = [
            card.renamed(_copy_name(name)) for name, card in self.cards(conditions.corner).items()
        ]
        return "\n".join(
            [
                f"rramsim: {self.name}",
                f".param {parameters}",
                *cards,
                self.text,
                f".options temp={conditions.temperature_c!r}",
            ]
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of netlists, column and process: the circuit's part of a task's id."""
        value = f"{self.text}\n{self.column!r}\n{self.process.sha256}"
        return hashlib.sha256(value.encode()).hexdigest()


def sense_circuit(
    *, process: Process, column: Column | None = None, netlist: Path | None = None
) -> SenseCircuit:
    """Build the read of a synapse from rramsim's netlists, or around the user's own PCSA.

    `netlist`, if given, is a file with a `.subckt pcsa` that has the pins q, qb, bl, blb, sl,
    sen, vdd and vss in any order. Raises `InputError` for a netlist without them, or one whose
    transistors the process does not have.
    """
    folder = netlists_folder()
    own = read_netlist(folder / "pcsa.spice" if netlist is None else Path(netlist))
    if own.top:
        number, line = own.top[0]
        raise InputError(
            f"{own.path} line {number}: {line.split()[0]!r} stands outside a subcircuit; "
            "the sense amplifier's file holds .subckt blocks only"
        )
    pcsa = _pcsa(own)
    synapse = read_netlist(folder / "synapse_2t2r.spice")
    testbench = read_netlist(folder / "read_testbench.spice")
    blocks: list[str] = []
    transistors: list[Transistor] = []
    for path, sub in [(own.path, s) for s in _used(own, pcsa)] + [
        (synapse.path, s) for s in synapse.subcircuits.values()
    ]:
        text, found = _named_transistors(sub, process, path)
        blocks.append(text)
        transistors += found
    instance = f"xpcsa {' '.join({'vss': '0'}.get(pin, pin) for pin in pcsa.pins)} pcsa"
    for _, line in testbench.top:
        blocks.append(instance if line.lower().startswith("xpcsa ") else line)
    circuit = SenseCircuit(
        name=own.path.stem,
        process=process,
        column=column or Column(),
        text="\n".join(blocks),
        transistors=tuple(transistors),
    )
    for corner in process.corners:
        circuit.cards(corner)
    return circuit


def with_column(circuit: SenseCircuit, column: Column) -> SenseCircuit:
    """The same circuit in another column."""
    return replace(circuit, column=column)


def _copy_name(transistor: str) -> str:
    return f"{transistor}_card"


def _pcsa(netlist: Netlist) -> Subcircuit:
    pcsa = netlist.subcircuits.get("pcsa")
    if pcsa is None:
        raise InputError(
            f"{netlist.path}: no '.subckt pcsa'; it has "
            f"{', '.join(netlist.subcircuits) or 'no subcircuit'}"
        )
    if sorted(pcsa.pins) != sorted(PCSA_PINS):
        missing = [pin for pin in PCSA_PINS if pin not in pcsa.pins]
        extra = [pin for pin in pcsa.pins if pin not in PCSA_PINS]
        raise InputError(
            f"{netlist.path}: .subckt pcsa "
            + " and ".join(
                part
                for part in (
                    f"lacks the pins {', '.join(missing)}" if missing else "",
                    f"has unknown pins {', '.join(extra)}" if extra else "",
                    "" if missing or extra else "names a pin twice",
                )
                if part
            )
            + f"; it needs {', '.join(PCSA_PINS)}, in any order"
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
