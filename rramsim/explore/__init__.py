"""The explorer: a local page that senses wherever its sliders stand."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.explore.controls import Controls, Setting, make_controls
    from rramsim.explore.explorer import (
        MOST_SENSES,
        STEP_SENSES,
        AccuracyHere,
        AccuracyTable,
        Answer,
        Explorer,
        NominalSense,
        Subject,
        load_subject,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "MOST_SENSES",
    "STEP_SENSES",
    "AccuracyHere",
    "AccuracyTable",
    "Answer",
    "Controls",
    "Explorer",
    "NominalSense",
    "Setting",
    "Subject",
    "load_subject",
    "make_controls",
]
