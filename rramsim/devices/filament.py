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
equations are extrapolated. `rramsim.devices.filament_dynamics` integrates them;
netlists/rram_dynamic.spice holds the same equations for ngspice.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rramsim.exceptions import InputError

__all__ = ["SKY130_RERAM", "FilamentModel"]


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
