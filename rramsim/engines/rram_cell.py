"""Pulses on a 1T1R cell in ngspice: the reference of `rramsim.devices.filament_dynamics`."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid

from rramsim.devices.filament import SKY130_RERAM, FilamentModel
from rramsim.devices.filament_dynamics import CellWaveforms, Pulse, PulseOutcome, SeriesElement
from rramsim.engines.access_transistor import AccessTransistor
from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.exceptions import InputError, MachineError
from rramsim.processes.process import netlists_folder

__all__ = ["apply_pulse_in_ngspice"]


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
