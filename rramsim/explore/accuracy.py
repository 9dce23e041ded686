"""Accuracy at a setting from a trade-off's table: looked up or interpolated, never beyond it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from rramsim.explore.controls import Setting
from rramsim.figures.tradeoffs import by_network
from rramsim.records import TradeoffRow

__all__ = ["AccuracyHere", "AccuracyTable"]

_AXES = {"vdd_v": "V", "temperature_c": "°C", "window_s": "s"}
Place = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AccuracyHere:
    """One network's accuracy at a setting; `interpolated` where it lies between tested points.

    The interval is that of the tested point, or spans those of all points around the setting.
    """

    network: str
    value: float
    low: float
    high: float
    without_errors: float
    interpolated: bool


@dataclass(frozen=True, kw_only=True)
class AccuracyTable:
    """The rows of `tradeoff.csv`, and the HRS median (ohm) that they hold for."""

    rows: tuple[TradeoffRow, ...]
    hrs_median_ohm: float

    def at(self, setting: Setting) -> tuple[tuple[AccuracyHere, ...], str]:
        """Every network's accuracy, and, if there is none, why.

        Linear in supply, temperature and the logarithm of the window between neighbouring points
        of the table; nothing outside of them, at another corner or at another HRS median.
        """
        if not math.isclose(setting.hrs_median_ohm, self.hrs_median_ohm, rel_tol=1e-9):
            return (), (
                f"The networks were tested at an HRS median of {self.hrs_median_ohm / 1e3:g} kΩ; "
                "set the slider there."
            )
        corner = setting.conditions.corner
        rows = [row for row in self.rows if row.corner == corner]
        if not rows:
            return (), f"The networks were not tested at corner {corner}."
        found = []
        for name, mine in by_network(rows).items():
            table = {tuple(getattr(row, axis) for axis in _AXES): row for row in mine}
            weights = _weights(list(table), setting)
            if isinstance(weights, str):
                return (), weights
            if any(place not in table for place in weights):
                continue
            around = [(table[place], weight) for place, weight in weights.items()]
            found.append(
                AccuracyHere(
                    network=name,
                    value=sum(weight * row.accuracy for row, weight in around),
                    low=min(row.accuracy_low for row, _ in around),
                    high=max(row.accuracy_high for row, _ in around),
                    without_errors=around[0][0].accuracy_without_errors,
                    interpolated=len(around) > 1,
                )
            )
        return tuple(found), "" if found else "The points around this setting were not tested."


def _weights(places: Sequence[Place], setting: Setting) -> dict[Place, float] | str:
    """The tested places around a setting with their weights; or which axis ends before it."""
    sides: list[list[tuple[float, float]]] = []
    for index, (axis, unit) in enumerate(_AXES.items()):
        values = sorted({place[index] for place in places})
        value = getattr(setting.conditions, axis)
        if not values[0] <= value <= values[-1]:
            ends = " to ".join(f"{v:g}" for v in dict.fromkeys((values[0], values[-1])))
            if axis == "window_s":
                ends = " to ".join(f"{1e9 * v:g}" for v in dict.fromkeys((values[0], values[-1])))
                unit = "ns"
            name = axis.rpartition("_")[0].replace("vdd", "supply")
            return f"Not extrapolated: the networks were tested at a {name} of {ends} {unit}."
        if value in values:
            sides.append([(value, 1.0)])
            continue
        low = max(v for v in values if v < value)
        high = min(v for v in values if v > value)
        scale = math.log if axis == "window_s" else float
        share = (scale(value) - scale(low)) / (scale(high) - scale(low))
        sides.append([(low, 1 - share), (high, share)])
    return {
        tuple(v for v, _ in corner): math.prod(weight for _, weight in corner)
        for corner in product(*sides)
    }
