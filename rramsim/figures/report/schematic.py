"""The circuit as a drawing: the precharge sense amplifier over its 2T2R synapse.

The drawing is of rramsim's own PCSA. It stands for a netlist only where the netlist connects its
transistors the same way, whatever their sizes; any other one is drawn as a block.
"""

from rramsim.circuits import SenseCircuit
from rramsim.circuits.sense import Transistor
from rramsim.figures.chart import csv_text
from rramsim.figures.draw_svg import Element, add, root, text, to_string
from rramsim.figures.numbers import engineering
from rramsim.figures.report.page import Picture
from rramsim.processes.process import netlists_folder
from rramsim.spice import read_deck

Place = tuple[str, frozenset[str], str, str]


def _roles(circuit: SenseCircuit) -> dict[str, Transistor] | None:
    """The amplifier's transistors by their names in `pcsa.spice`, if it is wired as that one is."""
    shipped = read_deck(netlists_folder() / "pcsa.spice").body.subcircuits["pcsa"].body.elements
    kinds = {"nch": "nmos", "pch": "pmos"}
    roles = {_place(kinds[s.model], s.nodes): s.name for s in shipped}
    found: dict[str, Transistor] = {}
    for transistor in circuit.transistors:
        if transistor.part == "amplifier":
            role = roles.get(_place(transistor.kind, transistor.nodes))
            if role is None or role in found:
                return None
            found[role] = transistor
    alone = all(element.kind == "m" for element in circuit.elements("amplifier"))
    return found if alone and len(found) == len(shipped) else None


def _place(kind: str, nodes: tuple[str, ...]) -> Place:
    """A transistor's type, its two ends, gate and bulk: what a drawing depends on."""
    drain, gate, source, bulk = ("0" if node == "vss" else node for node in nodes)
    return kind, frozenset((drain, source)), gate, bulk


def is_shipped_topology(circuit: SenseCircuit) -> bool:
    """Whether the amplifier's transistors are connected as in rramsim's `pcsa.spice`."""
    return _roles(circuit) is not None


def schematic_figure(circuit: SenseCircuit) -> Picture:
    """The circuit that was sensed, with the sizes of its transistors and its capacitances."""
    drawn = _roles(circuit)
    svg = _drawing(circuit, drawn) if drawn else _block(circuit)
    behind = {
        "gxnor": " A gated XNOR stands behind the outputs (not drawn).",
        "column": " The synapse is one row of a column of 32 (the others are not drawn).",
    }.get(circuit.read_out.name, "")
    caption = (
        "Precharge sense amplifier and 2T2R synapse; sizes are W/L in µm. SEN low precharges Q and "
        "QB; SEN high lets both branches discharge, the lower resistance first, and the latch "
        "decides."
        if drawn
        else "The amplifier's transistors are connected otherwise than in the plain PCSA: it is "
        "shown as a block, and the netlist below is what was simulated."
    )
    return Picture(
        key="circuit",
        title=f"The circuit: {circuit.name}",
        caption=caption + behind,
        variants={"": svg},
        csv=csv_text(
            ["transistor", "device", "width_m", "length_m", "parallel"],
            ([t.name, t.device, t.width_m, t.length_m, t.parallel] for t in circuit.transistors),
        ),
    )


class _Drawing:
    """Symbols and wires on a canvas; a transistor's gate is on the left or on the right."""

    def __init__(self, width: float, height: float, label: str) -> None:
        self.svg = root(width, height, label=label, kind="schematic")

    def wire(self, d: str) -> None:
        add(self.svg, "path", d=d, class_="wire")

    def dot(self, x: float, y: float) -> None:
        add(self.svg, "circle", cx=x, cy=y, r=2.6, class_="dot")

    def name(self, x: float, y: float, content: str, anchor: str = "start") -> None:
        text(self.svg, x, y, content, anchor=anchor)

    def transistor(self, x: float, y: float, *, gate: int, p: bool, label: str, size: str,
                   label_side: int | None = None) -> None:  # fmt: skip
        """Ends at (x, y - 24) and (x, y + 24); the gate at (x + 28 * gate, y)."""
        s = gate
        self.wire(
            f"M{x} {y - 24}V{y - 11}h{8 * s}M{x + 8 * s} {y - 16}V{y + 16}M{x + 8 * s} {y + 11}"
            f"H{x}V{y + 24}M{x + 13 * s} {y - 12}V{y + 12}"
        )
        if p:
            add(self.svg, "circle", cx=float(x + 16.5 * s), cy=float(y), r=3, class_="bubble")
            self.wire(f"M{x + 20 * s} {y}H{x + 28 * s}")
        else:
            self.wire(f"M{x + 13 * s} {y}H{x + 28 * s}")
        side = -gate if label_side is None else label_side
        anchor = "end" if side < 0 else "start"
        self.name(x + 8 * side, y - 1, label, anchor)
        text(self.svg, x + 8 * side, y + 11, size, anchor=anchor, class_="small")

    def resistor(self, x: float, y: float, label: str, side: int) -> None:
        """From (x, y - 26) to (x, y + 26)."""
        self.wire(f"M{x} {y - 26}v8l6 3l-12 6l12 6l-12 6l12 6l-12 6l6 3V{y + 26}")
        self.name(x + 12 * side, y + 4, label, "start" if side > 0 else "end")

    def capacitor(self, x: float, y: float, label: str, side: int) -> None:
        """From the node at (x, y) outwards and down to ground."""
        at = x + 34 * side
        self.wire(f"M{x} {y}H{at}v10M{at - 9} {y + 10}h18M{at - 9} {y + 15}h18M{at} {y + 15}v8")
        self.ground(at, y + 23)
        self.name(at + 13 * side, y + 17, label, "start" if side > 0 else "end")

    def ground(self, x: float, y: float) -> None:
        self.wire(f"M{x - 8} {y}h16M{x - 5} {y + 4}h10M{x - 2} {y + 8}h4")


