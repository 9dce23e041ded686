"""Transistor processes: model cards, corners and mismatch coefficients."""

from rramsim.processes.cards import ModelCard, read_cards
from rramsim.processes.process import (
    CORNERS,
    MismatchCoefficient,
    Process,
    load_process,
    load_process_folder,
    process_from_cards,
)

__all__ = [
    "CORNERS",
    "MismatchCoefficient",
    "ModelCard",
    "Process",
    "load_process",
    "load_process_folder",
    "process_from_cards",
    "read_cards",
]
