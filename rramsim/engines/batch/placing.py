"""A transistor as text that ngspice reads, its gate resistance apart, and sweeps of it; what all
extractions share.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rramsim.engines.batch.tables import TransistorKind
from rramsim.engines.ngspice_library import CircuitError, NgspiceSession
from rramsim.exceptions import InputError
from rramsim.spice import Element

__all__ = ["card_text", "instance_text", "options_text", "quasi_static", "sweep"]

Floats = NDArray[np.float64]

_OPTIONS = ".options reltol=1e-6 vntol=1e-9 trtol=1e6 method=trap"
_ABSTOL_A, _SERIES_ABSTOL_A = 1e-16, 1e-13
"""The smallest currents that count; behind a series resistance of some ohm the rounding of a
volt is a current of 1e-15 A already, and nothing would converge."""


def card_text(kind: TransistorKind, name: str) -> str:
    """The card as lines of bounded length."""
    fields = kind.card.replace("(", " ").replace(")", " ").replace("=", " = ").split()
    lines = [f".model {name} {kind.kind}"]
    lines += ["+ " + " ".join(fields[i : i + 24]) for i in range(0, len(fields), 24)]
    return "\n".join(lines)


def instance_text(kind: TransistorKind, name: str, nodes: str, model: str) -> str:
    """A line that places the transistor."""
    sizes = " ".join(f"{key}={value!r}" for key, value in kind.parameters)
    return f"m{name} {nodes} {model} {sizes}"


def options_text(kind: TransistorKind) -> str:
    """The .options line of every extraction."""
    sizes = dict(kind.parameters)
    series = any(sizes.get(name, 0.0) > 0 for name in ("nrd", "nrs"))
    abstol_a = _SERIES_ABSTOL_A if series else _ABSTOL_A
    return f"{_OPTIONS} abstol={abstol_a!r} gmin={kind.gmin_s!r} temp={kind.temperature_c!r}"


def sweep(
    session: NgspiceSession, lines: list[str], names: list[str], shape: tuple[int, ...]
) -> list[Floats]:
    """Currents into the first nodes of the sources `names` over the loaded `.dc`, one array each.

    Raises `CircuitError` if the sweep did not reach its end.
    """
    saved = f".save {' '.join(f'i({name})' for name in names)}"
    session.load("\n".join([*lines, saved, ".end"]))
    faults = session.run()
    found = [session.vector(f"{name}#branch") for name in names]
    session.discard_results()
    if faults:
        raise CircuitError(faults[0])
    if any(f.size != int(np.prod(shape)) or not np.isfinite(f).all() for f in found):
        raise CircuitError("a sweep of the transistor ended early")
    return [f.reshape(shape) for f in found]


_LONGEST_S = 1e-12
"""Resistance times capacitance of a gate that a read cannot tell from none."""
_OXIDE_F_PER_M = 3.9 * 8.8541878e-12


def quasi_static(mosfet: Element) -> Element:
    """The transistor without its gate's resistance (BSIM4's `rgatemod`).

    Raises `InputError` where the electrode's resistance would delay the gate by more than 1 ps, and
    for the models that add the channel's (rgatemod 2 and 3): ngspice solves those.
    """
    card, sizes = mosfet.card, dict(mosfet.parameters)
    assert card is not None
    mode = sizes.pop("rgatemod", card.parameter("rgatemod") or 0.0)
    if mode == 0:
        return mosfet

    def value(name: str, otherwise: float) -> float:
        found = card.parameter(name)
        return otherwise if found is None else found

    fingers, contacts = sizes.get("nf", 1.0), value("ngcon", 1.0)
    path_m = value("xgw", 0.0) + sizes["w"] / fingers / 3 / contacts
    across_m = contacts * (sizes["l"] - value("xgl", 0.0)) * fingers
    resistance_ohm = value("rshg", 0.1) * path_m / across_m
    gate_f = _OXIDE_F_PER_M / value("toxe", 3e-9) * sizes["w"] * sizes["l"]
    if mode != 1 or resistance_ohm * gate_f > _LONGEST_S:
        raise InputError(
            f"card {card.bin_name}: rgatemod = {mode:g}: the gate's resistance delays the gate; "
            "the batch engine's tables do not hold that; use ngspice"
        )
    without = card.with_values({"rgatemod": "0"})
    return replace(mosfet, card=without, parameters=tuple(sizes.items()))
