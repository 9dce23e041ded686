"""Transistor processes: model cards, corners and mismatch coefficients."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.processes.pdk import PDKS, SETS
    from rramsim.processes.process import (
        MismatchCoefficient,
        Process,
        load_process,
        load_process_folder,
        process_from_cards,
        process_from_pdk,
        read_cards,
        read_library,
    )
    from rramsim.processes.variation import Direction, Move, moved
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "PDKS",
    "SETS",
    "Direction",
    "MismatchCoefficient",
    "Move",
    "Process",
    "load_process",
    "load_process_folder",
    "moved",
    "process_from_cards",
    "process_from_pdk",
    "read_cards",
    "read_library",
]
