"""Rates with their intervals, and counts of written against read weights: tallies that add, and the
error types that follow from them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.devices import WRITTEN
from rramsim.engines import SenseOutcome
from rramsim.exceptions import InputError


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`events` out of `trials`, with the exact (Clopper-Pearson) 95 % interval.

    >>> rate = Rate(events=0, trials=1000)
    >>> rate.value, round(rate.high, 5)
    (0.0, 0.00368)
    """

    events: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.trials:
            raise InputError(f"{self.events} events out of {self.trials} trials is no rate")

    @property
    def value(self) -> float:
        """events / trials; NaN without a trial."""
        return self.events / self.trials if self.trials else float("nan")

    @cached_property
    def _interval(self) -> tuple[float, float]:
        if not self.trials:
            return 0.0, 1.0
        # Imported here: it takes a second, which worker processes would pay for nothing.
        from scipy.stats import binomtest

        interval = binomtest(self.events, self.trials).proportion_ci(0.95, method="exact")
        return float(interval.low), float(interval.high)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval (0 without a trial)."""
        return self._interval[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval (1 without a trial)."""
        return self._interval[1]

    @property
    def relative_error(self) -> float:
        """Half the interval's width over the rate; infinite without an event."""
        return (self.high - self.low) / 2 / self.value if self.events else float("inf")

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON: rate (None without a trial), low, high, events, trials."""
        return {
            "rate": self.value if self.trials else None,
            "low": self.low,
            "high": self.high,
            "events": self.events,
            "trials": self.trials,
        }


@dataclass(frozen=True, kw_only=True)
class RateDifference:
    """How much a rate falls from `of` to `without`, with a 95 % interval.

    The interval joins the two exact ones (MOVER: Zou and Donner 2008, Statistics in Medicine
    27:1693). It takes the two as independent; common random numbers make them alike, so that it
    is rather too wide than too narrow.

    >>> fall = RateDifference(of=Rate(events=30, trials=100), without=Rate(events=10, trials=100))
    >>> round(fall.value, 2), round(fall.low, 2), round(fall.high, 2)
    (0.2, 0.08, 0.31)
    """

    of: Rate
    without: Rate

    @property
    def value(self) -> float:
        """The difference; NaN if either rate has no trial."""
        return self.of.value - self.without.value

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        a, b = self.of, self.without
        return self.value - math.hypot(a.value - a.low, b.high - b.value)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        a, b = self.of, self.without
        return self.value + math.hypot(a.high - a.value, b.value - b.low)

    @property
    def share(self) -> float:
        """The difference as a share of the whole rate; NaN where that is 0."""
        return self.value / self.of.value if self.of.value else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """For JSON; null where there is no number."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "share": self.share}
        return {name: None if math.isnan(x) else x for name, x in numbers.items()}


_ENTRIES = {
    "type1": ((0, 2), (2, 0)),
    "type2": ((0, 1), (2, 1)),
    "type3": ((1, 0), (1, 2)),
}
"""Where each error type stands in a matrix of written by read."""

READ_LABELS = ("-1", "0", "+1", "unconverged")
"""The columns of the counts. A run that did not converge is no read: it has its own column."""


