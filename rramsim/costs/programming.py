"""What writing a network once costs, and how often it can be written.

Energies are simulated with the filament model and the 5 V access transistor, one pulse of 1 us
without verify; the commands that made them stand beside them and a test repeats them. Verifying
takes several pulses: 'rramsim devices program --low ... --high ...' gives the energy of a ladder.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rramsim.networks import LayerCensus

__all__ = ["ENDURANCE_WRITES", "RESET_J", "SET_J", "programming_energy_j"]

SET_J = 4.11e-10
"""rramsim devices program --from 630k --bl 2.4: 630k to 16k, simulated."""

RESET_J = 6.41e-11
"""rramsim devices program --from 10k --sl 2.6: 10k to 3.4 Mohm, simulated."""

ENDURANCE_WRITES = 1e6
"""Writes that a device bears (assumed, the middle of what is reported for HfO2; strong pulses take
far less)."""


def programming_energy_j(census: "Sequence[LayerCensus]") -> float:
    """Joule for writing every device of a network once.

    A weight of +1 or -1 is a SET and a RESET, a 0 two RESETs.

    >>> from rramsim.networks import LayerCensus
    >>> layer = LayerCensus(name="fc", weights=3, uses=3, minus=1, zero=1, plus=1)
    >>> round(programming_energy_j([layer]) * 1e12, 1)
    1078.4
    """
    return sum(
        (layer.minus + layer.plus) * (SET_J + RESET_J) + layer.zero * 2 * RESET_J
        for layer in census
    )
