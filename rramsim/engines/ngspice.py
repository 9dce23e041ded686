"""The reference engine: ngspice solves one loaded circuit, altered and rerun for each sample."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines.ngspice_library import (
    CircuitError,
    NgspiceSession,
    explained,
    ngspice_session,
    ngspice_version,
)
from rramsim.engines.protocol import (
    Measured,
    SenseOutcome,
    SenseSamples,
    Waveforms,
    charge_c,
    decide,
    decide_product,
    variation_of,
)
from rramsim.numbers import check_limits, limited
from rramsim.processes import moved
from rramsim.spice import Circuit, Element, Names, circuit_lines

_SAVED = ("q", "qb", "bl", "blb", "sl", "sen", "wl")
_SOURCES = ("vdd", "vsen", "vwl")


@dataclass(frozen=True, kw_only=True)
class NgspiceEngine:
    """ngspice through its shared library.

    `max_step_s` bounds the time step; below it ngspice's own error control (reltol, trtol) sets
    it. The defaults keep resolve times within 1 % of those at a twenty times smaller step
    (tests/engines); `extra_options` is passed to ngspice's .options line.
    """

    max_step_s: float = limited(2e-9, low=0, above=True)
    """Largest time step of ngspice."""
    reltol: float = limited(1e-4, low=0, above=True)
    trtol: float = limited(1.0, low=0, above=True)
    extra_options: str = ""

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def name(self) -> str:
        """Name, version and settings, as they enter a task's id."""
        settings = (
            f"step {self.max_step_s:.15g} s, reltol {self.reltol:.15g}, trtol {self.trtol:.15g}"
        )
        return f"ngspice {ngspice_version()} ({settings}{self.extra_options})"

    def sense(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples,
        *,
        waveforms: bool = False,
    ) -> SenseOutcome:
        """Sense every sample; raises `InputError` if ngspice refuses the circuit."""
        session = ngspice_session()
        measured = Measured(circuit.measures(conditions), len(samples))
        plan = _Plan.of(circuit, conditions, every_node=waveforms or bool(measured))
        names = plan.names
        deck = self._text(circuit, conditions, plan, noise=samples.noise_v is not None)
        try:
            session.load(deck)
        except CircuitError as error:
            raise explained(error, circuit.name, plan.elements, names) from error
        generation = session.generation
        columns = _Columns(len(samples))
        bl, blb = (names.elements[name] for name in circuit.devices)
        traces: list[Waveforms] = []
        varied = variation_of(circuit, conditions.corner, samples)
        for index in range(len(samples)):
            if session.generation != generation:
                # ngspice gave up on the sample before and was attached anew, without the circuit.
                session.load(deck)
                generation = session.generation
            try:
                session.command(f"alter {bl} = {samples.r_bl_ohm[index]:.9g}")
                session.command(f"alter {blb} = {samples.r_blb_ohm[index]:.9g}")
                if samples.noise_v is not None:
                    pulse = _noise_pulse(circuit, samples.noise_v[index])
                    session.command(f"alter @inoise[pulse] = [ {pulse} ]")
                for transistor, directions, columns_of in varied.transistors:
                    values = moved(directions, varied.deviates[index, columns_of].tolist())
                    for name, value in values.items():
                        session.command(f"altermod {names.cards[transistor]} {name} = {value:.9g}")
                session.run()
            except CircuitError:
                continue  # stays unconverged: nothing can be said about this sample
            trace = _read_out(session, circuit, conditions, plan, columns, index)
            if trace is not None:
                measured.add(index, trace)
                traces += [trace] if waveforms else []
            session.discard_results()
        return replace(columns.outcome(tuple(traces)), measures=measured.values)

    def deck(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples | None = None,
    ) -> str:
        """What ngspice is given to read: the circuit under names of our own, and the analysis.

        With `samples` it runs on its own (`ngspice -b FILE`): the first sample's resistances and
        mismatch are set, and the outputs at the strobe are measured.
        """
        plan = _Plan.of(circuit, conditions)
        text = self._text(circuit, conditions, plan)
        if samples is None:
            return text
        names, column = plan.names, circuit.column
        sites = circuit.mismatch_sites(conditions.corner)[: samples.mismatch.shape[1]]
        ohm = (samples.r_bl_ohm[0], samples.r_blb_ohm[0])
        strobe_s = column.precharge_s + column.edge_s / 2 + conditions.window_s
        return "\n".join(
            [
                text.removesuffix(".end"),
                ".control",
                *(
                    f"alter {names.elements[device]} = {value:.9g}"
                    for device, value in zip(circuit.devices, ohm, strict=True)
                ),
                *(
                    f"altermod {names.cards[site.transistor]} {site.parameter} = "
                    f"{site.nominal + deviate * site.sigma:.9g}"
                    for site, deviate in zip(sites, samples.mismatch[0], strict=True)
                ),
                "run",
                *(
                    f"meas tran {node}_at_strobe find v({names.nodes[node]}) at={strobe_s!r}"
                    for node in ("q", "qb")
                ),
                ".endc",
                ".end",
                "",
            ]
        )

    def _text(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        plan: "_Plan",
        *,
        noise: bool = False,
    ) -> str:
        stop_s = 2 * circuit.column.precharge_s + conditions.window_s
        q, qb = (plan.names.nodes[node] for node in ("q", "qb"))
        return "\n".join(
            [
                "rramsim: read of a synapse",
                *circuit_lines(plan.elements, plan.names),
                f".options temp={conditions.temperature_c!r}",
                *([f"inoise {q} {qb} pulse({_noise_pulse(circuit, 0.0)})"] if noise else []),
                f".options reltol={self.reltol!r} trtol={self.trtol!r} {self.extra_options}",
                f".save {' '.join(plan.saved)}",
                f".tran {circuit.column.edge_s!r} {stop_s!r} 0 {self.max_step_s!r}",
                ".end",
            ]
        )


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is saved of a circuit: nodes by the user's names, and its sources."""

    elements: Circuit
    names: Names
    nodes: tuple[str, ...]
    sources: tuple[str, ...]
    supplies: tuple[Element, ...]

    @staticmethod
    def of(
        circuit: SenseCircuit, conditions: SenseConditions, *, every_node: bool = False
    ) -> "_Plan":
        elements = circuit.elaborated(conditions)
        names = Names.own(elements)
        supplies = circuit.supplies(conditions)
        wanted = [*_SAVED, *circuit.read_out.outputs, *(n for e in supplies for n in e.nodes)]
        wanted += names.nodes if every_node else []
        return _Plan(
            elements=elements,
            names=names,
            nodes=tuple(n for n in dict.fromkeys(wanted) if n != "0"),
            sources=(*_SOURCES, *(e.name for e in supplies if e.kind in "ve")),
            supplies=supplies,
        )

    @property
    def saved(self) -> list[str]:
        """The words of the .save line."""
        names = self.names
        return [
            *(f"v({names.nodes[node]})" for node in self.nodes),
            *(f"i({names.elements[name]})" for name in self.sources),
        ]