def _drawing(circuit: SenseCircuit, roles: dict[str, Transistor]) -> str:
    size = {role: transistor.label for role, transistor in roles.items()}
    every = {t.name: t.label for t in circuit.transistors}
    access = [every[name] for name in circuit.access]
    column = circuit.column
    c_bl = engineering(column.rows * column.c_row_f + column.c_periphery_f, "F")
    d = _Drawing(560, 590, "Schematic of the precharge sense amplifier with its 2T2R synapse")
    d.wire("M80 30H480")
    d.name(280, 22, "VDD", "middle")
    for side, q, pre, latch in ((1, "Q", "mpre1", "1"), (-1, "QB", "mpre2", "2")):
        # The left half as it is, the right one mirrored.
        def at(x: float, side: int = side) -> float:
            return x if side > 0 else 560 - x

        node = 180 if side > 0 else 205
        d.transistor(at(105), 84, gate=-side, p=True, label=pre.upper(), size=size[pre],
                     label_side=side)  # fmt: skip
        d.wire(f"M{at(105)} 30V60M{at(105)} 108V{node}H{at(210)}")
        d.name(at(71), 88, "SEN", "end" if side > 0 else "start")
        d.transistor(at(210), 84, gate=side, p=True, label=f"MP{latch}",
                     size=size[f"mp{latch}"])  # fmt: skip
        d.wire(f"M{at(210)} 30V60M{at(210)} 108V238M{at(238)} 84V262")
        d.transistor(at(210), 262, gate=side, p=False, label=f"MN{latch}",
                     size=size[f"mn{latch}"])  # fmt: skip
        far = 205 if side > 0 else 180
        d.wire(f"M{at(238)} {far}H{at(350)}")
        for x, y in ((at(210), node), (at(238), far), (at(350), far), (at(105), node)):
            d.dot(x, y)
        d.name(at(158), node - 6, q, "middle")
        d.capacitor(at(105), node, engineering(column.c_out_f, "F"), -side)
        line = "BL" if side > 0 else "BLB"
        d.wire(f"M{at(210)} 286V336")
        d.dot(at(210), 310)
        d.name(at(218), 304, line, "start" if side > 0 else "end")
        d.capacitor(at(210), 310, c_bl, -side)
        d.resistor(at(210), 362, f"R {line}", side)
        d.transistor(at(210), 412, gate=-side, p=False, label=f"MACC{latch}",
                     size=access[int(latch) - 1], label_side=side)  # fmt: skip
        d.name(at(176), 416, "WL", "end" if side > 0 else "start")
        d.wire(f"M{at(210)} 436V462H280")
    d.dot(280, 462)
    d.name(288, 456, "SL")
    d.wire("M280 462V488")
    d.transistor(280, 512, gate=-1, p=False, label="MFOOT", size=size["mfoot"])
    d.name(246, 516, "SEN", "end")
    d.wire("M280 536v14")
    d.ground(280, 550)
    d.name(80, 470, f"one of {column.rows} rows")
    return to_string(d.svg)


def _block(circuit: SenseCircuit) -> str:
    d = _Drawing(520, 300, f"Block diagram of {circuit.name} with its synapse")
    box(d.svg, 150, 30, 220, 90)
    own = [t for t in circuit.transistors if t.part != "synapse"]
    d.name(260, 66, circuit.name[:32], "middle")
    d.name(260, 88, f"{len(own)} transistors", "middle")
    for x, node in ((110, "Q"), (410, "QB")):
        d.wire(f"M{150 if x < 260 else 370} 75H{x}")
        d.name(x - 6 if x < 260 else x + 6, 79, node, "end" if x < 260 else "start")
    for x, line, side in ((200, "BL", -1), (320, "BLB", 1)):
        d.wire(f"M{x} 120V154")
        d.name(x + 8 * side, 140, line, "start" if side > 0 else "end")
        d.resistor(x, 180, f"R {line}", side)
        d.wire(f"M{x} 206V220")
    box(d.svg, 150, 220, 220, 40)
    d.name(260, 245, "access transistors, source line", "middle")
    return to_string(d.svg)


def box(parent: Element, x: float, y: float, width: float, height: float) -> None:
    """A rectangle for what is not drawn in detail."""
    add(parent, "rect", x=x, y=y, width=width, height=height, rx=6, class_="box")