@dataclass(frozen=True, kw_only=True)
class FoundRate:
    """A rate that counting saw too little of, found elsewhere (`rramsim.rare.rate`).

    `deviation`: standard error over value. `by`: how it was found.
    """

    value: float
    deviation: float
    by: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorStatistics:
    """Counts, shape (3, 4): rows written -1, 0, +1; columns read -1, 0, +1, unconverged.

    The error types are those of Laborieux et al. 2020 (arXiv 2005.01973): type 1 is a sign flip,
    type 2 a +1 or -1 read as 0, type 3 a 0 read as +1 or -1. Rates are over converged reads.

    >>> counts = np.array([[98, 2, 0, 0], [3, 95, 2, 0], [0, 1, 99, 1]])
    >>> statistics = ErrorStatistics(counts=counts)
    >>> statistics.type1.value, statistics.type2.value, statistics.type3.value
    (0.0, 0.015, 0.05)
    """

    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.shape != (3, 4):
            raise InputError(
                f"error statistics have shape {counts.shape}: must be 3 written by 4 read"
            )
        if (counts < 0).any() or not np.equal(np.mod(counts, 1), 0).all():
            raise InputError("error statistics hold counts: whole numbers from 0 up")
        object.__setattr__(self, "counts", counts.astype(np.int64))

    def __add__(self, other: "ErrorStatistics") -> "ErrorStatistics":
        return ErrorStatistics(counts=self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ErrorStatistics) and np.array_equal(self.counts, other.counts)

    def rate(self, written: int, read: int) -> Rate:
        """How often `written` was read as `read`."""
        row = self.counts[WRITTEN.index(written)]
        return Rate(events=int(row[WRITTEN.index(read)]), trials=int(row[:3].sum()))

    @property
    def type1(self) -> Rate:
        """Sign flips among written +1 and -1."""
        return self._pooled(self.counts[0, 2] + self.counts[2, 0], (0, 2))

    @property
    def type2(self) -> Rate:
        """Written +1 and -1 that were read as 0."""
        return self._pooled(self.counts[0, 1] + self.counts[2, 1], (0, 2))

    @property
    def type3(self) -> Rate:
        """Written 0 that were read as +1 or -1."""
        return self._pooled(self.counts[1, 0] + self.counts[1, 2], (1,))

    @property
    def binary(self) -> Rate:
        """Errors of a binary memory, which stores +1 and -1 only.

        A sense that is unresolved at the strobe counts as an error: nothing was read.
        """
        wrong = self.counts[0, 1:3].sum() + self.counts[2, 0:2].sum()
        return self._pooled(wrong, (0, 2))

    @property
    def binary_flip_probability(self) -> float:
        """Probability that a binary memory's output latch holds the wrong sign.

        An unresolved sense leaves the latch as the read before set it, which is right every
        second time: type 1 plus half of type 2.
        """
        return self.type1.value + self.type2.value / 2

    @property
    def unconverged(self) -> Rate:
        """Runs that did not converge, over all runs."""
        return Rate(events=int(self.counts[:, 3].sum()), trials=int(self.counts.sum()))

    def transition_matrix(self) -> NDArray[np.float64]:
        """P(read | written), shape (3, 3), rows written and columns read as -1, 0, +1.

        Raises `InputError` for a written value that was never read.
        """
        reads = self.counts[:, :3].astype(float)
        empty = [WRITTEN[i] for i in np.flatnonzero(reads.sum(axis=1) == 0)]
        if empty:
            raise InputError(f"error statistics hold no converged read of written {empty}")
        return reads / reads.sum(axis=1, keepdims=True)

    def drawn_matrix(
        self, rng: np.random.Generator, found: Mapping[str, FoundRate] | None = None
    ) -> NDArray[np.float64]:
        """P(read | written) as one draw from what the counts leave open, shape (3, 3).

        Each row from its posterior under Jeffreys' prior (Dirichlet, half a count more for each
        read value): an error that was never seen in 10,000 reads is drawn at some 5e-5, not at 0.
        An error type of `found` ("type1", ...) is drawn from what was found of it instead, the same
        for both written signs, or half for each sign read.
        Raises `InputError` for a written value that was never read.

        >>> counts = np.array([[990, 10, 0, 0], [0, 1000, 0, 0], [0, 10, 990, 0]])
        >>> drawn = ErrorStatistics(counts=counts).drawn_matrix(np.random.default_rng(0))
        >>> bool((drawn > 0).all()), bool(drawn[1, 0] < 0.01)
        (True, True)
        """
        self.transition_matrix()
        matrix = np.array([rng.dirichlet(row + 0.5) for row in self.counts[:, :3]])
        if not found:
            return matrix
        for name, entries in _ENTRIES.items():
            if name in found:
                one = found[name]
                drawn = one.value * float(np.exp(one.deviation * rng.standard_normal()))
                for written, read in entries:
                    matrix[written, read] = drawn / (2 if name == "type3" else 1)
        right = np.arange(3)
        matrix[right, right] = 0.0
        matrix[right, right] = np.maximum(1 - matrix.sum(axis=1), 0.0)
        return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the counts and every rate with its 95 % interval."""
        named = ("type1", "type2", "type3", "binary", "unconverged")
        return {
            "written": list(WRITTEN),
            "read": list(READ_LABELS),
            "counts": self.counts.tolist(),
            **{name: getattr(self, name).as_dict() for name in named},
        }

    def _pooled(self, events: Any, rows: tuple[int, ...]) -> Rate:
        return Rate(events=int(events), trials=int(self.counts[list(rows), :3].sum()))


Sums = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SenseTally:
    """Sums over senses of one written value, by what was read.

    Every array has shape (4,): read -1, 0, +1, unconverged. Energies in joule, times in second;
    unconverged senses add to `count` only, unresolved ones not to the resolve time. `measures`
    holds, for each `.measure` line, (senses that gave a value, their sum, the sum of squares).
    """

    count: NDArray[np.int64]
    energy_j: Sums
    energy_squared: Sums
    clock_energy_j: Sums
    word_line_energy_j: Sums
    resolve_time_s: Sums
    resolve_time_squared: Sums
    measures: Mapping[str, Sums] = field(default_factory=dict)

    @staticmethod
    def empty() -> "SenseTally":
        """The tally of no sense."""
        return SenseTally.from_value({name: [0.0] * 4 for name in _SUMS})

    @staticmethod
    def of(outcome: SenseOutcome) -> "SenseTally":
        """The tally of an engine's outcome."""
        column = np.where(outcome.converged, outcome.read.astype(int) + 1, 3)

        def total(values: NDArray[np.float64]) -> Sums:
            known = np.isfinite(values)
            return np.bincount(column[known], weights=values[known], minlength=4).astype(float)

        return SenseTally(
            count=np.bincount(column, minlength=4).astype(np.int64),
            energy_j=total(outcome.energy_j),
            energy_squared=total(outcome.energy_j**2),
            clock_energy_j=total(outcome.clock_energy_j),
            word_line_energy_j=total(outcome.word_line_energy_j),
            resolve_time_s=total(outcome.resolve_time_s),
            resolve_time_squared=total(outcome.resolve_time_s**2),
            measures={
                name: np.array([np.isfinite(values).sum(), np.nansum(values), np.nansum(values**2)])
                for name, values in outcome.measures.items()
            },
        )

    def __add__(self, other: "SenseTally") -> "SenseTally":
        measures = dict(self.measures)
        for name, sums in other.measures.items():
            measures[name] = measures.get(name, 0.0) + sums
        return SenseTally(
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            measures=measures,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SenseTally) and self.to_value() == other.to_value()

    @property
    def samples(self) -> int:
        """Number of senses, unconverged ones included."""
        return int(self.count.sum())

    def error_rate(self, written: int) -> Rate:
        """How often the read differs from `written`, over converged senses."""
        trials = int(self.count[:3].sum())
        return Rate(events=trials - int(self.count[WRITTEN.index(written)]), trials=trials)

    def to_value(self) -> dict[str, Any]:
        """Plain values that `from_value` reads back exactly."""
        value = {name: getattr(self, name).tolist() for name in _SUMS}
        measures = {name: sums.tolist() for name, sums in self.measures.items()}
        return value | ({"measures": measures} if measures else {})

    @staticmethod
    def from_value(value: dict[str, Any]) -> "SenseTally":
        """Read a tally back; raises `ValueError`, `KeyError` or `TypeError` for anything else.

        No sum can be that of so many senses if its square exceeds their number times the sum of
        squares (Cauchy and Schwarz).
        """
        arrays = {name: np.asarray(value[name], dtype=float) for name in _SUMS}
        measures = {
            str(name): np.asarray(sums, dtype=float)
            for name, sums in dict(value.get("measures", {})).items()
        }
        for name, sums in measures.items():
            if sums.shape != (3,) or not np.isfinite(sums).all():
                raise ValueError(f"the sums of the measure {name} are three numbers")
        if any(array.shape != (4,) or not np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("a tally's sums are four numbers each")
        count = arrays.pop("count")
        if (count < 0).any() or (count != np.round(count)).any() or count.sum() > 2**53:
            raise ValueError("senses are counted in whole numbers")
        for total, squares in (
            ("energy_j", "energy_squared"), ("resolve_time_s", "resolve_time_squared")
        ):  # fmt: skip
            if (arrays[total] ** 2 > count * arrays[squares] * (1 + 1e-9)).any():
                raise ValueError(f"{total} does not fit {squares}")
        return SenseTally(count=count.astype(np.int64), **arrays, measures=measures)


_SUMS = tuple(f.name for f in fields(SenseTally) if f.name != "measures")
