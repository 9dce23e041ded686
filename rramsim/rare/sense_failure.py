"""What counts as a failure of a sense (an error type, or any measure against a limit), and that
failure in standard-normal space.

Coordinate 0 is the score of the HRS device (of the device on BL for a written 0), 1 that of the
other device, then the mismatch sites of `SenseCircuit.mismatch_sites` in their order, and last, if
senses are noisy, the noise between the outputs: the numbers that a campaign draws. A written +1
and -1 are variants: each has its own sense at the same scores, and nothing is taken over from one
to the other.

What a search moves by is one sense's own result (w the written value, W the window):

    type 1      right: 2 + (1 - T/W); undecided: 1 + w (v(QB) - v(Q)) / VDD; flipped: -(1 - T/W)
    binary      the same, with what is undecided below 0
    type 2      decided: 1 - T/W; undecided: below 0
    type 3      undecided: 1 - |v(QB) - v(Q)| / VDD; decided: -(1 - T/W)
    a measure   its distance to the limit over the limit
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.devices import Marginal, ResistanceModel, lrs_device
from rramsim.engines import BatchEngine, SenseEngine, SenseOutcome, SenseSamples, reads_of
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.numbers import spice_number
from rramsim.rare.failures import Bools, Floats, Seen

MEASURES = {
    "resolve_time_s": ("resolve time", "s"),
    "differential_v": ("differential of the outputs at the strobe", "V"),
    "energy_j": ("energy of a full cycle", "J"),
    "swing_v": ("fall of the deeper output until the strobe", "V"),
}
"""Measures of a sense, each with its words and unit. A sense that does not resolve has an infinite
resolve time; the differential is positive for the right sign, and without sign for a written 0."""

_TYPES = {
    "type 1": "±1 read with the wrong sign",
    "type 2": "±1 read as 0",
    "type 3": "0 read as ±1",
    "binary": "±1 not read with the right sign",
}


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """`name` is an error type of `_TYPES`, or a measure that fails `side` of `limit`.

    `strobe_s` looks at another time than the end of the conditions' window; `written` restricts
    the pooled written values.
    """

    name: str
    side: Literal["above", "below"] | None = None
    limit: float | None = None
    strobe_s: float | None = None
    written: tuple[int, ...] = (1, -1)

    def __post_init__(self) -> None:
        if self.is_measure:
            if self.side is None or self.limit is None:
                raise InputError(f"failure {self.name!r}: a measure fails above or below a limit")
        elif self.name not in _TYPES:
            raise InputError(
                f"failure {self.name!r}: must be {', '.join(_TYPES)}, or a measure against a "
                f"limit, such as 'resolve_time_s > 40n' (measures: {', '.join(MEASURES)})"
            )
        allowed = {"type 3": {0}}.get(self.name, {-1, 0, 1} if self.is_measure else {-1, 1})
        if not self.written or set(self.written) - allowed:
            raise InputError(
                f"failure {self.name!r} of written {', '.join(f'{w:+d}' for w in self.written)}: "
                "types 1 and 2 are errors of a written +1 or -1, type 3 of a written 0"
            )

    @property
    def is_measure(self) -> bool:
        """Whether a measure is held against a limit."""
        return self.name in MEASURES

    @property
    def needs_tie(self) -> bool:
        """Whether a near tie may fail by being undecided, a thin region in which codes hide."""
        return self.name in ("type 2", "binary", "resolve_time_s")

    @property
    def label(self) -> str:
        """What fails, in words."""
        at = "" if self.strobe_s is None else f" at {self.strobe_s * 1e9:g} ns"
        if self.is_measure:
            words, unit = MEASURES[self.name]
            return f"{words} {self.side} {self.limit:g} {unit}{at}"
        return f"{self.name}: {_TYPES[self.name]}{at}"

    def conditions(self, given: SenseConditions) -> SenseConditions:
        """The conditions with the criterion's own strobe."""
        return given if self.strobe_s is None else replace(given, window_s=self.strobe_s)


