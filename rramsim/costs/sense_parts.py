"""What the parts of one sense cost: their energy in the transient, and their area.

Energy: sources of 0 V at every pin of the amplifier split the supply's charge. Over the cycle that
is paid for (word line's edge, sense, full recharge) the supply gives, in the recharge, what the bit
lines and the outputs take, and what the amplifier's own transistors take; during the sense, what
the latch draws while it regenerates. Each part is integrated from currents of its own; that they
add up to the supply's energy is a check (no path was forgotten), not a definition.

Area: an estimate by stated rules, not a layout. A transistor takes (W + 0.3 um) x (L + 2 x 0.29
um): the diffusions are those of the netlists (one row of contacts), the spacing is assumed; fingers
share diffusions, parallel ones do not. A synapse is its two access transistors, the devices lying
above them in the back end. Peripheral transistors (amplifiers, logic) are taken at twice their own
area for wells, wires and gaps (assumed).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.engines.protocol import charge_c
from rramsim.exceptions import InputError, MachineError
from rramsim.spice import Names, circuit_lines, parse_deck

if TYPE_CHECKING:
    from rramsim.circuits.sense import Transistor
    from rramsim.networks import LayerCensus


@dataclass(frozen=True, kw_only=True)
class SenseParts:
    """Parts of one sense's energy in joule.

    `bit_lines_j`, `outputs_j`: VDD times the charge that they take in the recharge. `latch_j`: the
    amplifier's transistors, in the recharge and while they regenerate. `clock_j`, `word_line_j`:
    what ideal drivers of SEN and the word line give. `supply_j`: the same energy integrated from
    the sources alone. `swing_j`: C V dV of bit lines and outputs by their capacitances and their
    swings in the waveforms, a hand calculation.
    """

    vdd_v: float
    bit_lines_j: float
    outputs_j: float
    latch_j: float
    clock_j: float
    word_line_j: float
    supply_j: float
    swing_j: float

    @property
    def sum_j(self) -> float:
        """The parts together."""
        return self.bit_lines_j + self.outputs_j + self.latch_j + self.clock_j + self.word_line_j


def sense_parts(
    circuit: SenseCircuit, conditions: SenseConditions, r_bl_ohm: float, r_blb_ohm: float
) -> SenseParts:
    """Simulate one sense without mismatch in ngspice and split its energy.

    Raises `InputError` for a circuit without the PCSA's testbench, `MachineError` if ngspice fails.
    """
    metered, pins = _with_ammeters(circuit)
    elements = metered.elaborated(conditions)
    names = Names.own(elements)
    column, vdd_v = circuit.column, conditions.vdd_v
    start_s = column.precharge_s - column.wl_setup_s
    fall_s = column.precharge_s + conditions.window_s
    stop_s = fall_s + column.precharge_s
    bl, blb = (names.elements[name] for name in circuit.devices)
    nodes = ("q", "qb", "bl", "blb")
    inner = metered.supplies(conditions)
    if any(source.kind != "v" or source.wave[0] != "dc" for source in inner):
        raise InputError(f"{circuit.name}: the amplifier's own sources must be constant voltages")
    sources = ["vdd", "vsen", "vwl", *(f"vm_{pin}" for pin in pins), *(e.name for e in inner)]
    deck = "\n".join(
        [
            "rramsim: parts of a sense",
            *circuit_lines(elements, names),
            f".options temp={conditions.temperature_c!r} reltol=1e-4 trtol=1",
            f".save {' '.join(f'v({names.nodes[n]})' for n in nodes)} "
            + " ".join(f"i({names.elements[name]})" for name in sources),
            f".tran {column.edge_s!r} {stop_s!r} 0 2e-9",
            ".end",
        ]
    )
    session = ngspice_session()
    try:
        session.load(deck)
        session.command(f"alter {bl} = {r_bl_ohm:.9g}")
        session.command(f"alter {blb} = {r_blb_ohm:.9g}")
        session.run()
    except CircuitError as error:
        raise MachineError(f"{circuit.name} at {conditions.label}: {error}") from error
    time = session.vector("time")
    if time.size < 2 or time[-1] < stop_s * (1 - 1e-9):
        raise MachineError(f"{circuit.name} at {conditions.label}: ngspice stopped early")

    def energy_j(name: str, start: float, stop: float) -> float:
        current = session.vector(f"{names.elements[name]}#branch")
        return vdd_v * charge_c(time, current, start_s=start, stop_s=stop)

    def out_j(*names: str) -> float:
        """VDD times the charge that leaves the amplifier's pins in the recharge."""
        return -sum(energy_j(f"vm_{pin}", fall_s, stop_s) for pin in names)

    clock_j = -energy_j("vsen", start_s, fall_s)
    word_line_j = -energy_j("vwl", start_s, fall_s)
    others = [pin for pin in pins if pin not in ("bl", "blb", "q", "qb", "vdd")]
    waves = {node: session.vector(names.nodes[node]) for node in nodes}
    # The amplifier's own supplies feed its transistors.
    inner_j = -sum(energy_j(e.name, start_s, stop_s) * e.wave[1][0] / vdd_v for e in inner)
    swing_j = 0.0
    for node, wave in waves.items():
        capacitance = column.c_out_f if node in ("q", "qb") else column.c_bit_line_f
        rise = float(np.interp(stop_s, time, wave) - np.interp(fall_s, time, wave))
        swing_j += vdd_v * capacitance * max(rise, 0.0)
    parts = SenseParts(
        vdd_v=vdd_v,
        bit_lines_j=out_j("bl", "blb"),
        outputs_j=out_j("q", "qb"),
        latch_j=energy_j("vm_vdd", start_s, fall_s) + out_j(*others) + inner_j,
        clock_j=clock_j,
        word_line_j=word_line_j,
        supply_j=clock_j + word_line_j - energy_j("vdd", start_s, stop_s) + inner_j,
        swing_j=swing_j,
    )
    session.discard_results()
    return parts


