"""1T1R cells that are pulsed: in rramsim's own solver, and in ngspice, its reference.

Program and verify is the procedure of SkyWater's ReRAM documentation: pulses with rising voltage
until a device reads inside a band. One above the band gets SET pulses whose bit-line voltage rises
by a step each time, one below it RESET pulses with rising source line; a change of direction starts
that ladder anew. The word line is fixed for each kind of pulse.

ngspice sweeps the process's own card over inner node and source line, for each word-line voltage
that is asked for; the solver interpolates linearly in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid

from rramsim.devices.filament import (
    SKY130_RERAM,
    CellWaveforms,
    FilamentModel,
    Pulse,
    PulseOutcome,
    SeriesElement,
    apply_pulse,
)
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession, ngspice_session
from rramsim.exceptions import InputError, MachineError
from rramsim.processes import Process
from rramsim.processes.process import netlists_folder


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


_TOP_V = 3.5
_POINTS = 141
"""Steps of 25 mV: the straight line between two points is off by less than 0.1 % of the current."""


@dataclass(frozen=True, kw_only=True)
class AccessTransistor:
    """An n-channel transistor of a process, by its geometry (m), corner and temperature."""

    process: Process
    width_m: float = 2e-6
    length_m: float = 0.5e-6
    corner: str = "tt"
    temperature_c: float = 26.85

    def card(self) -> str:
        """Its model card as SPICE text, named `nch`."""
        return self.process.card(
            corner=self.corner,
            device=self.process.nmos,
            width_m=self.width_m,
            length_m=self.length_m,
        ).renamed("nch")

    def instance(self, name: str, drain: str, gate: str, source: str) -> str:
        """Its line in a deck, with contacted diffusions 0.29 um long; the bulk is ground."""
        area, rim = self.width_m * 0.29e-6, 2 * (self.width_m + 0.29e-6)
        return (
            f"{name} {drain} {gate} {source} 0 nch w={self.width_m!r} l={self.length_m!r} "
            f"ad={area!r} as={area!r} pd={rim!r} ps={rim!r}"
        )


def access_transistor_table(
    transistor: AccessTransistor, word_line_v: tuple[float, ...]
) -> SeriesElement:
    """Tabulate a transistor between inner node and source line, 0 to 3.5 V each.

    Raises `InputError` for a word line outside 0 to 5.5 V or a geometry without a card.
    """
    for value in word_line_v:
        if not 0 <= value <= 5.5:
            raise InputError(f"word_line_v = {value:g}: must be between 0 and 5.5 V")
    step = _TOP_V / (_POINTS - 1)
    deck = "\n".join(
        [
            "rramsim: access transistor",
            transistor.card(),
            "vin inner 0 0",
            "vsl sl 0 0",
            "vwl wl 0 0",
            transistor.instance("m1", "inner", "wl", "sl"),
            f".options temp={transistor.temperature_c!r}",
            ".save i(vin)",
            f".dc vin 0 {_TOP_V!r} {step!r} vsl 0 {_TOP_V!r} {step!r}",
            ".end",
        ]
    )
    session = ngspice_session()
    try:
        session.load(deck)
        tables = [_sweep(session, value) for value in word_line_v]
        inner_f = _inner_capacitance(session, transistor, max(word_line_v))
    except CircuitError as error:
        raise InputError(f"access transistor: {error}") from error
    return SeriesElement(
        inner_f=inner_f,
        word_line_v=tuple(word_line_v),
        first_v=0.0,
        step_v=step,
        table_a=np.array(tables),
    )


def _inner_capacitance(
    session: NgspiceSession, transistor: AccessTransistor, word_line_v: float
) -> float:
    """What the transistor loads the inner node with (F), at 1 V there and the source line at 0 V,
    where the node stands when a SET runs away."""
    frequency = 1e6
    session.load(
        "\n".join(
            [
                "rramsim: capacitance of the inner node",
                transistor.card(),
                "vin inner 0 dc 1 ac 1",
                f"vwl wl 0 {word_line_v!r}",
                transistor.instance("m1", "inner", "wl", "0"),
                f".options temp={transistor.temperature_c!r}",
                f".ac lin 1 {frequency!r} {frequency!r}",
                ".end",
            ]
        )
    )
    session.run()
    session.command("let ram_c = abs(imag(vin#branch))")
    found = session.vector("ram_c")
    session.discard_results()
    if found.size != 1:
        raise CircuitError("ngspice gave no capacitance")
    return float(found[0]) / (2 * np.pi * frequency)


def _sweep(session: NgspiceSession, word_line_v: float) -> NDArray[np.float64]:
    session.command(f"alter vwl = {word_line_v!r}")
    session.run()
    current = -session.vector("vin#branch")
    session.discard_results()
    if current.size != _POINTS**2:
        raise CircuitError(f"ngspice swept {current.size} of {_POINTS**2} points")
    # The first source of .dc is the inner loop: rows of the result are source-line voltages.
    return np.ascontiguousarray(current.reshape(_POINTS, _POINTS).T)


def apply_pulse_in_ngspice(
    filament_m: ArrayLike,
    pulse: Pulse,
    *,
    word_line_v: float,
    transistor: AccessTransistor | None = None,
    series: SeriesElement | None = None,
    model: FilamentModel = SKY130_RERAM,
    temperature_c: float = 26.85,
    samples: int = 0,
) -> PulseOutcome:
    """Apply one pulse to 1T1R cells, one ngspice transient for each, shape (devices,).

    Without a `transistor` the device stands on the resistor of `series`. The word line is on
    throughout. Raises `MachineError` where a transient does not reach its end.
    """
    filament = np.atleast_1d(np.asarray(filament_m, dtype=np.float64))
    bl, sl = (
        np.broadcast_to(np.asarray(v, float), filament.shape) for v in (pulse.bl_v, pulse.sl_v)
    )
    ends, energies, peaks, waves = [], [], [], []
    session = ngspice_session()
    times = np.linspace(0, pulse.duration_s, max(samples, 2))
    for start, bl_v, sl_v in zip(filament, bl, sl, strict=True):
        deck = _deck(
            float(start), float(bl_v), float(sl_v), pulse, word_line_v, transistor,
            series or SeriesElement(),             model, temperature_c,
        )  # fmt: skip
        try:
            session.load(deck)
        except CircuitError as error:
            raise InputError(f"1T1R cell: {error}") from error
        session.run()
        time = session.vector("time")
        if time.size < 2 or time[-1] < pulse.duration_s * (1 - 1e-6):
            raise MachineError(f"ngspice did not finish a pulse of {bl_v:g}/{sl_v:g} V")
        names = ("v(bl)", "v(sl)", "v(inner)", "vbl#branch", "v(gap)", "v(heat)")
        held = {name: session.vector(name.removeprefix("v(").removesuffix(")")) for name in names}
        session.discard_results()
        current = -held["vbl#branch"]
        ends.append(model.oxide_m - held["v(gap)"][-1] * 1e-9)
        power = current * (held["v(bl)"] - held["v(sl)"])
        energies.append(float(trapezoid(power, time)))
        peaks.append(float(np.abs(current).max()))
        waves.append([np.interp(times, time, held[n]) for n in (*names[:3], "", *names[4:]) if n])
        waves[-1].insert(3, np.interp(times, time, current))
    traces = np.array(waves)
    shown = None
    if samples:
        shown = CellWaveforms(
            time_s=times,
            bl_v=traces[:, 0],
            sl_v=traces[:, 1],
            inner_v=traces[:, 2],
            current_a=traces[:, 3],
            filament_m=model.oxide_m - traces[:, 4] * 1e-9,
            temperature_k=temperature_c + 273.15 + 100 * traces[:, 5],
        )
    return PulseOutcome(
        filament_m=np.array(ends),
        energy_j=np.array(energies),
        peak_a=np.array(peaks),
        waveforms=shown,
    )


def _deck(
    start_m: float,
    bl_v: float,
    sl_v: float,
    pulse: Pulse,
    word_line_v: float,
    transistor: AccessTransistor | None,
    series: SeriesElement,
    model: FilamentModel,
    temperature_c: float,
) -> str:
    edges = np.cumsum([0.0, pulse.edge_s, pulse.width_s, pulse.edge_s])

    def line(full_v: float) -> str:
        levels = (0.0, full_v, full_v, 0.0)
        return " ".join(f"{t:.12g} {v:.9g}" for t, v in zip(edges, levels, strict=True))

    push = model.hop_m / model.oxide_m
    values = {
        "i_k_a": model.current_a,
        "gap_ref": (model.oxide_m - model.reference_m) * 1e9,
        "v_ref": model.v_ref_v,
        "v_nm_ns": model.velocity_m_per_s,
        "eg_ev": model.generation_ev,
        "er_ev": model.recombination_ev,
        "push_0": model.enhancement_0 * push,
        "push_1": model.enhancement_1 * push,
        "c_th": model.heat_capacity_j_per_k,
        "tau_s": model.thermal_s,
        "fastest": model.fastest_m_per_s,
        "gap_least": (model.oxide_m - model.longest_m) * 1e9,
        "gap_most": (model.oxide_m - model.shortest_m) * 1e9,
        "edge": model.edge_m * 1e9,
        "c_ox_f": model.electrode_f,
        "t_ambient_k": temperature_c + 273.15,
    }
    settings = " ".join(f"{name}={value:.9g}" for name, value in values.items())
    below = (
        [transistor.card(), transistor.instance("m1", "inner", "wl", "sl")]
        if transistor
        else [f"rseries inner sl {series.resistance_ohm!r}", f"cinner inner 0 {series.inner_f!r}"]
    )
    return "\n".join(
        [
            "rramsim: pulse on a 1T1R cell",
            (netlists_folder() / "rram_dynamic.spice").read_text(encoding="utf-8"),
            *below,
            f"vbl bl 0 pwl({line(bl_v)})",
            f"vsl sl 0 pwl({line(sl_v)})",
            f"vwl wl 0 {word_line_v!r}",
            f"xdevice bl inner gap heat rram_dynamic {settings}",
            f".ic v(gap)={(model.oxide_m - start_m) * 1e9:.12g} v(heat)=0",
            f".options method=gear reltol=1e-5 trtol=1 itl4=200 temp={temperature_c!r}",
            ".save v(bl) v(sl) v(inner) v(gap) v(heat) i(vbl)",
            f".tran {pulse.edge_s / 5:.6g} {pulse.duration_s:.12g} 0 {pulse.duration_s / 50:.6g}",
            ".end",
        ]
    )


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
