"""The access transistor of a 1T1R cell as a table, for the solver of pulses.

ngspice sweeps the process's own card over inner node and source line, for each word-line voltage
that is asked for; the solver interpolates linearly in between.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.devices.filament_dynamics import SeriesElement
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession, ngspice_session
from rramsim.exceptions import InputError
from rramsim.processes import Process

__all__ = ["AccessTransistor", "access_transistor_table"]

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
