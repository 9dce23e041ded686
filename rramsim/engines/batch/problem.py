"""A sense circuit under some conditions as the arrays that the compiled code takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines.batch.charges import quasi_static
from rramsim.engines.batch.elements import Topology, build_topology, flat_circuit, pulse_of
from rramsim.engines.batch.extraction import device_table
from rramsim.engines.batch.layout import March, Model, Stride, make_layout
from rramsim.engines.batch.tables import DeviceTable, TransistorKind
from rramsim.engines.ngspice_library import UnknownParameter, unknown_parameter
from rramsim.engines.protocol import directions_of
from rramsim.exceptions import InputError
from rramsim.processes import Direction
from rramsim.spice import Element

Floats = NDArray[np.float64]

_MARGIN_V = 0.9
"""Nodes may swing this far beyond the supplies (charge injected by clock edges), as far as the
junctions let them."""

_REACH_V = 0.5
"""Differences of voltages are tabulated this far beyond the supply."""

_CLASSES_V = (1.4, 2.0, 2.8, 4.0, 5.6)
"""Supplies share tables up to these, so that a sweep of the supply extracts once."""


def table_limit_v(vdd_v: float) -> float:
    """The highest supply (V) that shares the tables of `vdd_v`.

    >>> table_limit_v(1.2), table_limit_v(1.4), table_limit_v(3.3)
    (1.4, 1.4, 4.0)
    """
    return next((c for c in _CLASSES_V if vdd_v <= c), vdd_v)


def table_supplies(low_v: float, high_v: float) -> tuple[float, ...]:
    """One supply (V) in each class of tables that supplies from `low_v` to `high_v` need.

    >>> table_supplies(0.9, 1.3), table_supplies(1.2, 2.5)
    ((1.3,), (1.4, 2.0, 2.5))
    """
    return (*(c for c in _CLASSES_V if low_v <= c < high_v), high_v)


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Accuracy of the march; see `stepping.march`."""

    tolerance_v: float
    newton_v: float = 1e-2
    first_s: float = 1e-11
    largest_s: float = 50e-9
    smallest_s: float = 1e-16
    extra_weight: float = 8.0
    early: float = 0.5
    late: float = 2.0
    newton_floor: float = 1.0
    weight_floor: float = 0.05
    until_strobe: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """What `stepping.run` is given, and where the results are found.

    `columns`: for each transistor's deviates side by side, which of a sample's they are: its
    `sites` of mismatch, then its global factors.
    """

    topology: Topology
    plan: March
    model: Model
    sources: dict[str, int]
    supplies: dict[str, float]
    corners: Floats
    tables: tuple[DeviceTable, ...]
    edge_s: float
    start_s: float
    fall_s: float
    noise_f: float
    sites: int
    columns: tuple[int, ...]
    transistors: int
    z_coefficients: int


def make_problem(
    circuit: SenseCircuit,
    conditions: SenseConditions,
    solver: Solver,
    *,
    global_variation: bool = False,
    table_of: Callable[[TransistorKind], DeviceTable] = device_table,
) -> Problem:
    """Parse the deck, fetch the tables (by default from the cache or ngspice), lay out arrays.

    Raises `InputError` for what the batch engine cannot solve.
    """
    if circuit.read_out.name not in ("pcsa", "pcsa_xnor"):
        raise InputError(
            f"[sense] circuit = {circuit.read_out.name!r}: the batch engine reads the outputs of "
            "the latch, circuit = 'pcsa' or 'pcsa_xnor'; use ngspice"
        )
    try:
        flat = flat_circuit(circuit.elaborated(conditions))
        topology = build_topology(flat)
        sources = {s.name: pulse_of(s) for s in flat.sources}
    except InputError as error:
        raise InputError(f"{circuit.name}: {error}") from error
    supplies = circuit.supplies(conditions)
    for source in supplies:
        if source.wave[0] != "dc":
            raise InputError(
                f"{source.where}: {source.name}: the batch engine counts the energy of constant "
                "sources only; use ngspice"
            )
    resistors = [r.name for r in flat.resistors]
    for output in ("q", "qb"):
        if output not in topology.unknown:
            raise InputError(f"{circuit.name}: node {output!r} is not solved for")
    levels = [level for pulse in sources.values() for level in pulse[:2]]
    if min(levels) < 0:
        raise InputError(
            f"{circuit.name}: a source goes down to {min(levels):g} V; the batch engine takes "
            "sources of 0 V and above; use ngspice"
        )
    high_v = max(levels)
    reach_v = table_limit_v(high_v) + _REACH_V
    varied = directions_of(
        circuit, conditions.corner, mismatch=True, global_variation=global_variation
    )
    varying = {transistor: directions for transistor, directions, _ in varied}
    tables = [
        _table(table_of, mosfet, varying.get(mosfet.name, ()), conditions.temperature_c, reach_v)
        for mosfet in flat.mosfets
    ]
    column, window_s = circuit.column, conditions.window_s
    edge_s = column.precharge_s + column.edge_s / 2
    start_s, fall_s = column.precharge_s - column.wl_setup_s, column.precharge_s + window_s
    strobe_s, stop_s = edge_s + window_s, 2 * column.precharge_s + window_s
    pulses = np.array([[0.0, 0, 0, 1, 1, 1, 1e9], *sources.values()])
    corners, kinks = _corners(pulses, [edge_s, strobe_s, start_s, fall_s, stop_s], stop_s)
    setup = np.array(
        [
            solver.tolerance_v,
            solver.newton_v,
            solver.first_s,
            solver.largest_s,
            solver.smallest_s,
            circuit.threshold_v(conditions),
            edge_s,
            strobe_s,
            solver.extra_weight,
            -_MARGIN_V,
            high_v + _MARGIN_V,
            start_s,
            solver.early,
            solver.late,
            solver.newton_floor,
            float(solver.until_strobe),
            corners[int(np.argmin(np.abs(corners - column.precharge_s - column.edge_s)))],
        ]
    )
    order = [resistors.index(name) for name in circuit.devices]
    order += [k for k in range(len(resistors)) if k not in order]
    layout = make_layout(tuple(tables))
    held, hold, start = _initial(topology)
    topology = _with_resistors(topology, order)
    return Problem(
        topology=topology,
        plan=March(
            corners=corners,
            kinks=kinks,
            pulses=pulses,
            setup=setup,
            hold=hold,
            held=held,
            start=start,
            weight=_weights(topology, solver.weight_floor),
        ),
        model=Model(
            conductance=np.array([1 / r.value for r in topology.circuit.resistors]),
            capacitance=np.array([c.value for c in flat.capacitors] or [0.0]),
            tab=layout.tab,
            off=layout.off,
            frame=layout.frame,
            strides=layout.strides,
            body=layout.body,
            site_of=layout.site_of(flat, {name: len(moves) for name, moves in varying.items()}),
            powers=layout.powers,
            power_of=layout.power_of,
            shift=layout.shift,
            whole=layout.whole,
        ),
        sources={name: k for k, name in enumerate(sources, start=1)},
        supplies={source.name: source.wave[1][0] for source in supplies},
        corners=corners,
        tables=tuple(tables),
        edge_s=edge_s,
        start_s=start_s,
        fall_s=fall_s,
        # Half of the charge moves from one output's capacitor to the other's.
        noise_f=column.c_out_f / 2,
        sites=len(circuit.mismatch_sites(conditions.corner)),
        columns=tuple(column for _, _, columns in varied for column in columns),
        transistors=len(flat.mosfets),
        z_coefficients=int(layout.strides[Stride.SHIFT]),
    )


