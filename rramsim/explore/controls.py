"""What can be set in the explorer: the values of every slider and choice."""

import math
from dataclasses import dataclass, replace

from rramsim.circuits import SenseConditions
from rramsim.engines import table_limit_v
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment

_TEMPERATURES_C = (0.0, 27.0, 60.0, 85.0)
"""Offered beside the one temperature of an experiment that has no more."""

_SUPPLY_ROOM_V, _SUPPLY_STEP_V = 0.2, 0.01
_FACTOR, _STEPS_PER_DECADE = 10.0, 24
"""Windows and HRS medians reach from a tenth to ten times those of the experiment."""

_WINDOWS_S = (2e-9, 1e-5)
_LEAST_RATIO = 1.5
"""The HRS median stays this far above the LRS median."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the sliders stand: conditions, and the median of the high-resistance state (ohm)."""

    conditions: SenseConditions
    hrs_median_ohm: float


@dataclass(frozen=True, kw_only=True)
class Controls:
    """The values that each slider stops at, ascending, and where all of them start.

    Between the ends of supply (V), window (s) and HRS median (ohm) every value can be sensed; of
    temperatures (degrees Celsius) and corners only those listed.
    """

    vdd_v: tuple[float, ...]
    temperature_c: tuple[float, ...]
    corner: tuple[str, ...]
    window_s: tuple[float, ...]
    hrs_median_ohm: tuple[float, ...]
    first: Setting

    def check(self, setting: Setting) -> None:
        """Raise `InputError` of one line for a setting that is not offered."""
        at = setting.conditions
        ranges = {
            "vdd_v": (at.vdd_v, self.vdd_v, "V"),
            "window_s": (at.window_s, self.window_s, "s"),
            "hrs_median_ohm": (setting.hrs_median_ohm, self.hrs_median_ohm, "ohm"),
        }
        for name, (value, values, unit) in ranges.items():
            if not values[0] <= value <= values[-1]:
                raise InputError(
                    f"{name} = {value:g}: must lie between {values[0]:g} and {values[-1]:g} {unit}"
                )
        if at.temperature_c not in self.temperature_c:
            raise InputError(
                f"temperature_c = {at.temperature_c:g}: must be one of "
                f"{', '.join(f'{t:g}' for t in self.temperature_c)}"
            )
        if at.corner not in self.corner:
            raise InputError(f"corner = {at.corner!r}: must be one of {', '.join(self.corner)}")


def make_controls(
    experiment: Experiment,
    *,
    temperatures_c: tuple[float, ...] = (),
    corners: tuple[str, ...] = (),
) -> Controls:
    """Sliders around an experiment's values; they start at the one nearest to 1.2 V and 27 °C.

    `temperatures_c` and `corners` are offered in place of the experiment's. Raises `InputError`
    for conditions that cannot be sensed.
    """
    process = experiment.make_process()
    conditions = experiment.make_conditions()
    resistances = experiment.make_resistances()
    swept = {
        name: tuple(sorted({getattr(c, name) for c in conditions}))
        for name in ("vdd_v", "temperature_c", "window_s")
    }
    offered = tuple(sorted(set(temperatures_c))) or swept["temperature_c"]
    if len(offered) == 1 and not temperatures_c:
        offered = tuple(sorted({*offered, *_TEMPERATURES_C}))
    chosen = tuple(dict.fromkeys(corners or (c.corner for c in conditions)))
    nearest = min(
        conditions,
        key=lambda c: (abs(c.vdd_v - 1.2), abs(math.log(c.window_s / 50e-9)), c.corner != "tt"),
    )
    hrs = resistances.hrs.median_ohm
    lowest = resistances.lrs.median_ohm * _LEAST_RATIO
    controls = Controls(
        vdd_v=_supplies(swept["vdd_v"], process.highest_supply_v),
        temperature_c=offered,
        corner=chosen,
        window_s=_logarithmic(swept["window_s"], *_WINDOWS_S),
        hrs_median_ohm=_logarithmic((hrs,), min(lowest, hrs), math.inf),
        first=Setting(
            conditions=replace(
                nearest,
                temperature_c=min(offered, key=lambda t: abs(t - 27)),
                corner=nearest.corner if nearest.corner in chosen else chosen[0],
            ),
            hrs_median_ohm=hrs,
        ),
    )
    for corner in chosen:
        for temperature_c in offered:
            # Refuses what cannot be sensed, naming the value.
            at = replace(controls.first.conditions, corner=corner, temperature_c=temperature_c)
            process.check(corner=corner, vdd_v=at.vdd_v)
    return controls


def _supplies(swept: tuple[float, ...], rated_v: float) -> tuple[float, ...]:
    low = max(0.3, swept[0] - _SUPPLY_ROOM_V)
    # No farther than the tables of the highest supply hold: others would take as long again.
    high = min(rated_v, swept[-1] + _SUPPLY_ROOM_V, table_limit_v(swept[-1]))
    first, last = math.ceil(low / _SUPPLY_STEP_V - 1e-9), math.floor(high / _SUPPLY_STEP_V + 1e-9)
    grid = {round(k * _SUPPLY_STEP_V, 2) for k in range(first, last + 1)}
    return tuple(sorted(grid | set(swept)))


def _logarithmic(swept: tuple[float, ...], lowest: float, highest: float) -> tuple[float, ...]:
    """Values of two digits around those of the experiment, evenly on a logarithmic scale."""
    low, high = max(lowest, swept[0] / _FACTOR), min(highest, swept[-1] * _FACTOR)
    low, high = min(low, swept[0]), max(high, swept[-1])
    count = max(1, round(_STEPS_PER_DECADE * math.log10(high / low)))
    grid = {float(f"{low * (high / low) ** (k / count):.2g}") for k in range(count + 1)}
    return tuple(sorted({v for v in grid if low <= v <= high} | set(swept)))
