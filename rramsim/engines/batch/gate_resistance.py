"""Transistors with a gate resistance: tables know none, so it must be too small to matter."""

from dataclasses import replace

from rramsim.exceptions import InputError
from rramsim.spice import Element

__all__ = ["quasi_static"]

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
