"""What every engine takes and returns, and what they share.

From waveforms to what was read (decision, resolve time, margin and energy of one sense); waveforms
for other programs (CSV tables, and ngspice's raw files); which deviates of a batch of samples move
which transistor's card.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.exceptions import InputError
from rramsim.files import atomic_path
from rramsim.processes import Direction
from rramsim.spice import Measure

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SenseSamples:
    """The synapses and transistors to sense.

    `r_bl_ohm`, `r_blb_ohm`: shape (samples,). `mismatch`: shape (samples, sites), in standard
    deviations, in the order of `SenseCircuit.mismatch_sites`; (samples, 0) for no mismatch.
    `noise_v`: shape (samples,), what noise adds to v(QB) - v(Q) as the outputs are released, in
    volt (`SenseCircuit.noise_sigma_v` is its SD); None for no noise. `global_z`: shape
    (samples, factors), deviates of `SenseCircuit.global_factors`, one die a sample; None for the
    typical die.
    """

    r_bl_ohm: Floats
    r_blb_ohm: Floats
    mismatch: Floats
    noise_v: Floats | None = None
    global_z: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("r_bl_ohm", "r_blb_ohm"):
            value = getattr(self, name)
            wrong = value[~(np.isfinite(value) & (value > 0))]
            if wrong.size:
                raise InputError(f"{name} = {wrong[0]:g}: a resistance is above 0 ohm and finite")
        if not (len(self.r_bl_ohm) == len(self.r_blb_ohm) == len(self.mismatch)):
            raise InputError(
                f"samples differ in number: {len(self.r_bl_ohm)} r_bl_ohm, "
                f"{len(self.r_blb_ohm)} r_blb_ohm, {len(self.mismatch)} rows of mismatch"
            )
        if self.noise_v is not None and (
            len(self.noise_v) != len(self) or not np.isfinite(self.noise_v).all()
        ):
            raise InputError("noise_v: must be one finite voltage for each sample")
        if self.global_z is not None and len(self.global_z) != len(self):
            raise InputError("global_z: must be one row of deviates for each sample")

    def __len__(self) -> int:
        return len(self.r_bl_ohm)

    def at(self, chosen: NDArray[np.int64]) -> "SenseSamples":
        """Some of the samples, by their numbers."""
        return replace(
            self,
            r_bl_ohm=self.r_bl_ohm[chosen],
            r_blb_ohm=self.r_blb_ohm[chosen],
            mismatch=self.mismatch[chosen],
            noise_v=None if self.noise_v is None else self.noise_v[chosen],
            global_z=None if self.global_z is None else self.global_z[chosen],
        )

    @staticmethod
    def nominal(r_bl_ohm: float, r_blb_ohm: float) -> "SenseSamples":
        """One sample without mismatch.

        >>> len(SenseSamples.nominal(10e3, 350e3))
        1
        """
        return SenseSamples(
            r_bl_ohm=np.array([r_bl_ohm], dtype=float),
            r_blb_ohm=np.array([r_blb_ohm], dtype=float),
            mismatch=np.zeros((1, 0)),
        )


@dataclass(frozen=True, kw_only=True)
class Waveforms:
    """One sense in time; `time_s` counts from the middle of the SEN edge, voltages in volt."""

    time_s: Floats
    voltages_v: dict[str, Floats]


@dataclass(frozen=True, kw_only=True)
class SenseOutcome:
    """What was read; every array has shape (samples,).

    `read` is -1, 0 or +1 and means nothing where `converged` is False. `resolve_time_s` is NaN
    where the amplifier had not resolved at the end of the window. `margin_v` is v(QB) - v(Q) at
    that moment. `energy_j` is the full cycle's energy (sense and recharge) from the supply and
    the drivers of SEN (`clock_energy_j`) and of the word line (`word_line_energy_j`). `measures`
    are the netlist's `.measure` lines, NaN where there is no value.
    """

    read: NDArray[np.int8]
    resolve_time_s: Floats
    margin_v: Floats
    energy_j: Floats
    clock_energy_j: Floats
    word_line_energy_j: Floats
    converged: NDArray[np.bool_]
    waveforms: tuple[Waveforms, ...] = ()
    measures: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.read)


class Measured:
    """The values of a circuit's measures as senses end; NaN where there is none.

    `values`: by name, shape (samples,).
    """

    def __init__(self, measures: Sequence[Measure], samples: int) -> None:
        self._measures = measures
        self.values = {one.name: np.full(samples, np.nan) for one in measures}

    def __bool__(self) -> bool:
        return bool(self._measures)

    def add(self, index: int, waveforms: Waveforms) -> None:
        """Find the values of one sense."""
        others: dict[str, float] = {}
        for one in self._measures:
            others[one.name] = one.value(waveforms.time_s, waveforms.voltages_v, others)
            self.values[one.name][index] = others[one.name]


class SenseEngine(Protocol):
    """Solves a sense circuit for a batch of samples under one set of conditions."""

    @property
    def name(self) -> str:
        """The engine's name and what its results depend on, for a task's id."""
        ...

    def sense(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples,
        *,
        waveforms: bool = False,
    ) -> SenseOutcome:
        """Sense every sample."""
        ...


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The read value, its resolve time (NaN if unresolved) and v(QB) - v(Q) at the strobe."""

    read: int
    resolve_time_s: float
    margin_v: float


