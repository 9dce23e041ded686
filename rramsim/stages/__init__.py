"""The stages of a run, in their order, and what is done with all of them.

`STAGES` is the one list: commands, help, report, verification, provenance and the documents' tables
are made from it.
"""

from rramsim.exceptions import InputError
from rramsim.stages.boundary import ZERO
from rramsim.stages.chips import VIRTUAL_CHIPS
from rramsim.stages.errors import ERROR_STATISTICS
from rramsim.stages.folder import RunFolder, choose_data
from rramsim.stages.rates import MAP
from rramsim.stages.report import REPORT, WrittenReport, write_report
from rramsim.stages.running import chosen_stages, run_stages
from rramsim.stages.shares import SOURCES
from rramsim.stages.stage import Stage, Work
from rramsim.stages.sweep import SWEEP
from rramsim.stages.tolerance import TOLERATED_RATES
from rramsim.stages.tradeoff import TRADE_OFF
from rramsim.stages.train import TRAIN
from rramsim.stages.verify import Check, verify_folder

__all__ = [
    "STAGES",
    "Check",
    "RunFolder",
    "Stage",
    "Work",
    "WrittenReport",
    "choose_data",
    "chosen_stages",
    "run_stages",
    "stage_named",
    "verify_folder",
    "write_report",
]

STAGES: list[Stage] = [
    SWEEP,
    ERROR_STATISTICS,
    SOURCES,
    ZERO,
    MAP,
    TRAIN,
    TRADE_OFF,
    VIRTUAL_CHIPS,
    TOLERATED_RATES,
    REPORT,
]


def stage_named(name: str) -> Stage:
    """The stage of that name; raises `InputError` if there is none."""
    for stage in STAGES:
        if stage.name == name:
            return stage
    known = ", ".join(stage.name for stage in STAGES)
    raise InputError(f"--stage {name}: no such stage; must be one of {known}")
