"""Filament equations of SKY130's open ReRAM model.

Source: SkyWater PDK, `sky130_fd_pr_reram__reram_cell.va` (Copyright 2020 The SkyWater PDK Authors,
Apache-2.0), written anew from its equations. With gap = oxide - filament, and V from the top to the
bottom electrode:

    I        = I_k exp(-gap / gap_ref) sinh(V / V_ref)
    filament'= v (exp(-(Eg - g a0/oxide V)/kT) - exp(-(Er + g a0/oxide V)/kT))
    g        = g_0 + g_1 (gap / 1 nm)^3
    T'       = |V I| / C_th - (T - T_ambient) / tau_th

Three things differ from the Verilog-A, so that an adaptive solver can follow it: the filament's
limits are approached smoothly within `edge_m` instead of being cut off, its speed saturates at
`fastest_m_per_s` (1 nm in 1 ps; above it the original moves from limit to limit in one time step),
and a filament may start shorter than `shortest_m`: a pristine cell before forming, where these
equations are extrapolated. netlists/rram_dynamic.spice holds the same equations for ngspice.

`apply_pulse` solves them for many cells at once, each device on its own. A cell is a device between
the bit line and an inner node, and a series element from there to the source line: a resistor, or a
transistor given as a table (`rramsim.engines.cells`). The three states, gap, temperature and the
inner node's voltage, are stiff (a SET runs away in picoseconds, a pulse lasts a microsecond), so
each device has its own adaptive steps of a linearly implicit method of order two (Shampine and
Reichelt's ode23s, SIAM J. Sci. Comput. 18, 1997). The inner node's capacitance matters: while it
discharges, the transistor does not limit the current, and a fast SET overshoots. Lengths are in nm
and times in ns inside: nm/ns is m/s.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.compiled import compiled
from rramsim.exceptions import InputError, MachineError
from rramsim.numbers import check_limits, limited


@dataclass(frozen=True, kw_only=True)
class FilamentModel:
    """Parameters of the equations above; the defaults are SKY130's.

    `pristine_m` is ours: the filament from which a 1 us pulse forms at 2.5 V, the average that
    SkyWater's documentation gives (2.2 to 3.1 V). Its resistance is 5 MOhm where that
    documentation has more than 10 MOhm: the equations do not meet both. `electrode_f` is the
    capacitance of 0.1024 um2 of HfO2 (relative permittivity 22 assumed), 5 nm thick.
    """

    oxide_m: float = 5.0e-9
    longest_m: float = 4.9e-9
    shortest_m: float = 3.3e-9
    pristine_m: float = 3.2e-9
    generation_ev: float = 1.501
    recombination_ev: float = 1.500
    current_a: float = 6.14e-5
    reference_m: float = 4.7249e-9
    v_ref_v: float = 0.43
    velocity_m_per_s: float = 150.0
    enhancement_0: float = 16.5
    enhancement_1: float = -1.25
    hop_m: float = 0.25e-9
    heat_capacity_j_per_k: float = 3.1825e-16
    thermal_s: float = 0.23e-9
    fastest_m_per_s: float = 1000.0
    edge_m: float = 2e-12
    electrode_f: float = 4e-15

    def __post_init__(self) -> None:
        if not 0 < self.pristine_m <= self.shortest_m < self.longest_m < self.oxide_m:
            raise InputError(
                "filament lengths must rise: pristine_m, shortest_m, longest_m, oxide_m; they are "
                f"{self.pristine_m:g}, {self.shortest_m:g}, {self.longest_m:g}, {self.oxide_m:g} m"
            )

    def current(self, filament_m: ArrayLike, voltage_v: ArrayLike) -> NDArray[np.float64]:
        """Current (A) through the device; shapes broadcast."""
        gap = self.oxide_m - np.asarray(filament_m, dtype=np.float64)
        decay = np.exp(-gap / (self.oxide_m - self.reference_m))
        bent = np.sinh(np.asarray(voltage_v, dtype=np.float64) / self.v_ref_v)
        return np.asarray(self.current_a * decay * bent)

    def resistance_ohm(self, filament_m: ArrayLike, *, at_v: float = 0.1) -> NDArray[np.float64]:
        """V / I at a read voltage.

        >>> [round(float(r) / 1e3) for r in SKY130_RERAM.resistance_ohm([4.9e-9, 3.3e-9])]
        [10, 3351]
        """
        return np.asarray(at_v / self.current(filament_m, at_v))

    def filament_m(self, resistance_ohm: ArrayLike, *, at_v: float = 0.1) -> NDArray[np.float64]:
        """The filament (m) that shows a resistance at a read voltage; the inverse of the above."""
        scale = self.current_a * math.sinh(at_v / self.v_ref_v) / at_v
        decay = np.log(np.asarray(resistance_ohm, dtype=np.float64) * scale)
        return np.asarray(self.oxide_m - (self.oxide_m - self.reference_m) * decay)

    def growth_m_per_s(
        self, filament_m: ArrayLike, voltage_v: ArrayLike, temperature_k: ArrayLike
    ) -> NDArray[np.float64]:
        """Speed of the filament's tip (m/s) without the limits; shapes broadcast."""
        gap = self.oxide_m - np.asarray(filament_m, dtype=np.float64)
        enhancement = self.enhancement_0 + self.enhancement_1 * (gap / 1e-9) ** 3
        push_ev = enhancement * self.hop_m / self.oxide_m * np.asarray(voltage_v)
        kt_ev = 8.617333262e-5 * np.asarray(temperature_k)
        forth = np.exp((push_ev - self.generation_ev) / kt_ev)
        back = np.exp((-push_ev - self.recombination_ev) / kt_ev)
        return np.asarray(self.velocity_m_per_s * (forth - back))