def parse_criterion(text: str, *, written: int | None = None) -> Criterion:
    """Read a failure: 'type 1', 'type 2 at 60n', 'binary', 'energy_j > 500f', ...

    `written` restricts it to one written weight; else ±1 are pooled, and type 3 is of a 0.
    Raises `InputError` for anything else.

    >>> parse_criterion("resolve_time_s > 40n").label
    'resolve time above 4e-08 s'
    >>> parse_criterion("type 3").written
    (0,)
    """
    match = re.fullmatch(
        r"\s*(?P<name>type\s*[123]|\w+?)\s*(?:(?P<side>[<>])\s*(?P<limit>[^\s]+)\s*)?"
        r"(?:\bat\s+(?P<strobe>[^\s]+)\s*)?",
        text,
    )
    if match is None:
        raise InputError(
            f"failure {text!r}: cannot read it; such as 'type 1', 'type 2 at 60n' or "
            "'energy_j > 500f'"
        )
    name = re.sub(r"^type\s*", "type ", match["name"])
    values: dict[str, float | None] = {}
    for key in ("limit", "strobe"):
        try:
            values[key] = None if match[key] is None else spice_number(match[key])
        except ValueError as error:
            raise InputError(f"failure {text!r}: {match[key]!r} is not a number") from error
    side = None if match["side"] is None else "above" if match["side"] == ">" else "below"
    default = (0,) if name == "type 3" else (1, -1)
    return Criterion(
        name=name,
        side=side,  # type: ignore[arg-type]
        limit=values["limit"],
        strobe_s=values["strobe"],
        written=default if written is None else (written,),
    )


SHARP_V = 1e-4
"""Tolerance at which the batch engine's latch grows a tie as fast as ngspice's: the slab of type 2
is 17 % too thin at 2 mV, 3 % at 0.2 mV and 1 % at 0.05 mV (1.2 V, 27 degrees, two lines)."""
_LEAST = 1e-9
_LARGEST_OHM = 1e15


