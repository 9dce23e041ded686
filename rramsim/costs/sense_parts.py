"""Where the energy of one sense goes, measured with ammeters in the transient.

Sources of 0 V at every pin of the amplifier split the supply's charge. Over the cycle that is paid
for (word line's edge, sense, full recharge) the supply gives, in the recharge, what the bit lines
and the outputs take, and what the amplifier's own transistors take; during the sense, what the
latch draws while it regenerates. Each part is integrated from currents of its own; that they add
up to the supply's energy is a check (no path was forgotten), not a definition.
"""

import re
from dataclasses import dataclass

import numpy as np

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines.decision import charge_c
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError, MachineError

__all__ = ["SenseParts", "sense_parts"]


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
    text, pins = _with_ammeters(circuit.deck(conditions))
    column, vdd_v = circuit.column, conditions.vdd_v
    start_s = column.precharge_s - column.wl_setup_s
    fall_s = column.precharge_s + conditions.window_s
    stop_s = fall_s + column.precharge_s
    bl, blb = circuit.devices
    nodes = ("q", "qb", "bl", "blb")
    deck = "\n".join(
        [
            text,
            ".options reltol=1e-4 trtol=1",
            f".save {' '.join(f'v({n})' for n in nodes)} i(vdd) i(vsen) i(vwl) "
            + " ".join(f"i(vm_{pin})" for pin in pins),
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
        return vdd_v * charge_c(time, session.vector(name), start_s=start, stop_s=stop)

    def out_j(*names: str) -> float:
        """VDD times the charge that leaves the amplifier's pins in the recharge."""
        return -sum(energy_j(f"vm_{pin}#branch", fall_s, stop_s) for pin in names)

    clock_j = -energy_j("vsen#branch", start_s, fall_s)
    word_line_j = -energy_j("vwl#branch", start_s, fall_s)
    others = [pin for pin in pins if pin not in ("bl", "blb", "q", "qb", "vdd")]
    waves = {node: session.vector(node) for node in nodes}
    swing_j = 0.0
    for node, wave in waves.items():
        capacitance = column.c_out_f if node in ("q", "qb") else column.c_bit_line_f
        rise = float(np.interp(stop_s, time, wave) - np.interp(fall_s, time, wave))
        swing_j += vdd_v * capacitance * max(rise, 0.0)
    parts = SenseParts(
        vdd_v=vdd_v,
        bit_lines_j=out_j("bl", "blb"),
        outputs_j=out_j("q", "qb"),
        latch_j=energy_j("vm_vdd#branch", start_s, fall_s) + out_j(*others),
        clock_j=clock_j,
        word_line_j=word_line_j,
        supply_j=clock_j + word_line_j - energy_j("vdd#branch", start_s, stop_s),
        swing_j=swing_j,
    )
    session.discard_results()
    return parts


def _with_ammeters(deck: str) -> tuple[str, list[str]]:
    """The deck with a source of 0 V at every pin of the amplifier, and the pins' names."""
    lines = deck.splitlines()
    at = [i for i, line in enumerate(lines) if re.match(r"xpcsa\s", line, re.IGNORECASE)]
    if len(at) != 1:
        raise InputError("the circuit has no testbench of a PCSA to put ammeters into")
    name, *nodes, subcircuit = lines[at[0]].split()
    pins = [{"0": "vss"}.get(node, node) for node in nodes]
    lines[at[0]] = " ".join([name, *(f"{pin}_m" for pin in pins), subcircuit])
    meters = [f"vm_{p} {n} {p}_m 0" for p, n in zip(pins, nodes, strict=True)]
    return "\n".join([*lines[: at[0] + 1], *meters, *lines[at[0] + 1 :]]), pins
