"""A read error of a sense amplifier as a limit state.

The standard normals are the score of the resistance on BL, that on BLb, and the mismatch sites of
`SenseCircuit.mismatch_sites` in their order: the very numbers that a campaign draws.

`fails` runs the sense as a campaign does and looks at what was read at the strobe. Pass and fail
have no slope, and a latch that has resolved lies flat at the supply; so `margin` runs the same
sense with a window `stretch` times longer, in which late decisions still show, and is

    type 2 (+-1 read as 0)   min(L, ln(window / T))
    type 3 (0 read as +-1)   ln(T / window)
    type 1 (sign flip)       L where L > 0, else max(L, ln(T / window))

with T the resolve time in the longer window. A sense unresolved even there counts as
T = stretch * window * exp(1 - |v(QB) - v(Q)| / VDD): further when further from a decision. Between
right and flipped reads stands a tie, for which no window is long enough: a slab of type 2, often
thinner than any step of a search. So type 2's margin is negative on a flip's side too, although
the read there is no type 2, which only `fails` tells. L is positive for
the right sign. It is taken when the first output falls through VDD/2 (at the long
strobe if none does):

    L = l |l|^2 / 10,   l = ln((d + 5 mV) / (d' + 5 mV)),

d and d' the drops below VDD of the output that should fall and of the other one. Timed by the
latch itself, the ratio of the drops tells a near tie from a slow read, which T alone does not;
the latch's gain makes l about the cube root of the imbalance at its input, which the cube undoes
(tests/rare/test_rare_sense_failure.py measures both).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.devices import WRITTEN, ResistanceModel
from rramsim.engines import SenseEngine, SenseOutcome, SenseSamples, Waveforms, reads_of
from rramsim.exceptions import InputError
from rramsim.rare.limit_states import Bools, Floats

__all__ = ["SenseFailure"]

_WHAT = {1: "sign flip", 2: "read as 0", 3: "read as ±1"}
_OFFSET_V = 5e-3
"""Added to both drops: what capacitive kicks do to an output that stays high."""


@dataclass(frozen=True, kw_only=True)
class SenseFailure:
    """An error of type 1, 2 or 3 of one written value under one set of conditions."""

    circuit: SenseCircuit
    conditions: SenseConditions
    resistances: ResistanceModel
    written: int
    error_type: int
    engine: SenseEngine
    mismatch: bool = True
    stretch: float = 4.0

    def __post_init__(self) -> None:
        if self.written not in WRITTEN:
            raise InputError(f"written = {self.written}: a weight is -1, 0 or +1")
        if self.error_type not in _WHAT:
            raise InputError(f"type = {self.error_type}: an error is of type 1, 2 or 3")
        if (self.written == 0) != (self.error_type == 3):
            raise InputError(
                f"written = {self.written:+d}, type = {self.error_type}: types 1 and 2 are errors "
                "of a written +1 or -1, type 3 of a written 0"
            )
        if not 1.5 <= self.stretch <= 100:
            raise InputError(f"stretch = {self.stretch:g}: must lie between 1.5 and 100")

    @property
    def dimension(self) -> int:
        """Two resistances and the circuit's mismatch sites."""
        return 2 + (len(self._sites) if self.mismatch else 0)

    @property
    def label(self) -> str:
        """What fails, in words."""
        written = f"{self.written:+d}" if self.written else "0"
        return (
            f"type {self.error_type}: written {written} {_WHAT[self.error_type]}, "
            f"{self.conditions.label}"
        )

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Each standard normal as (device or transistor, parameter)."""
        low, high = "LRS", "HRS"
        states = (low if self.written == 1 else high, low if self.written == -1 else high)
        resistances = tuple(
            (f"RRAM on {line}", f"ln R of the {state}")
            for line, state in zip(("BL", "BLb"), states, strict=True)
        )
        sites = self._sites if self.mismatch else ()
        return resistances + tuple((site.transistor, site.parameter) for site in sites)

    def mirrored(self, points: Floats) -> Floats:
        """The points with left and right exchanged, where both sides are written alike.

        A read of +1 where 0 is written has an image, a read of -1, as likely. Left and right are
        told by names that end in 1 and 2; whoever uses an image looks whether it fails as well.
        """
        if self.written != 0:
            return points
        names = [*self.names]
        order = np.arange(len(names))
        order[:2] = 1, 0
        for place, (transistor, parameter) in enumerate(names[2:], start=2):
            other = transistor[:-1] + {"1": "2", "2": "1"}.get(transistor[-1], transistor[-1])
            if (other, parameter) in names:
                order[place] = names.index((other, parameter))
        return points[:, order]

    @cached_property
    def reader(self) -> SenseEngine:
        """The engine, ending at the strobe if it can: no energy is asked for."""
        return reads_of(self.engine)

    @cached_property
    def _sites(self) -> tuple:
        return self.circuit.mismatch_sites(self.conditions.corner)

    def samples(self, points: Floats) -> SenseSamples:
        """The synapses and transistors at points of standard-normal space."""
        model = self.resistances
        on_bl = model.lrs if self.written == 1 else model.hrs
        on_blb = model.lrs if self.written == -1 else model.hrs
        return SenseSamples(
            r_bl_ohm=on_bl.quantile(points[:, 0]),
            r_blb_ohm=on_blb.quantile(points[:, 1]),
            mismatch=np.ascontiguousarray(points[:, 2:]),
        )

    def fails(self, points: Floats) -> tuple[Bools, Bools]:
        """Whether the read at the strobe is this error, and whether the run converged."""
        outcome = self.reader.sense(self.circuit, self.conditions, self.samples(points))
        return self._is_error(outcome.read), outcome.converged

    def reads(self, points: Floats) -> tuple[NDArray[np.int8], Bools]:
        """What is read at the strobe, and whether the run converged."""
        outcome = self.reader.sense(self.circuit, self.conditions, self.samples(points))
        return outcome.read, outcome.converged

    def is_error(self, read: float) -> bool:
        """Whether a read of this value is this error."""
        return bool(self._is_error(np.array([read]))[0])

    def margin(self, points: Floats) -> Floats:
        """The margin defined above; NaN where the run did not converge."""
        short = self.conditions
        conditions = SenseConditions(
            vdd_v=short.vdd_v,
            temperature_c=short.temperature_c,
            corner=short.corner,
            window_s=self.stretch * short.window_s,
        )
        outcome = self.reader.sense(
            self.circuit, conditions, self.samples(points), waveforms=self.error_type != 3
        )
        late = self._lateness(outcome)
        if self.error_type == 3:
            margin = late
        elif self.error_type == 2:
            margin = np.minimum(self.imbalance(outcome, conditions.window_s), -late)
        else:
            imbalance = self.imbalance(outcome, conditions.window_s)
            margin = np.where(imbalance > 0, imbalance, np.maximum(imbalance, late))
        return np.where(outcome.converged, margin, math.nan)

    def _is_error(self, read: NDArray[np.generic]) -> Bools:
        if self.error_type == 1:
            return read == -self.written
        return read == 0 if self.error_type == 2 else read != 0

    def _lateness(self, outcome: SenseOutcome) -> Floats:
        """ln(T / window)."""
        vdd_v, window_s = self.conditions.vdd_v, self.conditions.window_s
        apart = np.minimum(np.abs(outcome.margin_v) / vdd_v, 1.0)
        unresolved = math.log(self.stretch) + 1 - apart
        # A resolve time of 0 (outputs apart from the start) is as early as can be told.
        with np.errstate(invalid="ignore", divide="ignore"):
            resolved = np.log(np.maximum(outcome.resolve_time_s, 1e-3 * window_s) / window_s)
        return np.where(np.isnan(outcome.resolve_time_s), unresolved, resolved)

    def imbalance(self, outcome: SenseOutcome, strobe_s: float) -> Floats:
        """L, with the sign of what was read where something was read.

        `outcome` has waveforms and was read at `strobe_s` (s after the SEN edge).
        """
        drops = np.zeros((len(outcome), 2))
        converged = np.flatnonzero(outcome.converged)
        for index, trace in zip(converged, outcome.waveforms, strict=True):
            drops[index] = _drops_v(trace, self.conditions.vdd_v, strobe_s)
        ratio = np.log((drops[:, 0] + _OFFSET_V) / (drops[:, 1] + _OFFSET_V)) * self.written
        sign = outcome.read * self.written
        agrees = np.sign(ratio) == sign
        ratio = np.where((sign == 0) | agrees, ratio, 0.1 * sign)
        return np.asarray(np.abs(ratio) ** 3 * np.sign(ratio) / 10)


def _drops_v(trace: Waveforms, vdd_v: float, strobe_s: float) -> tuple[float, float]:
    """How far Q and QB lie below VDD when the first of them falls through VDD/2."""
    inside = (trace.time_s > 0) & (trace.time_s <= strobe_s)
    time = trace.time_s[inside]
    q, qb = trace.voltages_v["q"][inside], trace.voltages_v["qb"][inside]
    lower = np.minimum(q, qb)
    below = np.flatnonzero(lower < vdd_v / 2)
    if not below.size:
        at = len(time) - 1
        values = (float(q[at]), float(qb[at]))
    elif below[0] == 0:
        values = (float(q[0]), float(qb[0]))
    else:
        at = int(below[0])
        share = (lower[at - 1] - vdd_v / 2) / (lower[at - 1] - lower[at])
        values = (
            float(q[at - 1] + share * (q[at] - q[at - 1])),
            float(qb[at - 1] + share * (qb[at] - qb[at - 1])),
        )
    return max(vdd_v - values[0], 0.0), max(vdd_v - values[1], 0.0)