def _noise_pulse(circuit: SenseCircuit, noise_v: float) -> str:
    """The pulse of current from Q to QB that changes v(QB) - v(Q) by `noise_v` as SEN has risen.

    Half of the charge c_out * noise_v moves from one output's capacitor to the other's.
    """
    column = circuit.column
    current_a = column.c_out_f * noise_v / 2 / column.edge_s
    edge_s = column.edge_s / 100
    return (
        f"0 {current_a:.9g} {column.precharge_s + column.edge_s!r} {edge_s!r} {edge_s!r} "
        f"{column.edge_s - edge_s!r} 1"
    )


class _Columns:
    """The outcome's arrays while they fill; a sample counts as unconverged until it is read."""

    def __init__(self, samples: int) -> None:
        self.converged = np.zeros(samples, dtype=bool)
        self.read = np.zeros(samples, dtype=np.int8)
        self.floats: dict[str, Any] = {
            name: np.full(samples, math.nan)
            for name in (
                "resolve_time_s",
                "margin_v",
                "energy_j",
                "clock_energy_j",
                "word_line_energy_j",
            )
        }

    def outcome(self, waveforms: tuple[Waveforms, ...]) -> SenseOutcome:
        return SenseOutcome(
            read=self.read, converged=self.converged, waveforms=waveforms, **self.floats
        )


def _read_out(
    session: NgspiceSession,
    circuit: SenseCircuit,
    conditions: SenseConditions,
    plan: _Plan,
    columns: _Columns,
    index: int,
) -> Waveforms | None:
    """Judge one run; leaves the sample unconverged if the run ended before its time."""
    column, vdd_v, window_s = circuit.column, conditions.vdd_v, conditions.window_s
    time = session.vector("time")
    stop_s = 2 * column.precharge_s + window_s
    if time.size < 2 or time[-1] < stop_s * (1 - 1e-9):
        return None
    own = plan.names
    nodes = {name: session.vector(own.nodes[name]) for name in plan.nodes}
    currents = {n: session.vector(f"{own.elements[n]}#branch") for n in plan.sources}
    if not all(np.isfinite(v).all() for v in (*nodes.values(), *currents.values())):
        return None
    since_edge = time - column.precharge_s - column.edge_s / 2
    judge = decide_product if circuit.read_out.name == "gxnor" else decide
    outputs = (nodes[name] for name in circuit.read_out.outputs)
    threshold_v = circuit.threshold_v(conditions)
    decision = judge(since_edge, *outputs, threshold_v=threshold_v, window_s=window_s)
    # The cycle that is paid for: from the word line's edge to the end of the recharge. A driver
    # hangs on the supply while its line is high and on ground otherwise, so the supply pays for
    # the net charge of the high phase; what flows back at the falling edge is lost.
    start_s, fall_s = column.precharge_s - column.wl_setup_s, column.precharge_s + window_s
    supply = vdd_v * charge_c(time, -currents["vdd"], start_s=start_s, stop_s=stop_s)
    clock, word_line = (
        vdd_v * charge_c(time, -currents[name], start_s=start_s, stop_s=fall_s)
        for name in ("vsen", "vwl")
    )
    inner = sum(
        charge_c(time, _power_w(e, nodes, currents), start_s=start_s, stop_s=stop_s)
        for e in plan.supplies
    )
    columns.converged[index] = True
    columns.read[index] = decision.read
    values = (
        decision.resolve_time_s,
        decision.margin_v,
        supply + clock + word_line + inner,
        clock,
        word_line,
    )
    for name, value in zip(columns.floats, values, strict=True):
        columns.floats[name][index] = value
    return Waveforms(time_s=since_edge, voltages_v=nodes)


def _power_w(
    source: Element, nodes: dict[str, NDArray[np.float64]], currents: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """What a source of the amplifier's own gives; its energy is that power's integral.

    What a current source takes in is lost as heat, as in the transistor that it stands for.
    """

    def across(plus: str, minus: str) -> NDArray[np.float64]:
        return np.asarray(nodes.get(plus, 0.0) - nodes.get(minus, 0.0), dtype=np.float64)

    over = across(*source.nodes[:2])
    if source.kind in "ve":
        return -over * currents[source.name]
    controlled = source.kind == "g"
    current = source.value * across(*source.nodes[2:]) if controlled else source.wave[1][0]
    return np.maximum(-over * current, 0.0)
