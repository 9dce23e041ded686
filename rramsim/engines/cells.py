"""1T1R cells that are pulsed, in rramsim's own solver or in ngspice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rramsim.devices.filament_dynamics import Pulse, PulseOutcome, apply_pulse
from rramsim.devices.verify import Ladder, Programming, program_and_verify
from rramsim.engines.access_transistor import AccessTransistor, access_transistor_table
from rramsim.engines.rram_cell import apply_pulse_in_ngspice

__all__ = ["Cells"]

_SET_START_V, _RESET_START_V = 1.6, 1.0
"""Where the ladders of program and verify begin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Cells of one kind: filaments `start_m` (m) and the `scale` of their field enhancement, both
    (devices,), behind access transistors, pulsed for `width_s`.

    `native`: by rramsim's own solver, else by ngspice, where every scale is 1.
    """

    start_m: NDArray[np.float64]
    scale: NDArray[np.float64]
    width_s: float
    temperature_c: float
    transistor: AccessTransistor
    native: bool = True

    def pulse(
        self, *, bl_v: float, sl_v: float, word_line_v: float, samples: int = 0
    ) -> PulseOutcome:
        """One pulse on every cell; with `samples` points of its waveforms."""
        pulse = Pulse(bl_v=bl_v, sl_v=sl_v, width_s=self.width_s)
        every = slice(None)
        return self._applier((word_line_v,))(self.start_m, pulse, every, word_line_v, samples)

    def program(
        self,
        *,
        band_ohm: tuple[float, float],
        step_v: float,
        max_pulses: int,
        set_word_line_v: float,
        reset_word_line_v: float,
    ) -> Programming:
        """Program and verify every cell into `band_ohm`, in ladders that rise by `step_v`."""
        apply = self._applier(tuple({set_word_line_v, reset_word_line_v}))
        return program_and_verify(
            self.start_m,
            band_ohm=band_ohm,
            apply_set=lambda f, p, mask: apply(f, p, mask, set_word_line_v),
            apply_reset=lambda f, p, mask: apply(f, p, mask, reset_word_line_v),
            set_ladder=Ladder(start_v=_SET_START_V, step_v=step_v),
            reset_ladder=Ladder(start_v=_RESET_START_V, step_v=step_v),
            width_s=self.width_s,
            max_pulses=max_pulses,
        )

    def _applier(self, levels_v: tuple[float, ...]) -> Callable[..., Any]:
        """A function (filament, pulse, mask, word line, samples) -> outcome."""
        if not self.native:
            return lambda f, p, mask, wl_v, samples=0: apply_pulse_in_ngspice(
                f,
                p,
                word_line_v=wl_v,
                transistor=self.transistor,
                temperature_c=self.temperature_c,
                samples=samples,
            )
        table = access_transistor_table(self.transistor, levels_v)
        return lambda f, p, mask, wl_v, samples=0: apply_pulse(
            f,
            p,
            series=table,
            level=table.level(wl_v),
            temperature_c=self.temperature_c,
            enhancement_scale=self.scale[mask],
            samples=samples,
        )