def decide(
    time_s: Floats, q_v: Floats, qb_v: Floats, *, threshold_v: float, window_s: float
) -> Decision:
    """Decide what a sense read at the end of its window.

    `time_s` (from the SEN edge), `q_v`, `qb_v`: shape (points,). The outputs are taken as
    digital against `threshold_v`: Q low and QB high is +1, Q high and QB low is -1, equal outputs
    (XOR = 0) are 0. The resolve time is the start of the last stretch up to the strobe over which
    the outputs differ, interpolated between points.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> decide(t, np.array([1.0, 0.8, 0.0, 0.0]), np.ones(4), threshold_v=0.4, window_s=3.0)
    Decision(read=1, resolve_time_s=1.5, margin_v=1.0)
    """
    inside = (time_s > 0) & (time_s < window_s)
    time = np.concatenate(([0.0], time_s[inside], [window_s]))
    q = np.interp(time, time_s, q_v) - threshold_v
    qb = np.interp(time, time_s, qb_v) - threshold_v
    differ = (q > 0) != (qb > 0)
    margin_v = float(qb[-1] - q[-1])
    if not differ[-1]:
        return Decision(read=0, resolve_time_s=math.nan, margin_v=margin_v)
    equal = np.flatnonzero(~differ)
    resolve_time_s = 0.0
    if equal.size:
        before = int(equal[-1])
        # Between `before` and the next point exactly one output crosses the threshold.
        crossing = q if (q[before] > 0) != (q[before + 1] > 0) else qb
        share = crossing[before] / (crossing[before] - crossing[before + 1])
        resolve_time_s = float(time[before] + share * (time[before + 1] - time[before]))
    return Decision(read=1 if q[-1] <= 0 else -1, resolve_time_s=resolve_time_s, margin_v=margin_v)


def decide_product(
    time_s: Floats, nonzero_v: Floats, sign_v: Floats, *, threshold_v: float, window_s: float
) -> Decision:
    """Decide what a gated XNOR's outputs say at the end of the window.

    Arguments and times as for `decide`; the read is 0 while `nonzero_v` is low, else the sign that
    `sign_v` gives. The resolve time is the start of the last stretch over which the read stays;
    the margin is v(S) - threshold where the product is not 0, else how far NZ is below it.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> decide_product(t, np.array([0, 0, 1.0, 1.0]), np.zeros(4), threshold_v=0.5, window_s=3.0)
    Decision(read=-1, resolve_time_s=1.5, margin_v=-0.5)
    """
    inside = (time_s > 0) & (time_s < window_s)
    time = np.concatenate(([0.0], time_s[inside], [window_s]))
    nonzero = np.interp(time, time_s, nonzero_v) - threshold_v
    sign = np.interp(time, time_s, sign_v) - threshold_v
    if nonzero[-1] <= 0:
        return Decision(read=0, resolve_time_s=math.nan, margin_v=float(nonzero[-1]))
    changed = (nonzero <= 0) | ((sign > 0) != (sign[-1] > 0))
    resolve_time_s = 0.0
    if changed.any():
        before = int(np.flatnonzero(changed)[-1])
        crossing = nonzero if nonzero[before] <= 0 else sign
        share = crossing[before] / (crossing[before] - crossing[before + 1])
        resolve_time_s = float(time[before] + share * (time[before + 1] - time[before]))
    read = 1 if sign[-1] > 0 else -1
    return Decision(read=read, resolve_time_s=resolve_time_s, margin_v=float(sign[-1]))


