"""A sense circuit: netlists, process and column made into one circuit of elements.

Each transistor has a copy of its card, so that an engine can give every transistor its own mismatch
by altering the copy (the foundry's mismatch acts on model parameters, not on instances). Sizes,
cards, supplies and what belongs to what all come from the elaborated circuit; the one thing that
names tell is which instance of our own testbench a transistor stands in.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from rramsim.circuits.conditions import Column, SenseConditions
from rramsim.circuits.readouts import (
    ReadOut,
    check_column,
    check_neighbours,
    input_lines,
    wire_lines,
)
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.processes import Direction, Process
from rramsim.processes.process import netlists_folder
from rramsim.spice import (
    Body,
    Circuit,
    Deck,
    Element,
    Measure,
    ModelCard,
    Names,
    Scope,
    Subcircuit,
    canonical,
    circuit_lines,
    elaborate,
    logical_lines,
    measure,
    parse_deck,
    read_deck,
    read_text,
)

_BOLTZMANN_J_K = 1.380649e-23
_AMPLIFIER = "xpcsa"
_PARTS = {_AMPLIFIER: "amplifier", "xsynapse": "synapse", "xcolumn": "synapse", "xgxnor": "gate"}
"""What the instances of our testbench are."""
_NEIGHBOUR = "mn"
"""How the other rows' transistors begin, which leak and have no mismatch."""
_CAPACITANCES = (
    "cgso", "cgdo", "cgbo", "cgsl", "cgdl", "cf",
    "cjs", "cjd", "cjsws", "cjswd", "cjswgs", "cjswgd",
)  # fmt: skip
_GROUND = ("vss", "gnd", "0")
_MOST_KEPT = 64


@dataclass(frozen=True, kw_only=True)
class Transistor:
    """A transistor: its name, the part it belongs to, its device and its geometry in metre.

    `part` is "amplifier", "synapse" or "gate"; `kind` "nmos" or "pmos"; `nodes` are drain, gate,
    source and bulk. `width_m` is that of all its fingers; `parallel` (m and mult) counts
    transistors side by side; `fingers` is nf.
    """

    name: str
    part: str
    device: str
    kind: str
    nodes: tuple[str, ...]
    width_m: float
    length_m: float
    parallel: float = 1.0
    fingers: float = 1.0

    @property
    def label(self) -> str:
        """Width over length in micrometre, as schematics have it."""
        times = f" ×{self.parallel:g}" if self.parallel != 1 else ""
        return f"{self.width_m * 1e6:g}/{self.length_m * 1e6:g}{times}"


@dataclass(frozen=True, kw_only=True)
class MismatchSite:
    """One deviate of one transistor: what of its card it moves, most of all `parameter`."""

    transistor: str
    part: str
    moves: Direction

    @property
    def parameter(self) -> str:
        """The first parameter that moves, which names the site."""
        return self.moves[0].parameter

    @property
    def nominal(self) -> float:
        """That parameter's nominal value."""
        return self.moves[0].nominal

    @property
    def sigma(self) -> float:
        """That parameter's standard deviation."""
        return abs(self.moves[0].linear)