SKY130_RERAM = FilamentModel()
"""SkyWater's parameters."""


_ABS_GAP_NM = 2e-5
"""Error allowed in a step, nm: 0.007 % of resistance."""
_ABS_KELVIN = 0.05
_ABS_VOLT = 1e-4
_MAX_STEPS = 200_000


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """A trapezoidal pulse on bit line and source line (V, scalars or one for each device).

    `width_s` is the time at the full voltage; the word line is on before and until after it.
    """

    bl_v: ArrayLike = 0.0
    sl_v: ArrayLike = 0.0
    width_s: float = limited(1e-6, low=1e-10, high=10)
    edge_s: float = limited(5e-9, low=1e-10, high=10)

    def __post_init__(self) -> None:
        check_limits(self)
        for name in ("bl_v", "sl_v"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if not (np.isfinite(value).all() and (np.abs(value) <= 5.5).all()):
                raise InputError(f"{name}: must be between -5.5 and 5.5 V")

    @property
    def duration_s(self) -> float:
        """From the first edge's start to the last one's end."""
        return self.width_s + 2 * self.edge_s


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesElement:
    """What stands between a device and the source line.

    A resistor `resistance_ohm`, or a transistor's current `table_a` (A) with axes
    word-line level, inner node and source line; the levels are `word_line_v`, the other two axes
    are uniform from `first_v` with steps of `step_v`. `inner_f` is what the inner node has to
    ground, without the device's own electrodes.
    """

    resistance_ohm: float = 1.0
    inner_f: float = 1e-15
    word_line_v: tuple[float, ...] = ()
    first_v: float = 0.0
    step_v: float = 1.0
    table_a: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not (self.resistance_ohm > 0 and self.inner_f > 0):
            raise InputError("resistance_ohm and inner_f of a series element: must be above 0")

    def level(self, word_line_v: float) -> int:
        """The index of a word-line voltage; raises `InputError` if the table lacks it."""
        for index, held in enumerate(self.word_line_v):
            if math.isclose(held, word_line_v, abs_tol=1e-9):
                return index
        raise InputError(f"word_line_v = {word_line_v:g}: the table holds {self.word_line_v}")


@dataclass(frozen=True, kw_only=True, eq=False)
class CellWaveforms:
    """Samples in time; `time_s` has shape (times,), the others (devices, times)."""

    time_s: NDArray[np.float64]
    bl_v: NDArray[np.float64]
    sl_v: NDArray[np.float64]
    inner_v: NDArray[np.float64]
    current_a: NDArray[np.float64]
    filament_m: NDArray[np.float64]
    temperature_k: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PulseOutcome:
    """Each device's filament (m) after a pulse, the energy that the lines gave (J), the largest
    current (A), and the waveforms if they were asked for."""

    filament_m: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    peak_a: NDArray[np.float64]
    waveforms: CellWaveforms | None


def apply_pulse(
    filament_m: ArrayLike,
    pulse: Pulse,
    *,
    model: FilamentModel = SKY130_RERAM,
    series: SeriesElement | None = None,
    level: ArrayLike = 0,
    temperature_c: float = 26.85,
    enhancement_scale: ArrayLike = 1.0,
    samples: int = 0,
) -> PulseOutcome:
    """Apply one pulse to devices with the given filaments, shape (devices,).

    `level` picks each device's word-line level of a tabulated series element;
    `enhancement_scale` multiplies each device's field enhancement (a spread of the devices: an
    assumption of whoever sets it). `samples` > 0 asks for waveforms. Raises `InputError` for
    filaments outside the oxide.

    >>> done = apply_pulse([3.3e-9], Pulse(bl_v=2.4), series=SeriesElement(resistance_ohm=5e3))
    >>> bool(SKY130_RERAM.resistance_ohm(done.filament_m)[0] < 30e3)
    True
    """
    filament = np.atleast_1d(np.asarray(filament_m, dtype=np.float64))
    if not (np.isfinite(filament).all() and ((filament > 0) & (filament < model.oxide_m)).all()):
        raise InputError(f"filament_m: must lie between 0 and the oxide's {model.oxide_m:g} m")
    if not -55 <= temperature_c <= 150:
        raise InputError(f"temperature_c = {temperature_c:g}: must be between -55 and 150")
    count = len(filament)
    series = series or SeriesElement()
    tabulated = series.table_a is not None
    table = np.zeros((1, 2, 2)) if series.table_a is None else series.table_a
    bl, sl, scale = (
        np.broadcast_to(np.asarray(v, dtype=np.float64), (count,)).copy()
        for v in (pulse.bl_v, pulse.sl_v, enhancement_scale)
    )
    levels = np.broadcast_to(np.asarray(level, dtype=np.int64), (count,)).copy()
    if tabulated:
        last = series.first_v + series.step_v * (np.shape(table)[1] - 1)
        for name, value in (("bl_v", bl), ("sl_v", sl)):
            if value.min() < series.first_v or value.max() > last:
                raise InputError(f"{name}: the transistor's table ends at {last:g} V")
    ends = np.cumsum([pulse.edge_s, pulse.width_s, pulse.edge_s]) * 1e9
    times = np.linspace(0, ends[-1], samples) if samples else np.empty(0)
    gap = (model.oxide_m - filament) * 1e9
    out = np.zeros((count, len(times), 6))
    energy, peak, steps = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    _run(
        gap,
        bl,
        sl,
        levels,
        scale,
        ends,
        _constants(model, series.inner_f),
        temperature_c + 273.15,
        tabulated,
        np.ascontiguousarray(table),
        float(series.first_v),
        float(series.step_v),
        float(series.resistance_ohm),
        times,
        out,
        energy,
        peak,
        steps,
    )
    if not np.isfinite(gap).all() or (steps >= _MAX_STEPS).any():
        raise MachineError("the filament's equations did not converge; report this pulse")
    waves = None
    if samples:
        waves = CellWaveforms(
            time_s=times * 1e-9,
            bl_v=out[:, :, 0],
            sl_v=out[:, :, 1],
            inner_v=out[:, :, 2],
            current_a=out[:, :, 3],
            filament_m=model.oxide_m - out[:, :, 4] * 1e-9,
            temperature_k=out[:, :, 5],
        )
    return PulseOutcome(
        filament_m=model.oxide_m - gap * 1e-9, energy_j=energy, peak_a=peak, waveforms=waves
    )


def _constants(model: FilamentModel, inner_f: float) -> NDArray[np.float64]:
    """The model's numbers in nm, ns, K and eV, in the order in which the kernel unpacks them."""
    return np.array(
        [
            model.current_a,
            (model.oxide_m - model.reference_m) * 1e9,
            model.v_ref_v,
            model.velocity_m_per_s,
            model.generation_ev,
            model.recombination_ev,
            model.enhancement_0 * model.hop_m / model.oxide_m,
            model.enhancement_1 * model.hop_m / model.oxide_m,
            model.heat_capacity_j_per_k,
            model.thermal_s * 1e9,
            model.fastest_m_per_s,
            (model.oxide_m - model.longest_m) * 1e9,
            (model.oxide_m - model.shortest_m) * 1e9,
            model.edge_m * 1e9,
            model.electrode_f,
            inner_f,
        ]
    )


@compiled()
def _transistor(
    table: Any,
    first: Any,
    step: Any,
    v: Any,
    sl: Any,
) -> float:
    """The table's current, bilinear, going on straight beyond its edges."""
    n = table.shape[0]
    a, b = (v - first) / step, (sl - first) / step
    i, j = min(max(int(a), 0), n - 2), min(max(int(b), 0), n - 2)
    a, b = a - i, b - j
    low = table[i, j] * (1 - b) + table[i, j + 1] * b
    high = table[i + 1, j] * (1 - b) + table[i + 1, j + 1] * b
    return low + (high - low) * a


@compiled()
def _line(
    full: Any,
    t: Any,
    ends: Any,
) -> float:
    """A line's voltage at a time."""
    if t <= ends[0]:
        return full * t / ends[0]
    if t <= ends[1]:
        return full
    return full * max(ends[2] - t, 0.0) / (ends[2] - ends[1])


@compiled()
def _rates(
    y: Any,
    bl: Any,
    sl: Any,
    bl_slope: Any,
    c: Any,
    scale: Any,
    ambient: Any,
    tabulated: Any,
    table: Any,
    first: Any,
    step: Any,
    ohm: Any,
    f: Any,
) -> float:
    """d/dt of gap (nm), temperature (K) and inner node (V) into `f`, per ns; returns the bit
    line's current (A)."""
    gap, kelvin, inner = y[0], max(y[1], 1.0), y[2]
    volt = bl - inner
    current = c[0] * math.exp(-gap / c[1]) * math.sinh(min(max(volt / c[2], -20.0), 20.0))
    kt = 8.617333262e-5 * kelvin
    push = scale * (c[6] + c[7] * gap * gap * gap) * volt
    speed = c[3] * (
        math.exp(min((push - c[4]) / kt, 60.0)) - math.exp(min((-push - c[5]) / kt, 60.0))
    )
    speed = c[10] * speed / (c[10] + abs(speed))
    if speed > 0:
        speed *= math.tanh((gap - c[11]) / c[13])
    else:
        speed *= max(math.tanh((c[12] - gap) / c[13]), 0.0)
    through = _transistor(table, first, step, inner, sl) if tabulated else (inner - sl) / ohm
    f[0] = -speed
    f[1] = abs(volt * current) / c[8] * 1e-9 - (kelvin - ambient) / c[9]
    # c[14] is the electrodes' capacitance, c[15] the rest of the inner node's.
    f[2] = ((current - through) * 1e-9 + c[14] * bl_slope) / (c[14] + c[15])
    return current + c[14] * (bl_slope - f[2]) * 1e9


@compiled()
def _solve(
    w: Any,
    b: Any,
    x: Any,
) -> None:
    """x = w^-1 b for a 3 x 3 matrix, by Cramer's rule (the scales are harmless)."""
    c00 = w[1, 1] * w[2, 2] - w[1, 2] * w[2, 1]
    c01 = w[1, 2] * w[2, 0] - w[1, 0] * w[2, 2]
    c02 = w[1, 0] * w[2, 1] - w[1, 1] * w[2, 0]
    c10 = w[0, 2] * w[2, 1] - w[0, 1] * w[2, 2]
    c11 = w[0, 0] * w[2, 2] - w[0, 2] * w[2, 0]
    c12 = w[0, 1] * w[2, 0] - w[0, 0] * w[2, 1]
    c20 = w[0, 1] * w[1, 2] - w[0, 2] * w[1, 1]
    c21 = w[0, 2] * w[1, 0] - w[0, 0] * w[1, 2]
    c22 = w[0, 0] * w[1, 1] - w[0, 1] * w[1, 0]
    det = w[0, 0] * c00 + w[0, 1] * c01 + w[0, 2] * c02
    x[0] = (c00 * b[0] + c10 * b[1] + c20 * b[2]) / det
    x[1] = (c01 * b[0] + c11 * b[1] + c21 * b[2]) / det
    x[2] = (c02 * b[0] + c12 * b[1] + c22 * b[2]) / det


@compiled()
def _run(
    gaps: Any,
    bls: Any,
    sls: Any,
    levels: Any,
    scales: Any,
    ends: Any,
    c: Any,
    ambient: Any,
    tabulated: Any,
    tables: Any,
    first: Any,
    step: Any,
    ohm: Any,
    times: Any,
    out: Any,
    energies: Any,
    peaks: Any,
    taken: Any,
) -> None:
    """Integrate every device through the three parts of the pulse, in place."""
    d, e32 = 1 / (2 + math.sqrt(2.0)), 6 + math.sqrt(2.0)
    y, new, trial, rhs = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    f0, f1, f2, ft, fj = np.empty(3), np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    k1, k2, k3 = np.empty(3), np.empty(3), np.empty(3)
    jacobian, w, tolerance = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    difference = np.array([1e-6, 1e-3, 1e-6])
    for k in range(len(gaps)):
        table, scale, bl_full, sl_full = tables[levels[k]], scales[k], bls[k], sls[k]
        y[0], y[1], y[2] = gaps[k], ambient, 0.0
        t, h, sampled, steps, energy, peak, power = 0.0, 1e-3, 0, 0, 0.0, 0.0, 0.0
        for part in range(3):
            end = ends[part]
            slope = 0.0
            if part == 0:
                slope = bl_full / ends[0]
            elif part == 2:
                slope = -bl_full / (ends[2] - ends[1])
            bl, sl = _line(bl_full, t, ends), _line(sl_full, t, ends)
            now = _rates(
                y, bl, sl, slope, c, scale, ambient, tabulated, table, first, step, ohm, f0
            )
            h = min(h, 1e-3)
            while t < end * (1 - 1e-12) and steps < _MAX_STEPS:
                steps += 1
                h = min(h, end - t, 0.05 * ends[2])
                bl, sl = _line(bl_full, t, ends), _line(sl_full, t, ends)
                for j in range(3):
                    for i in range(3):
                        trial[i] = y[i]
                    trial[j] += difference[j]
                    _rates(
                        trial,
                        bl,
                        sl,
                        slope,
                        c,
                        scale,
                        ambient,
                        tabulated,
                        table,
                        first,
                        step,
                        ohm,
                        fj,
                    )
                    for i in range(3):
                        jacobian[i, j] = (fj[i] - f0[i]) / difference[j]
                late = 1e-3 * h
                _rates(
                    y,
                    _line(bl_full, t + late, ends),
                    _line(sl_full, t + late, ends),
                    slope,
                    c,
                    scale,
                    ambient,
                    tabulated,
                    table,
                    first,
                    step,
                    ohm,
                    ft,
                )
                for i in range(3):
                    ft[i] = (ft[i] - f0[i]) / late
                tolerance[0] = _ABS_GAP_NM
                tolerance[1] = _ABS_KELVIN + 1e-4 * y[1]
                tolerance[2] = _ABS_VOLT
                off, bl_new, sl_new, current = 0.0, bl, sl, now
                while True:
                    for i in range(3):
                        for j in range(3):
                            w[i, j] = -h * d * jacobian[i, j]
                        w[i, i] += 1.0
                        rhs[i] = f0[i] + h * d * ft[i]
                    _solve(w, rhs, k1)
                    for i in range(3):
                        trial[i] = y[i] + 0.5 * h * k1[i]
                    _rates(
                        trial,
                        _line(bl_full, t + 0.5 * h, ends),
                        _line(sl_full, t + 0.5 * h, ends),
                        slope,
                        c,
                        scale,
                        ambient,
                        tabulated,
                        table,
                        first,
                        step,
                        ohm,
                        f1,
                    )
                    for i in range(3):
                        rhs[i] = f1[i] - k1[i]
                    _solve(w, rhs, k2)
                    for i in range(3):
                        k2[i] += k1[i]
                        new[i] = y[i] + h * k2[i]
                    bl_new, sl_new = _line(bl_full, t + h, ends), _line(sl_full, t + h, ends)
                    current = _rates(
                        new,
                        bl_new,
                        sl_new,
                        slope,
                        c,
                        scale,
                        ambient,
                        tabulated,
                        table,
                        first,
                        step,
                        ohm,
                        f2,
                    )
                    for i in range(3):
                        rhs[i] = f2[i] - e32 * (k2[i] - f1[i]) - 2 * (k1[i] - f0[i]) + h * d * ft[i]
                    _solve(w, rhs, k3)
                    off = 0.0
                    for i in range(3):
                        error = abs(h / 6 * (k1[i] - 2 * k2[i] + k3[i])) / tolerance[i]
                        # Not max(): a step that made no number must fail.
                        if not error <= off:
                            off = error
                    if off <= 1.0:
                        break
                    steps += 1
                    h *= max(0.1, 0.8 * off ** (-1 / 3)) if off < 1e12 else 0.1
                    if h < 1e-13 or steps >= _MAX_STEPS:
                        steps = _MAX_STEPS
                        break
                if steps >= _MAX_STEPS:
                    break
                new_power = current * (bl_new - sl_new)
                energy += 0.5 * (power + new_power) * h * 1e-9
                power = new_power
                peak = max(peak, abs(current))
                while sampled < len(times) and times[sampled] <= t + h + 1e-9:
                    share = min((times[sampled] - t) / h, 1.0)
                    out[k, sampled, 0] = _line(bl_full, times[sampled], ends)
                    out[k, sampled, 1] = _line(sl_full, times[sampled], ends)
                    out[k, sampled, 2] = y[2] + share * (new[2] - y[2])
                    out[k, sampled, 3] = now + share * (current - now)
                    out[k, sampled, 4] = y[0] + share * (new[0] - y[0])
                    out[k, sampled, 5] = y[1] + share * (new[1] - y[1])
                    sampled += 1
                t += h
                now = current
                for i in range(3):
                    y[i], f0[i] = new[i], f2[i]
                h *= min(5.0, 0.8 * max(off, 1e-6) ** (-1 / 3))
            t = end
        gaps[k], energies[k], peaks[k], taken[k] = y[0], energy, peak, steps