def charge_c(time_s: Floats, current_a: Floats, *, start_s: float, stop_s: float) -> float:
    """Charge in coulomb that a current carried between two times, by the trapezoidal rule.

    >>> charge_c(np.array([0.0, 1.0, 2.0]), np.ones(3), start_s=0.5, stop_s=1.75)
    1.25
    """
    inside = (time_s > start_s) & (time_s < stop_s)
    time = np.concatenate(([start_s], time_s[inside], [stop_s]))
    ends = np.interp([start_s, stop_s], time_s, current_a)
    current = np.concatenate((ends[:1], current_a[inside], ends[1:]))
    return float(np.trapezoid(current, time))


def write_waveforms(path: Path, waveforms: Waveforms) -> None:
    """Write one sense in time as `.csv` or as `.raw` (ngspice's binary form), whole or not at all.

    Time counts from the middle of the SEN edge. Raises `InputError` for another ending.
    """
    names = [f"v({node})" for node in waveforms.voltages_v]
    table = np.column_stack([waveforms.time_s, *waveforms.voltages_v.values()])
    if path.suffix == ".csv":
        head = ",".join(["time_s", *(f"{name[2:-1]}_v" for name in names)])
        text = "\n".join([head, *(",".join(f"{x:.9g}" for x in row) for row in table)])
        data = f"{text}\n".encode()
    elif path.suffix == ".raw":
        lines = [
            "Title: rramsim: read of a synapse", "Date: Thu Jan  1 00:00:00  1970",
            "Plotname: Transient Analysis", "Flags: real", f"No. Variables: {table.shape[1]}",
            f"No. Points: {len(table)}", "Variables:", "\t0\ttime\ttime",
            *(f"\t{k}\t{name}\tvoltage" for k, name in enumerate(names, start=1)), "Binary:",
        ]  # fmt: skip
        data = ("\n".join(lines) + "\n").encode() + table.astype("<f8").tobytes()
    else:
        raise InputError(f"{path}: waveforms are written as .csv or .raw")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """Deviates (samples, columns), and for each transistor its directions with their columns."""

    deviates: NDArray[np.float64]
    transistors: tuple[tuple[str, tuple[Direction, ...], list[int]], ...]

    @property
    def by_transistor(self) -> NDArray[np.float64]:
        """The deviates with those of each transistor side by side, shared ones repeated."""
        order = [column for _, _, columns in self.transistors for column in columns]
        return self.deviates[:, order]


def directions_of(
    circuit: SenseCircuit, corner: str, *, mismatch: bool, global_variation: bool
) -> tuple[tuple[str, tuple[Direction, ...], list[int]], ...]:
    """(transistor, directions, columns): mismatch sites are the first columns, then the factors."""
    sites = circuit.mismatch_sites(corner) if mismatch else ()
    moves = circuit.global_moves(corner) if global_variation else {}
    factors = circuit.global_factors if global_variation else ()
    found = []
    for transistor in circuit.transistors:
        own = [k for k, site in enumerate(sites) if site.transistor == transistor.name]
        shared = {
            len(sites) + k: moves[transistor.name][factor]
            for k, factor in enumerate(factors)
            if factor in moves[transistor.name]
        }
        directions = (*(sites[k].moves for k in own), *shared.values())
        if directions:
            found.append((transistor.name, directions, [*own, *shared]))
    return tuple(found)


def variation_of(circuit: SenseCircuit, corner: str, samples: SenseSamples) -> Variation:
    """Raises `InputError` if the samples have another count of deviates than the circuit."""
    count = len(circuit.mismatch_sites(corner))
    if samples.mismatch.shape[1] not in (0, count):
        raise InputError(
            f"mismatch has {samples.mismatch.shape[1]} columns; the circuit has {count} varying "
            "parameters"
        )
    drawn = [samples.mismatch]
    if samples.global_z is not None:
        if samples.global_z.shape[1] != len(circuit.global_factors):
            raise InputError(
                f"global_z has {samples.global_z.shape[1]} columns; the process has "
                f"{len(circuit.global_factors)} global factors that move this circuit"
            )
        drawn.append(samples.global_z)
    return Variation(
        deviates=np.column_stack(drawn).astype(float),
        transistors=directions_of(
            circuit,
            corner,
            mismatch=samples.mismatch.shape[1] > 0,
            global_variation=samples.global_z is not None,
        ),
    )