@dataclass(frozen=True, kw_only=True)
class SenseCircuit:
    """A read testbench around a PCSA and a synapse; what an engine is asked to solve.

    `bench` is our testbench, with the synapse; `amplifier` the file in which its instance `xpcsa`
    is described. `neighbours` are the resistances (r_bl_ohm, r_blb_ohm) of each row of a column
    that is written out; those of the selected row are the sample's.
    """

    name: str
    process: Process
    column: Column
    bench: Deck
    amplifier: Deck
    read_out: ReadOut = field(default_factory=ReadOut)
    neighbours: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        # Wires and leakage stand in the bench: a column that is exchanged later has none of them.
        names = {statement.name for statement in self.bench.body.elements}
        wires = self.read_out.name != "column" and self.column.r_row_ohm > 0
        leaks = self.column.leakage and self.column.rows > 1
        if wires != ("rwirebl" in names) or leaks != any(n.startswith("mn") for n in names):
            raise InputError(
                "a column with other wires or leakage needs a circuit of its own: "
                "sense_circuit(column=...)"
            )

    @property
    def devices(self) -> tuple[str, str]:
        """The names of the two resistors that are read."""
        if self.read_out.name == "column":
            row = self.column.row
            return f"xcolumn.rbl{row}", f"xcolumn.rblb{row}"
        return "xsynapse.rbl", "xsynapse.rblb"

    def threshold_v(self, conditions: SenseConditions) -> float:
        """The voltage at which the gates behind the outputs switch."""
        return self.column.threshold * conditions.vdd_v

    def noise_sigma_v(self, conditions: SenseConditions) -> float:
        """Standard deviation of the noise between the outputs when they are released, in volt.

        The reset switches leave the sampled thermal noise kT/C on each of the two output nodes;
        the latch's own transistors are taken to add as much again while it decides (a factor of 2,
        assumed; how such latches make noise: Nuzzo et al. 2008, IEEE TCAS-I 55:1441). C is
        `c_out_f`; with the transistors' own charge on the node, some 15 % less arrives.
        """
        kelvin = conditions.temperature_c + 273.15
        return math.sqrt(2 * 2 * _BOLTZMANN_J_K * kelvin / self.column.c_out_f)

    def elaborated(self, conditions: SenseConditions) -> Circuit:
        """Every element under some conditions; raises `InputError` for what is not known."""
        self.process.check(corner=conditions.corner, vdd_v=conditions.vdd_v)
        key = (conditions.corner, conditions.vdd_v, conditions.window_s)
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = self._elaborated(conditions.corner, self._values(conditions))
        return self._kept[key]

    def _values(self, conditions: SenseConditions) -> dict[str, float]:
        """What expressions of the testbench and the amplifier may use."""
        values = self.column.parameters | {
            "vdd_v": conditions.vdd_v,
            "window_s": conditions.window_s,
        }
        for row, pair in enumerate(self.neighbours, start=1):
            values |= {f"r_bl_{row}_ohm": pair[0], f"r_blb_{row}_ohm": pair[1]}
        return values

    def _elaborated(self, corner: str, values: dict[str, float] | None) -> Circuit:
        found = elaborate(
            self.bench.body,
            self.process.library(corner),
            values=values,
            global_nodes={n: "0" if n in _GROUND else n for n in self.amplifier.nodes},
            inside={_AMPLIFIER: self.amplifier.body},
            sizes_only=values is None,
        )
        settled = (
            self.process.settled(e) if e.kind == "m" and e.card else e for e in found.elements
        )
        return replace(found, elements=tuple(_without_charges(e) for e in settled))

    @cached_property
    def _kept(self) -> dict[tuple[str, float, float], Circuit]:
        return {}

    @cached_property
    def access(self) -> tuple[str, str]:
        """The names of the transistors that stand behind the two devices."""
        elements = self._elaborated(next(iter(self.process.corners)), None).elements
        node = {e.name: e.nodes[1] for e in elements if e.name in self.devices}
        bl, blb = (
            next(
                t.name for t in self.transistors
                if t.part == "synapse" and node[device] in (t.nodes[0], t.nodes[2])
            )
            for device in self.devices
        )  # fmt: skip
        return bl, blb

    def elements(self, part: str) -> tuple[Element, ...]:
        """What a part of the circuit is made of; resistors, capacitors and sources by name only."""
        found = self._elaborated(next(iter(self.process.corners)), None).elements
        return tuple(e for e in found if _part(e) == part)

    def listing(self, conditions: SenseConditions) -> str:
        """The elements of the deck, with the user's names, without the cards."""
        circuit = self.elaborated(conditions)
        lines = circuit_lines(circuit, Names.users(circuit), repr)
        return "\n".join(line for line in lines if not line.startswith((".model", "+")))

    @cached_property
    def _sized(self) -> dict[str, tuple[Element, ...]]:
        """By corner, the transistors that vary: those of the amplifier first."""
        order = list(_PARTS)
        found = {}
        for corner in self.process.corners:
            elements = [
                e for e in self._elaborated(corner, None).elements if e.kind == "m" and _part(e)
            ]
            elements.sort(key=lambda e: order.index(e.name.split(".")[0]))
            found[corner] = tuple(elements)
        return found

    @cached_property
    def transistors(self) -> tuple[Transistor, ...]:
        """Those of the amplifier, then the synapse's, then those behind the outputs."""
        return tuple(_transistor(e) for e in next(iter(self._sized.values())))

    def cards(self, corner: str) -> dict[str, ModelCard]:
        """The card of each transistor in a corner."""
        self.process.library(corner)
        return {e.name: e.card for e in self._sized[corner] if e.card}

    def mismatch_sites(self, corner: str) -> tuple[MismatchSite, ...]:
        """Every varying parameter of every transistor, in the order in which it is drawn."""
        self.process.library(corner)
        return tuple(
            MismatchSite(transistor=element.name, part=_part(element), moves=moves)
            for element in self._sized[corner]
            for moves in self.process.mismatch_of(element, corner)
        )

    @cached_property
    def _global(self) -> dict[str, dict[str, Direction]]:
        """By transistor, what each global factor moves of its card in tt."""
        kept: dict[tuple[object, ...], dict[str, Direction]] = {}
        found = {}
        for element in self._sized["tt"]:
            assert element.card is not None
            key = (element.card.bin_name, tuple(v for _, v in element.parameters))
            if key not in kept:
                kept[key] = self.process.global_directions(element)
            found[element.name] = kept[key]
        return found

    @cached_property
    def global_factors(self) -> tuple[str, ...]:
        """What the foundry draws once for a die and what moves these transistors.

        Raises `InputError` for a process that says nothing of it.
        """
        return tuple(sorted({name for moves in self._global.values() for name in moves}))

    def global_moves(self, corner: str) -> dict[str, dict[str, Direction]]:
        """By transistor, what each of the `global_factors` moves of its card; most move some."""
        if corner != "tt":
            raise InputError(
                f"corner = {corner!r}: the foundry draws global variation around tt; the other "
                "corners are the ends of it"
            )
        return self._global

    def supplies(self, conditions: SenseConditions) -> tuple[Element, ...]:
        """The sources inside the amplifier, whose energy a read pays for as well."""
        elements = self.elaborated(conditions).elements
        return tuple(e for e in elements if e.kind in "vieg" and _part(e) == "amplifier")

    def measures(self, conditions: SenseConditions) -> tuple[Measure, ...]:
        """The `.measure` lines of the amplifier's file, in their order.

        Raises `InputError` for a line that cannot be read, and for nodes that are not there.
        """
        body = self.amplifier.body
        scope = Scope(body, Scope(Body(), None, self._values(conditions))).opened()
        found: dict[str, Measure] = {}
        for name, (words, where) in body.measures.items():
            one = measure(name, words, where, number=scope.number, known=found)
            for node in one.nodes:
                if node not in self._nodes and node not in _GROUND:
                    raise InputError(
                        f"{where}: .measure {name}: no node {node!r}; there are "
                        f"{', '.join(self._nodes)}"
                    )
            found[name] = one
        return tuple(found.values())

    @cached_property
    def _nodes(self) -> tuple[str, ...]:
        """The nodes, those of the testbench first."""
        elements = self._elaborated(next(iter(self.process.corners)), None).elements
        nodes = dict.fromkeys(node for e in elements for node in e.nodes)
        return tuple(sorted(nodes, key=lambda node: ("." in node, node)))

    def deck(self, conditions: SenseConditions) -> str:
        """The elaborated circuit as SPICE text with the user's names; no analysis."""
        circuit = self.elaborated(conditions)
        return "\n".join(
            [
                "rramsim: read of a synapse",
                *circuit_lines(circuit, Names.users(circuit), repr),
                f".options temp={conditions.temperature_c!r}",
            ]
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of netlists, column and process: the circuit's part of a task's id."""
        more: dict[str, object] = {}
        if lines := self.amplifier.body.measures:
            more["measures"] = [(name, words) for name, (words, _) in lines.items()]
        if self.process.finger_bins and any(t.fingers != 1 for t in self.transistors):
            more["finger_bins"] = True
        return identity(
            "sense circuit",
            1,
            elements=[canonical(self.bench.body), canonical(self.amplifier.body)],
            nodes=sorted(self.amplifier.nodes),
            column=self.column,
            process=self.process.sha256,
            neighbours=self.neighbours,
            **more,
        )


def sense_circuit(
    *,
    process: Process,
    column: Column | None = None,
    netlist: Path | None = None,
    read_out: ReadOut | None = None,
    neighbours: tuple[tuple[float, float], ...] | None = None,
) -> SenseCircuit:
    """Build the read of a synapse from rramsim's netlists, or around the user's own PCSA.

    `netlist`, if given, is a file with a subcircuit that has the pins q, qb, bl, blb, sl, sen, vdd
    and vss in any order (and x and xb for the read-out `pcsa_xnor`). `neighbours` gives the
    resistances of the 32 rows of the read-out "column"; None: `neighbour_ohm` everywhere.
    Raises `InputError` for a netlist without the pins, or one whose transistors the process does
    not have.
    """
    read_out, column = read_out or ReadOut(), column or Column()
    check_column(read_out, column)
    folder = netlists_folder()
    path = folder / f"{read_out.amplifier}.spice" if netlist is None else Path(netlist)
    own = read_deck(path)
    outside = [(s.where, s.name) for s in own.body.elements]
    outside += [(text.where, what) for what, _, text in own.body.initial]
    if outside:
        where, word = outside[0]
        raise InputError(
            f"{where}: {word!r} stands outside a subcircuit; the sense amplifier's file holds "
            ".subckt blocks only"
        )
    pcsa = _amplifier(own, read_out)
    is_column = read_out.name == "column"
    if is_column and neighbours is None:
        neighbours = ((column.neighbour_ohm, column.neighbour_ohm),) * column.rows
    circuit = SenseCircuit(
        name=path.stem if read_out.name in ("pcsa", "pcsa_xnor") else read_out.name,
        process=process,
        column=column,
        bench=_bench(folder, pcsa, read_out, column),
        amplifier=own,
        read_out=read_out,
        neighbours=check_neighbours(read_out, neighbours),
    )
    for corner in process.corners:
        circuit.cards(corner)
    circuit.measures(SenseConditions(vdd_v=1.0))
    return circuit


def _bench(folder: Path, pcsa: Subcircuit, read_out: ReadOut, column: Column) -> Deck:
    """The testbench around the amplifier, with the subcircuits of what else stands in it."""
    path = folder / "read_testbench.spice"
    used = ["column" if read_out.name == "column" else "synapse_2t2r"]
    used += ["gxnor"] if read_out.name == "gxnor" else []
    lines = [read_text(folder / f"{name}.spice", "a netlist") for name in used]
    access = next(
        s for s in read_deck(folder / f"{used[0]}.spice").body.subcircuits[used[0]].body.elements
        if s.letter == "m"
    )  # fmt: skip
    geometry = " ".join(f"{name}={value}" for name, value in access.assigned.items())
    for _, line in logical_lines(read_text(path, "a netlist"), path):
        if line.startswith(f"{_AMPLIFIER} "):
            nodes = " ".join("0" if pin in _GROUND else pin for pin in pcsa.pins)
            lines += [f"{_AMPLIFIER} {nodes} {pcsa.name}", *input_lines(read_out)]
        else:
            lines += [
                each.replace("NEIGHBOUR", f"{access.model} {geometry}")
                for each in wire_lines(line, read_out, column)
            ]
    return parse_deck("\n".join(lines), path)


def _part(element: Element) -> str:
    """The part of the circuit that an element belongs to; empty for the testbench itself."""
    return _PARTS.get(element.name.split(".")[0], "")


def _without_charges(element: Element) -> Element:
    """The other rows' access transistors have their currents without their charges.

    What they add in capacitance is in the column's `c_row_f` already.
    """
    if element.kind != "m" or not element.card or not element.name.startswith(_NEIGHBOUR):
        return element
    return replace(element, card=element.card.with_values(dict.fromkeys(_CAPACITANCES, "0")))


def _transistor(element: Element) -> Transistor:
    sizes = dict(element.parameters)
    return Transistor(
        name=element.name,
        part=_part(element),
        device=element.card.name if element.card else "",
        kind=element.card.kind if element.card else "",
        nodes=element.nodes,
        width_m=sizes["w"],
        length_m=sizes["l"],
        parallel=sizes.get("m", 1.0) * element.parallel,
        fingers=sizes.get("nf", 1.0),
    )


def _amplifier(netlist: Deck, read_out: ReadOut) -> Subcircuit:
    """The subcircuit with the pins of the read-out; supplies may be global nodes instead."""
    subcircuits = netlist.body.subcircuits
    pins = read_out.pins
    optional = netlist.nodes & {"vdd", "vss"}
    optional |= {"vss"} if netlist.nodes & {"gnd"} else set()
    needed = [pin for pin in pins if pin not in optional]
    fitting = [
        sub for sub in subcircuits.values()
        if len(set(sub.pins)) == len(sub.pins) and set(needed) <= set(sub.pins) <= set(pins)
    ]  # fmt: skip
    named = subcircuits.get(read_out.amplifier)
    if named in fitting:
        return named
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) > 1:
        raise InputError(
            f"{netlist.path}: {', '.join(s.name for s in fitting)} all have the pins of a sense "
            f"amplifier; call the one to be read {read_out.amplifier}"
        )
    if not subcircuits:
        raise InputError(f"{netlist.path}: no .subckt with the pins {', '.join(pins)}")
    closest = named or max(subcircuits.values(), key=lambda sub: len({*sub.pins} & {*pins}))
    missing = [pin for pin in needed if pin not in closest.pins]
    extra = [pin for pin in closest.pins if pin not in pins]
    raise InputError(
        f"{closest.where}: .subckt {closest.name} "
        + " and ".join(
            part
            for part in (
                f"lacks the pins {', '.join(missing)}" if missing else "",
                f"has unknown pins {', '.join(extra)}" if extra else "",
                "" if missing or extra else "names a pin twice",
            )
            if part
        )
        + f"; a sense amplifier has {', '.join(pins)}, in any order"
    )
