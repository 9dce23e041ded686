"""From programming conditions to resistance statistics: a table of measured points.

Measured on open HfO2 1T1R cells with 100 ns pulses and no verify. In a 1T1R cell the word line's
voltage sets the compliance during SET. Between measured points ln(median) and ln(sigma_ln) are
interpolated linearly; outside them nothing is known, and the condition is refused.
"""

from dataclasses import dataclass

import numpy as np

from rramsim.devices.marginals import LogNormal
from rramsim.devices.resistances import ResistanceModel
from rramsim.exceptions import InputError

__all__ = ["PROGRAMMING_DATA", "ProgrammingData", "programmed_resistances"]


@dataclass(frozen=True, kw_only=True)
class ProgrammingData:
    """Measured medians (ohm) and deviations of ln R against a voltage (V)."""

    source: str
    pulse_s: float
    set_word_line_v: tuple[float, ...]
    lrs_median_ohm: tuple[float, ...]
    lrs_sigma_ln: tuple[float, ...]
    reset_source_line_v: tuple[float, ...]
    hrs_median_ohm: tuple[float, ...]
    hrs_sigma_ln: float


PROGRAMMING_DATA = ProgrammingData(
    source="open HfO2 1T1R cells, 100 ns pulses without verify, bit line at 2 V during SET",
    pulse_s=100e-9,
    set_word_line_v=(2.3, 2.5, 2.7),
    lrs_median_ohm=(22.6e3, 7.15e3, 5.7e3),
    lrs_sigma_ln=(0.49, 0.09, 0.06),
    # The read-out saturates at high resistance: at 2.0 and 2.2 V these are lower bounds.
    reset_source_line_v=(1.6, 1.8, 2.0, 2.2),
    hrs_median_ohm=(5.3e3, 19.6e3, 37e3, 48e3),
    # No deviation was measured against the RESET voltage: that of 712 cells x 300 cycles is used.
    hrs_sigma_ln=1.18,
)


def programmed_resistances(
    *, set_word_line_v: float, reset_source_line_v: float, pulse_s: float = PROGRAMMING_DATA.pulse_s
) -> ResistanceModel:
    """Statistics of cells programmed with single pulses, from `PROGRAMMING_DATA`.

    The HRS's deviation is an assumption (see there), and its medians are low: scale them for
    another technology (`scaled`). Raises `InputError` outside the measured range.

    >>> model = programmed_resistances(set_word_line_v=2.5, reset_source_line_v=2.0)
    >>> round(model.lrs.median_ohm), round(model.hrs.median_ohm)
    (7150, 37000)
    """
    data = PROGRAMMING_DATA
    if not np.isclose(pulse_s, data.pulse_s, rtol=1e-3):
        raise InputError(
            f"pulse_s = {pulse_s:g}: measured with {data.pulse_s:g} s only; other pulses can be "
            "simulated with 'rramsim devices program'"
        )
    lrs_median, lrs_sigma = (
        _between("set_word_line_v", set_word_line_v, data.set_word_line_v, values)
        for values in (data.lrs_median_ohm, data.lrs_sigma_ln)
    )
    hrs_median = _between(
        "reset_source_line_v", reset_source_line_v, data.reset_source_line_v, data.hrs_median_ohm
    )
    return ResistanceModel(
        lrs=LogNormal(median_ohm=lrs_median, sigma_ln=lrs_sigma),
        hrs=LogNormal(median_ohm=hrs_median, sigma_ln=data.hrs_sigma_ln),
    )


def _between(name: str, at: float, points: tuple[float, ...], values: tuple[float, ...]) -> float:
    if not points[0] <= at <= points[-1]:
        raise InputError(
            f"{name} = {at:g}: measured from {points[0]:g} to {points[-1]:g} V only "
            f"({PROGRAMMING_DATA.source})"
        )
    return float(np.exp(np.interp(at, points, np.log(values))))