def transistor_kind(
    mosfet: Element,
    varying: tuple[Direction, ...],
    temperature_c: float,
    reach_v: float,
) -> TransistorKind:
    """What the table of a transistor depends on."""
    assert mosfet.card is not None
    return TransistorKind(
        kind=mosfet.card.kind,
        card=mosfet.card.body,
        parameters=mosfet.parameters,
        temperature_c=temperature_c,
        reach_v=reach_v,
        tied=mosfet.nodes[2] == mosfet.nodes[3],
        varying=varying,
    )


def _table(
    table_of: Callable[[TransistorKind], DeviceTable], mosfet: Element,
    varying: tuple[Direction, ...], temperature_c: float, reach_v: float,
) -> DeviceTable:  # fmt: skip
    """A transistor's table; raises `InputError` that names it where its card gives none."""
    try:
        return table_of(transistor_kind(quasi_static(mosfet), varying, temperature_c, reach_v))
    except InputError as error:
        if mosfet.card and isinstance(error.__cause__, UnknownParameter):
            raise unknown_parameter(mosfet.card, error.__cause__.parameter) from error
        raise InputError(f"{mosfet.name}: {error}") from error


def _with_resistors(topology: Topology, order: list[int]) -> Topology:
    """The topology with the synapse's devices as its first two resistors."""
    resistors = tuple(topology.circuit.resistors[k] for k in order)
    return replace(topology, circuit=replace(topology.circuit, resistors=resistors))


def _corners(
    pulses: Floats, wanted: list[float], stop_s: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Times to hit exactly, ascending, and where a source's slope changes."""
    bends = []
    for v1, v2, delay, rise, fall, width, period in pulses:
        if v1 == v2:
            continue
        if delay + period < stop_s:
            raise InputError(
                f"a PULSE repeats after {period:g} s; the batch engine takes one pulse per read"
            )
        bends += list(delay + np.cumsum([0.0, rise, width, fall]))
    times = list(wanted)
    for bend in bends:
        if 0 < bend < stop_s and min(abs(bend - t) for t in times) > 1e-16:
            times.append(float(bend))
    corners = np.array(sorted(t for t in set(times) if 0 < t <= stop_s))
    kinks = np.array([any(abs(t - bend) <= 1e-16 for bend in bends) for t in corners])
    return corners, kinks


def _initial(topology: Topology) -> tuple[Floats, Floats, Floats]:
    """Held voltages, the conductances that hold them, and where the solution starts from."""
    held = np.array([topology.circuit.initial_v.get(name, 0.0) for name in topology.unknown])
    fixed = np.array([name in topology.circuit.initial_v for name in topology.unknown])
    return held, np.where(fixed, 1e3, 1e-12), held.copy()


def _weights(topology: Topology, floor: float) -> Floats:
    """Weight of each node's local error: nodes with little charge move the outputs little."""
    load = np.full(len(topology.unknown), 6e-15)
    for capacitor in topology.circuit.capacitors:
        for name in capacitor.nodes:
            if name in topology.unknown:
                load[topology.unknown.index(name)] += capacitor.value
    output = min(load[topology.unknown.index(name)] for name in ("q", "qb"))
    return np.clip(load / output, floor, 1.0)
