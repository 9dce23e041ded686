"""Program and verify: pulses with rising voltage until a device reads inside a band.

The procedure of SkyWater's ReRAM documentation: a device above the band gets SET pulses whose
bit-line voltage rises by a step each time, one below it RESET pulses with rising source line; a
change of direction starts that ladder anew. The word line is fixed for each kind of pulse.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.devices.filament import SKY130_RERAM, FilamentModel, Pulse, PulseOutcome
from rramsim.exceptions import InputError

__all__ = ["Ladder", "Programming", "program_and_verify"]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Voltages (V) of successive pulses of one kind: start, step and limit."""

    start_v: float
    step_v: float = 0.1
    limit_v: float = 3.3

    def __post_init__(self) -> None:
        if not (0 < self.start_v <= self.limit_v <= 5.5 and self.step_v > 0):
            raise InputError(
                f"ladder from {self.start_v:g} V by {self.step_v:g} V to {self.limit_v:g} V: "
                "must rise, between 0 and 5.5 V"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Programming:
    """What a program-and-verify did.

    `resistance_ohm` (devices, pulses + 1) is what was read before and after each pulse,
    `amplitude_v` (devices, pulses) each pulse's voltage, negative for RESET and 0 for none;
    `pulses` (devices,) how many each got; `reached` (devices,) whether it reads inside the band.
    """

    filament_m: NDArray[np.float64]
    resistance_ohm: NDArray[np.float64]
    amplitude_v: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    pulses: NDArray[np.int64] = field(init=False)
    reached: NDArray[np.bool_]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pulses", (self.amplitude_v != 0).sum(axis=1))


def program_and_verify(
    filament_m: ArrayLike,
    *,
    band_ohm: tuple[float, float],
    apply_set: Callable[[NDArray[np.float64], Pulse, NDArray[np.bool_]], PulseOutcome],
    apply_reset: Callable[[NDArray[np.float64], Pulse, NDArray[np.bool_]], PulseOutcome],
    set_ladder: Ladder,
    reset_ladder: Ladder,
    width_s: float = 1e-6,
    max_pulses: int = 30,
    read_v: float = 0.1,
    model: FilamentModel = SKY130_RERAM,
) -> Programming:
    """Pulse devices (devices,) until each reads within `band_ohm` (low, high) or has had enough.

    `apply_set` and `apply_reset` apply a pulse to the devices of a mask: they hold the word line,
    the transistor and the engine, and are called with those devices' filaments. A device also ends
    when its ladder is exhausted. Raises `InputError` for a band that is none.
    """
    low, high = band_ohm
    if not 0 <= low < high:
        raise InputError(f"band_ohm = {low:g} to {high:g}: must rise")
    if max_pulses < 1:
        raise InputError(f"max_pulses = {max_pulses}: must be at least 1")
    filament = np.atleast_1d(np.array(filament_m, dtype=np.float64))
    count = len(filament)
    read = model.resistance_ohm(filament, at_v=read_v)
    reads, amplitudes, energy = [read], [], np.zeros(count)
    way = np.zeros(count, dtype=np.int64)
    volts, alive = np.zeros(count), np.ones(count, dtype=bool)
    for _ in range(max_pulses):
        wanted = np.where(read > high, 1, np.where(read < low, -1, 0))
        turned = wanted != way
        for sign, ladder in ((1, set_ladder), (-1, reset_ladder)):
            first = (wanted == sign) & turned
            next_ = (wanted == sign) & ~turned
            volts[first] = ladder.start_v
            volts[next_] += ladder.step_v
            alive &= ~((wanted == sign) & (volts > ladder.limit_v * (1 + 1e-9)))
        way = wanted
        amplitude = np.zeros(count)
        for sign, apply in ((1, apply_set), (-1, apply_reset)):
            mask = (wanted == sign) & alive
            if not mask.any():
                continue
            lines = {"bl_v" if sign == 1 else "sl_v": volts[mask]}
            done = apply(filament[mask], Pulse(width_s=width_s, **lines), mask)
            filament[mask] = done.filament_m
            energy[mask] += done.energy_j
            amplitude[mask] = sign * volts[mask]
        if not amplitude.any():
            break
        read = model.resistance_ohm(filament, at_v=read_v)
        reads.append(read)
        amplitudes.append(amplitude)
    return Programming(
        filament_m=filament,
        resistance_ohm=np.array(reads).T,
        amplitude_v=np.array(amplitudes).T if amplitudes else np.zeros((count, 0)),
        energy_j=energy,
        reached=(read >= low) & (read <= high),
    )
