"""The batch engine: many samples of one circuit, solved natively."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.engines.batch.layout import Drawn, Results, scratch
from rramsim.engines.batch.problem import Problem, Solver, make_problem
from rramsim.engines.batch.tables import TABLE_VERSION
from rramsim.engines.protocol import (
    Measured,
    SenseEngine,
    SenseOutcome,
    SenseSamples,
    Waveforms,
)
from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited

Floats = NDArray[np.float64]

_METHOD_VERSION = 5
_CHUNK = 64
_TRACE_POINTS = 20_000


@dataclass(frozen=True, kw_only=True)
class BatchEngine:
    """rramsim's own simulator: tables of the transistors, compiled node equations.

    `tolerance_v` is the local error that a time step may make at an output. `threads` bounds the
    threads (None: every core that this process may use); results do not depend on it.
    With `reads_only` a sense ends at the strobe: the same reads in less time, energies unknown.
    """

    tolerance_v: float = limited(2e-3, low=0, high=0.1, above=True)
    """Local error that a step of the batch engine may make."""
    threads: int | None = limited(None, low=1)
    reads_only: bool = False

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def name(self) -> str:
        """Name, version and settings, as they enter a task's id."""
        return f"batch {_METHOD_VERSION}.{TABLE_VERSION} (tolerance {self.tolerance_v:.15g} V)"

    def prepare(self, circuit: SenseCircuit, conditions: SenseConditions) -> None:
        """Extract and compile what `sense` will need; it does so itself otherwise."""
        one = SenseSamples.nominal(10e3, 350e3)
        self.sense(circuit, conditions, one)

    def sense(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples,
        *,
        waveforms: bool = False,
    ) -> SenseOutcome:
        """Sense every sample; raises `InputError` for a circuit that this engine cannot solve."""
        problem = _problem(
            circuit,
            conditions,
            Solver(tolerance_v=self.tolerance_v, until_strobe=self.reads_only),
            samples.global_z is not None,
        )
        if samples.mismatch.shape[1] not in (0, problem.sites):
            raise InputError(
                f"mismatch has {samples.mismatch.shape[1]} columns; the circuit has "
                f"{problem.sites} varying parameters"
            )
        # Who asks for reads alone has no use for scalars of whole senses.
        measures = () if self.reads_only else circuit.measures(conditions)
        measured = Measured(measures, len(samples))
        traces: list[Waveforms] = []

        def each(index: int, waves: Waveforms) -> None:
            measured.add(index, waves)
            traces.extend([waves] if waveforms else [])

        out, marks = self.solve(problem, samples, each if waveforms or measured else None)
        outcome = outcome_of(problem, conditions, out, marks)
        outcome = replace(outcome, waveforms=tuple(traces), measures=measured.values)
        if not self.reads_only:
            return outcome
        unknown = np.full(len(samples), np.nan)
        return replace(
            outcome, energy_j=unknown, clock_energy_j=unknown, word_line_energy_j=unknown
        )

    def solve(
        self,
        problem: Problem,
        samples: SenseSamples,
        each: Callable[[int, Waveforms], None] | None = None,
    ) -> tuple[Floats, Floats]:
        """Raw results of a problem that was made: `out` (samples, 6) and `marks`.

        The columns of `out` are read, resolve time, margin, converged, steps, Newton solutions;
        `marks` (samples, corners, driven nodes) are the charges delivered until each corner. `each`
        is given the number and the waveforms of every sample that converged.
        """
        # numba takes a second to import: only those who simulate wait for it.
        from rramsim.engines.batch.kernel import load_kernel

        run = load_kernel(problem.topology, q="q", qb="qb")
        count = len(samples)
        n, driven = len(problem.topology.unknown), len(problem.topology.driven)
        noise_v = np.zeros(count) if samples.noise_v is None else samples.noise_v
        varied = np.ascontiguousarray(
            np.column_stack(
                [1 / samples.r_bl_ohm, 1 / samples.r_blb_ohm, problem.noise_f * noise_v]
            ),
            dtype=float,
        )
        deviates = np.ascontiguousarray(samples.mismatch, dtype=float)
        if samples.global_z is not None:
            # The common deviates are given to each transistor beside its own.
            own = deviates if deviates.shape[1] else np.zeros((count, problem.sites))
            both = np.column_stack([own, samples.global_z]).astype(float)
            deviates = np.ascontiguousarray(both[:, list(problem.columns)])
        out = np.zeros((count, 6))
        marks = np.zeros((count, problem.corners.size, driven))
        drawn, nodes = Drawn(varied=varied, deviates=deviates), max(n, driven)
        trace = np.zeros((_TRACE_POINTS if each else 0, 1 + n + driven))

        results = Results(out=out, marks=marks, trace=trace)

        def solve(first: int, last: int) -> None:
            run(
                first, last, problem.plan, problem.model, drawn, results,
                scratch(nodes, problem.transistors, problem.z_coefficients),
            )  # fmt: skip

        if each:
            for index in range(count):
                solve(index, index + 1)
                if out[index, 3]:
                    # One point a step; what is behind them is another sample's.
                    each(index, _waveforms(problem, trace[: int(out[index, 4])]))
            return out, marks
        threads = self.threads or _cores()
        starts = range(0, count, _CHUNK)
        if threads == 1 or len(starts) == 1:
            solve(0, count)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda first: solve(first, min(first + _CHUNK, count)), starts))
        return out, marks