def _with_ammeters(circuit: SenseCircuit) -> tuple[SenseCircuit, list[str]]:
    """The circuit with a source of 0 V at every pin of the amplifier, and the pins' names."""
    body = circuit.bench.body
    place = next(k for k, s in enumerate(body.elements) if s.name == "xpcsa")
    instance = body.elements[place]
    pins = [{"0": "vss"}.get(node, node) for node in instance.nodes]
    meters = parse_deck(
        "\n".join(f"vm_{p} {n} {p}_m 0" for p, n in zip(pins, instance.nodes, strict=True)),
        instance.where.path,
    ).body.elements
    inside = instance._replace(nodes=tuple(f"{pin}_m" for pin in pins))
    elements = [*body.elements[:place], inside, *meters, *body.elements[place + 1 :]]
    return replace(
        circuit, bench=replace(circuit.bench, body=replace(body, elements=elements))
    ), pins


_SPACING_M, _DIFFUSION_M, _FILL = 0.3e-6, 0.29e-6, 2.0


def transistor_area_m2(transistor: "Transistor") -> float:
    """One transistor, all that stand in parallel, in square metre."""
    fingers = transistor.fingers
    width_m = transistor.width_m / fingers + _SPACING_M
    length_m = fingers * transistor.length_m + (fingers + 1) * _DIFFUSION_M
    return transistor.parallel * width_m * length_m


def synapse_area_m2(circuit: SenseCircuit) -> float:
    """A 2T2R synapse."""
    each = {t.name: t for t in circuit.transistors}
    return sum(transistor_area_m2(each[name]) for name in circuit.access)


def amplifier_area_m2(circuit: SenseCircuit) -> float:
    """A sense amplifier."""
    own = [t for t in circuit.transistors if t.part == "amplifier"]
    return _FILL * sum(transistor_area_m2(t) for t in own)


def network_area_m2(
    census: "Sequence[LayerCensus]", circuit: SenseCircuit, *, columns: int = 32
) -> float:
    """Whole arrays that hold a network, with an amplifier a column; no logic, decoders or pads."""
    rows = circuit.column.rows
    arrays = sum(-(-layer.inputs // rows) * -(-layer.outputs // columns) for layer in census)
    return arrays * columns * (rows * synapse_area_m2(circuit) + amplifier_area_m2(circuit))
