"""Which deviates of a batch of samples move which transistor's card."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.circuits import SenseCircuit
from rramsim.engines.protocol import SenseSamples
from rramsim.exceptions import InputError
from rramsim.processes import Direction

__all__ = ["Variation", "directions_of", "variation_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Variation:
    """Deviates (samples, columns), and for each transistor its directions with their columns."""

    deviates: NDArray[np.float64]
    transistors: tuple[tuple[str, tuple[Direction, ...], list[int]], ...]

    @property
    def by_transistor(self) -> NDArray[np.float64]:
        """The deviates with those of each transistor side by side, shared ones repeated."""
        order = [column for _, _, columns in self.transistors for column in columns]
        return self.deviates[:, order]


def directions_of(
    circuit: SenseCircuit, corner: str, *, mismatch: bool, global_variation: bool
) -> tuple[tuple[str, tuple[Direction, ...], list[int]], ...]:
    """(transistor, directions, columns): mismatch sites are the first columns, then the factors."""
    sites = circuit.mismatch_sites(corner) if mismatch else ()
    moves = circuit.global_moves(corner) if global_variation else {}
    factors = circuit.global_factors if global_variation else ()
    found = []
    for transistor in circuit.transistors:
        own = [k for k, site in enumerate(sites) if site.transistor == transistor.name]
        shared = {
            len(sites) + k: moves[transistor.name][factor]
            for k, factor in enumerate(factors)
            if factor in moves[transistor.name]
        }
        directions = (*(sites[k].moves for k in own), *shared.values())
        if directions:
            found.append((transistor.name, directions, [*own, *shared]))
    return tuple(found)


def variation_of(circuit: SenseCircuit, corner: str, samples: SenseSamples) -> Variation:
    """Raises `InputError` if the samples have another count of deviates than the circuit."""
    count = len(circuit.mismatch_sites(corner))
    if samples.mismatch.shape[1] not in (0, count):
        raise InputError(
            f"mismatch has {samples.mismatch.shape[1]} columns; the circuit has {count} varying "
            "parameters"
        )
    drawn = [samples.mismatch]
    if samples.global_z is not None:
        if samples.global_z.shape[1] != len(circuit.global_factors):
            raise InputError(
                f"global_z has {samples.global_z.shape[1]} columns; the process has "
                f"{len(circuit.global_factors)} global factors that move this circuit"
            )
        drawn.append(samples.global_z)
    return Variation(
        deviates=np.column_stack(drawn).astype(float),
        transistors=directions_of(
            circuit,
            corner,
            mismatch=samples.mismatch.shape[1] > 0,
            global_variation=samples.global_z is not None,
        ),
    )
