"""Resistances of devices over cycles: cell-to-cell and cycle-to-cycle parts, correlated.

In standard-normal scores a device's cycle is

    u = sqrt(cell_share) c + sqrt(1 - cell_share) e,

with c drawn once for each device and e an autoregressive sequence over the cycles with lag-1
correlation `lag1`; a state's marginal distribution makes u a resistance (a Gaussian copula). For a
log-normal this is the usual sum of variances: sigma_cell = sigma_ln sqrt(cell_share). The c of a
device's two states are correlated.

From programming conditions to statistics leads a table of measured points. Measured on open HfO2
1T1R cells with 100 ns pulses and no verify. In a 1T1R cell the word line's voltage sets the
compliance during SET. Between measured points ln(median) and ln(sigma_ln) are interpolated
linearly; outside them nothing is known, and the condition is refused.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.devices.marginals import LogNormal, Skewed
from rramsim.devices.resistances import ResistanceModel
from rramsim.exceptions import InputError
from rramsim.numbers import check_limits, limited


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


@dataclass(frozen=True, kw_only=True)
class Persistence:
    """How much of a state's spread stays with a cell, and how much a cycle remembers the last."""

    cell_share: float = limited(0.0, low=0, high=1)
    lag1: float = limited(0.0, low=-1, high=1, above=True, below=True)

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, kw_only=True)
class History:
    """Resistances (ohm) after each cycle's SET and RESET; arrays of shape (devices, cycles)."""

    lrs_ohm: NDArray[np.float64]
    hrs_ohm: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DeviceStatistics:
    """Both states' distributions with what persists; `cell_correlation` ties the states' c."""

    resistances: ResistanceModel
    lrs: Persistence = Persistence()
    hrs: Persistence = Persistence()
    cell_correlation: float = limited(0.0, low=-1, high=1)

    def __post_init__(self) -> None:
        check_limits(self)

    def draw_history(self, devices: int, cycles: int, rng: np.random.Generator) -> History:
        """Draw every device's resistances over its cycles.

        >>> state = Persistence(cell_share=1.0)
        >>> model = ResistanceModel(
        ...     lrs=LogNormal(median_ohm=1e4, sigma_ln=0.2),
        ...     hrs=LogNormal(median_ohm=1e6, sigma_ln=1.0),
        ... )
        >>> frozen = DeviceStatistics(resistances=model, lrs=state, hrs=state)
        >>> history = frozen.draw_history(3, 5, np.random.default_rng(1))
        >>> history.hrs_ohm.shape, bool((np.ptp(history.hrs_ohm, axis=1) == 0).all())
        ((3, 5), True)
        """
        if devices < 1 or cycles < 1:
            raise InputError(f"devices = {devices}, cycles = {cycles}: must be at least 1")
        cells = rng.standard_normal((2, devices))
        rho = self.cell_correlation
        cells[1] = rho * cells[0] + math.sqrt(1 - rho**2) * cells[1]
        lrs = _scores(cells[0], cycles, self.lrs, rng)
        hrs = _scores(cells[1], cycles, self.hrs, rng)
        return History(
            lrs_ohm=self.resistances.lrs.quantile(lrs),
            hrs_ohm=self.resistances.hrs.quantile(hrs),
        )


def _scores(
    cells: NDArray[np.float64], cycles: int, persistence: Persistence, rng: np.random.Generator
) -> NDArray[np.float64]:
    rho = persistence.lag1
    deviates = rng.standard_normal((len(cells), cycles))
    # e_t = rho e_{t-1} + sqrt(1 - rho^2) n_t, started in its stationary distribution.
    deviates[:, 1:] *= math.sqrt(1 - rho**2)
    from scipy.signal import lfilter  # heavy: loaded where it is needed

    sequence = lfilter([1.0], [1.0, -rho], deviates, axis=1)
    share = persistence.cell_share
    return np.asarray(math.sqrt(share) * cells[:, None] + math.sqrt(1 - share) * sequence)


def open_hfo2_statistics(
    *, lrs_median_ohm: float = 4.93e3, hrs_median_ohm: float = 85e3
) -> DeviceStatistics:
    """The statistics of an open set of HfO2 cells, with medians that may be set.

    Measured on 712 HfO2 1T1R cells over 300 cycles of 100 ns pulses without verify: LRS median
    4.93 kOhm, SD of ln R 0.216, skewness +4.8, cycle part 0.129, cell part 0.122, lag-1
    0.34; HRS 85 kOhm, 1.18, skewness 0, 0.74, 0.91, 0.19; correlation of the cells' ln HRS and
    ln LRS -0.34. The LRS's parts are turned into shares of the normal score (`history`); the lag
    and the correlation are used for the scores as they were measured for ln R.
    """
    lrs = Skewed.from_moments(median_ohm=lrs_median_ohm, deviation_ln=0.216, skewness_ln=4.8)
    # Cov of exp(g u) at correlation v over its variance: (exp(g^2 v) - 1) / (exp(g^2) - 1).
    share_ln = 0.122**2 / (0.122**2 + 0.129**2)
    g2 = lrs.skew_g**2
    share = math.log1p(share_ln * math.expm1(g2)) / g2
    return DeviceStatistics(
        resistances=ResistanceModel(
            lrs=lrs, hrs=LogNormal(median_ohm=hrs_median_ohm, sigma_ln=1.18)
        ),
        lrs=Persistence(cell_share=share, lag1=0.34),
        hrs=Persistence(cell_share=0.91**2 / (0.91**2 + 0.74**2), lag1=0.19),
        cell_correlation=-0.34,
    )