def reads_of(engine: SenseEngine) -> SenseEngine:
    """The engine as it is when nobody asks for energies: it ends at the strobe, where it can."""
    return replace(engine, reads_only=True) if isinstance(engine, BatchEngine) else engine


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=256)
def _cached_problem(
    circuit_sha256: str,
    circuit: "_Same",
    conditions: SenseConditions,
    solver: Solver,
    global_variation: bool,
) -> Problem:
    return make_problem(circuit.circuit, conditions, solver, global_variation=global_variation)


@dataclass(frozen=True)
class _Same:
    """A circuit that the cache does not compare: its hash stands beside it."""

    circuit: SenseCircuit = field(compare=False)


def _problem(
    circuit: SenseCircuit, conditions: SenseConditions, solver: Solver, global_variation: bool
) -> Problem:
    return _cached_problem(circuit.sha256, _Same(circuit), conditions, solver, global_variation)


def outcome_of(
    problem: Problem,
    conditions: SenseConditions,
    out: Floats,
    marks: Floats,
) -> SenseOutcome:
    """Reads and energies; the definitions are those of the ngspice engine."""
    converged = out[:, 3] > 0
    at = {time: int(np.argmin(abs(problem.corners - time))) for time in
          (problem.start_s, problem.fall_s)}  # fmt: skip
    begin, fall, end = at[problem.start_s], at[problem.fall_s], problem.corners.size - 1

    def charge(source: str, until: int) -> Floats:
        k = problem.sources[source]
        return np.asarray(marks[:, until, k] - marks[:, begin, k])

    supply = conditions.vdd_v * charge("vdd", end)
    clock = conditions.vdd_v * charge("vsen", fall)
    word_line = conditions.vdd_v * charge("vwl", fall)
    for name, volt in problem.supplies.items():
        supply = supply + volt * charge(name, end)
    unknown = np.where(converged, 0.0, np.nan)
    resolve = np.where(converged & (out[:, 0] != 0), out[:, 1], np.nan)
    return SenseOutcome(
        read=out[:, 0].astype(np.int8),
        resolve_time_s=resolve,
        margin_v=out[:, 2] + unknown,
        energy_j=supply + clock + word_line + unknown,
        clock_energy_j=clock + unknown,
        word_line_energy_j=word_line + unknown,
        converged=converged,
    )


def _waveforms(problem: Problem, trace: Floats) -> Waveforms:
    names = (*problem.topology.unknown, *problem.topology.driven)
    time_s, *voltages_v = np.array(trace.T, order="C")
    return Waveforms(
        time_s=time_s - problem.edge_s,
        voltages_v={name: v for name, v in zip(names, voltages_v, strict=True) if name != "0"},
    )
