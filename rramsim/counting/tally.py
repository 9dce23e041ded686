"""What is kept of a chunk of senses: sums that add, so that chunks fold in any number."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.counting.rates import Rate
from rramsim.devices import WRITTEN
from rramsim.engines import SenseOutcome

__all__ = ["SenseTally"]

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
