"""Transistor processes: model cards, corners and mismatch coefficients."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.processes.cards import read_cards, read_library
    from rramsim.processes.process import (
        CORNERS,
        MismatchCoefficient,
        Process,
        load_process,
        load_process_folder,
        process_from_cards,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "CORNERS",
    "MismatchCoefficient",
    "Process",
    "load_process",
    "load_process_folder",
    "process_from_cards",
    "read_cards",
    "read_library",
]
