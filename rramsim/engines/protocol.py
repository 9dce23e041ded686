"""What every engine takes and returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.exceptions import InputError
from rramsim.spice import Measure

__all__ = ["Measured", "SenseEngine", "SenseOutcome", "SenseSamples", "Waveforms"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SenseSamples:
    """The synapses and transistors to sense.

    `r_bl_ohm`, `r_blb_ohm`: shape (samples,). `mismatch`: shape (samples, sites), in standard
    deviations, in the order of `SenseCircuit.mismatch_sites`; (samples, 0) for no mismatch.
    `noise_v`: shape (samples,), what noise adds to v(QB) - v(Q) as the outputs are released, in
    volt (`SenseCircuit.noise_sigma_v` is its SD); None for no noise. `global_z`: shape
    (samples, factors), deviates of `SenseCircuit.global_factors`, one die a sample; None for the
    typical die.
    """

    r_bl_ohm: Floats
    r_blb_ohm: Floats
    mismatch: Floats
    noise_v: Floats | None = None
    global_z: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("r_bl_ohm", "r_blb_ohm"):
            value = getattr(self, name)
            wrong = value[~(np.isfinite(value) & (value > 0))]
            if wrong.size:
                raise InputError(f"{name} = {wrong[0]:g}: a resistance is above 0 ohm and finite")
        if not (len(self.r_bl_ohm) == len(self.r_blb_ohm) == len(self.mismatch)):
            raise InputError(
                f"samples differ in number: {len(self.r_bl_ohm)} r_bl_ohm, "
                f"{len(self.r_blb_ohm)} r_blb_ohm, {len(self.mismatch)} rows of mismatch"
            )
        if self.noise_v is not None and (
            len(self.noise_v) != len(self) or not np.isfinite(self.noise_v).all()
        ):
            raise InputError("noise_v: must be one finite voltage for each sample")
        if self.global_z is not None and len(self.global_z) != len(self):
            raise InputError("global_z: must be one row of deviates for each sample")

    def __len__(self) -> int:
        return len(self.r_bl_ohm)

    def at(self, chosen: NDArray[np.int64]) -> "SenseSamples":
        """Some of the samples, by their numbers."""
        return replace(
            self,
            r_bl_ohm=self.r_bl_ohm[chosen],
            r_blb_ohm=self.r_blb_ohm[chosen],
            mismatch=self.mismatch[chosen],
            noise_v=None if self.noise_v is None else self.noise_v[chosen],
            global_z=None if self.global_z is None else self.global_z[chosen],
        )

    @staticmethod
    def nominal(r_bl_ohm: float, r_blb_ohm: float) -> "SenseSamples":
        """One sample without mismatch.

        >>> len(SenseSamples.nominal(10e3, 350e3))
        1
        """
        return SenseSamples(
            r_bl_ohm=np.array([r_bl_ohm], dtype=float),
            r_blb_ohm=np.array([r_blb_ohm], dtype=float),
            mismatch=np.zeros((1, 0)),
        )


@dataclass(frozen=True, kw_only=True)
class Waveforms:
    """One sense in time; `time_s` counts from the middle of the SEN edge, voltages in volt."""

    time_s: Floats
    voltages_v: dict[str, Floats]


@dataclass(frozen=True, kw_only=True)
class SenseOutcome:
    """What was read; every array has shape (samples,).

    `read` is -1, 0 or +1 and means nothing where `converged` is False. `resolve_time_s` is NaN
    where the amplifier had not resolved at the end of the window. `margin_v` is v(QB) - v(Q) at
    that moment. `energy_j` is the full cycle's energy (sense and recharge) from the supply and
    the drivers of SEN (`clock_energy_j`) and of the word line (`word_line_energy_j`). `measures`
    are the netlist's `.measure` lines, NaN where there is no value.
    """

    read: NDArray[np.int8]
    resolve_time_s: Floats
    margin_v: Floats
    energy_j: Floats
    clock_energy_j: Floats
    word_line_energy_j: Floats
    converged: NDArray[np.bool_]
    waveforms: tuple[Waveforms, ...] = ()
    measures: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.read)


class Measured:
    """The values of a circuit's measures as senses end; NaN where there is none.

    `values`: by name, shape (samples,).
    """

    def __init__(self, measures: Sequence[Measure], samples: int) -> None:
        self._measures = measures
        self.values = {one.name: np.full(samples, np.nan) for one in measures}

    def __bool__(self) -> bool:
        return bool(self._measures)

    def add(self, index: int, waveforms: Waveforms) -> None:
        """Find the values of one sense."""
        others: dict[str, float] = {}
        for one in self._measures:
            others[one.name] = one.value(waveforms.time_s, waveforms.voltages_v, others)
            self.values[one.name][index] = others[one.name]


class SenseEngine(Protocol):
    """Solves a sense circuit for a batch of samples under one set of conditions."""

    @property
    def name(self) -> str:
        """The engine's name and what its results depend on, for a task's id."""
        ...

    def sense(
        self,
        circuit: SenseCircuit,
        conditions: SenseConditions,
        samples: SenseSamples,
        *,
        waveforms: bool = False,
    ) -> SenseOutcome:
        """Sense every sample."""
        ...