@dataclass(frozen=True, kw_only=True)
class SenseFailure:
    """`criterion` under one set of conditions, for devices drawn from `resistances`."""

    circuit: SenseCircuit
    conditions: SenseConditions
    resistances: ResistanceModel
    criterion: Criterion
    engine: SenseEngine
    mismatch: bool = True
    noise: bool = False

    @property
    def label(self) -> str:
        """What fails, in words."""
        written = "±1" if self.criterion.written == (1, -1) else "/".join(
            f"{w:+d}" if w else "0" for w in self.criterion.written
        )  # fmt: skip
        return f"{self.criterion.label}, written {written}, {self.conditions.label}"

    @property
    def identity(self) -> str:
        """Everything that the rate depends on."""
        return identity(
            "rate",
            1,
            circuit=self.circuit.sha256,
            conditions=self._conditions,
            resistances=self.resistances,
            criterion=self.criterion,
            mismatch=self.mismatch,
            noise=self.noise,
            engine=self.engine_name,
        )

    @property
    def engine_name(self) -> str:
        """The engine's name and settings."""
        return self._engine.name

    @property
    def dimension(self) -> int:
        """Two devices, the circuit's mismatch sites, and the noise."""
        return 2 + len(self.sites) + self.noise

    @property
    def variants(self) -> tuple[int, ...]:
        """The written values that are pooled."""
        return self.criterion.written

    @cached_property
    def sites(self) -> tuple:
        """The mismatch sites that vary."""
        return self.circuit.mismatch_sites(self.conditions.corner) if self.mismatch else ()

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The coordinates of each transistor, and that of the noise."""
        parts: dict[str, list[int]] = {}
        for index, site in enumerate(self.sites, start=2):
            parts.setdefault(site.transistor, []).append(index)
        if self.noise:
            parts["noise"] = [self.dimension - 1]
        return tuple(tuple(indices) for indices in parts.values())

    def names(self, variant: int) -> tuple[tuple[str, str], ...]:
        """Each coordinate as (device or transistor, parameter)."""
        lines = ("BLb", "BL") if lrs_device(variant) == 0 else ("BL", "BLb")
        states = ("HRS", "LRS" if variant else "HRS")
        devices = tuple(
            (f"RRAM on {line}", f"ln R of the {state}")
            for line, state in zip(lines, states, strict=True)
        )
        sites = tuple((site.transistor, site.parameter) for site in self.sites)
        return devices + sites + ((("outputs", "noise"),) if self.noise else ())

    def values(self, points: Floats, variant: int) -> Floats:
        """What each coordinate of points (n, dimension) stands for: ohm, the card's unit, volt."""
        states = (self.resistances.hrs, self.resistances.lrs if variant else self.resistances.hrs)
        ohm = [self._ohm(s, u) for s, u in zip(states, points[:, :2].T, strict=True)]
        sites = [s.nominal + points[:, k] * s.sigma for k, s in enumerate(self.sites, start=2)]
        noise = [self._noise_sigma_v * points[:, -1]] if self.noise else []
        return np.column_stack([*ohm, *sites, *noise])

    def samples(self, points: Floats, variant: int) -> SenseSamples:
        """The devices and transistors at points (n, dimension)."""
        values = self.values(points, variant)
        bl = 1 if lrs_device(variant) == 0 else 0
        return SenseSamples(
            r_bl_ohm=values[:, bl],
            r_blb_ohm=values[:, 1 - bl],
            mismatch=np.ascontiguousarray(points[:, 2 : 2 + len(self.sites)]),
            noise_v=values[:, -1] if self.noise else None,
        )

    def seen(self, points: Floats, variant: int) -> Seen:
        """The outcome at points (n, dimension): what was read, or whether a measure fails."""
        wants_waves = self.criterion.name == "swing_v"
        outcome = self._engine.sense(
            self.circuit, self._conditions, self.samples(points, variant), waveforms=wants_waves
        )
        if self.criterion.is_measure:
            # A failure is 0, so that it is looked for between the two signs, where it may hide.
            margin = self._measured(outcome, variant)
            codes = np.where(margin <= 0, 0, np.where(outcome.read == 0, 1, outcome.read))
        else:
            margin, codes = self._margin(outcome, variant), outcome.read
        known = outcome.converged
        return Seen(
            codes=codes.astype(np.int8), margin=np.where(known, margin, np.inf), known=known
        )

    def fails(self, codes: NDArray[np.int8], variant: int) -> Bools:
        """Which classes of outcome are the failure."""
        name = self.criterion.name
        if name == "type 1":
            return np.asarray(codes == -variant)
        if name == "type 2" or self.criterion.is_measure:
            return np.asarray(codes == 0)
        return np.asarray(codes != variant)

    def beyond_data(self, points: Floats, variant: int) -> Bools:
        """Which points lie beyond the data of a distribution that has no law there."""
        beyond = np.zeros(len(points), bool)
        states = (self.resistances.hrs, self.resistances.lrs if variant else self.resistances.hrs)
        for state, score in zip(states, points[:, :2].T, strict=True):
            if state.measured_scores is not None:
                low, high = state.measured_scores
                beyond |= (score < low) | (score > high)
        return beyond

    @cached_property
    def _conditions(self) -> SenseConditions:
        return self.criterion.conditions(self.conditions)

    @cached_property
    def _engine(self) -> SenseEngine:
        engine = self.engine
        if self.criterion.needs_tie and isinstance(engine, BatchEngine):
            engine = replace(engine, tolerance_v=min(engine.tolerance_v, SHARP_V))
        return engine if self.criterion.name == "energy_j" else reads_of(engine)

    @property
    def _noise_sigma_v(self) -> float:
        return self.circuit.noise_sigma_v(self._conditions)

    @staticmethod
    def _ohm(state: Marginal, scores: Floats) -> Floats:
        return np.clip(state.quantile(scores), 1e-3, _LARGEST_OHM)

    def _margin(self, outcome: SenseOutcome, variant: int) -> Floats:
        window_s, vdd_v = self._conditions.window_s, self._conditions.vdd_v
        early = 1 - np.nan_to_num(outcome.resolve_time_s, nan=window_s) / window_s
        apart = np.clip(outcome.margin_v / vdd_v, -0.999, 0.999)
        undecided = outcome.read == 0
        if self.criterion.name == "type 3":
            return np.where(undecided, 1 - np.abs(apart), -early - _LEAST)
        if self.criterion.name == "type 2":
            return np.where(undecided, np.abs(apart) - 1, early + _LEAST)
        right = outcome.read == variant
        shift = 0.0 if self.criterion.name == "type 1" else 2.0
        ranked = np.where(undecided, 1 + variant * apart, -early - _LEAST)
        return np.where(right, 2 + early, ranked - shift)

    def _measured(self, outcome: SenseOutcome, variant: int) -> Floats:
        """The distance to the limit, in limits; at or below 0 where it fails."""
        criterion, window_s = self.criterion, self._conditions.window_s
        assert criterion.limit is not None
        if criterion.name == "resolve_time_s":
            # Not resolved: later than the window, and the later the less the outputs differ.
            apart = np.minimum(np.abs(outcome.margin_v) / self._conditions.vdd_v, 1)
            value = np.where(
                np.isnan(outcome.resolve_time_s), window_s * (2 - apart), outcome.resolve_time_s
            )
        elif criterion.name == "differential_v":
            value = outcome.margin_v * variant if variant else np.abs(outcome.margin_v)
        elif criterion.name == "swing_v":
            value = np.full(len(outcome), np.nan)
            for index, trace in zip(
                np.flatnonzero(outcome.converged), outcome.waveforms, strict=True
            ):
                inside = (trace.time_s >= 0) & (trace.time_s <= window_s)
                outputs = np.minimum(trace.voltages_v["q"], trace.voltages_v["qb"])
                value[index] = self._conditions.vdd_v - outputs[inside].min()
        else:
            value = outcome.energy_j
        away = criterion.limit - value if criterion.side == "above" else value - criterion.limit
        return np.asarray(away / max(abs(criterion.limit), 1e-30))
