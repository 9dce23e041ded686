"""One durable engine under all stages: independent jobs, kept rows, workers that may be killed."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.durable.job import (
        Failed,
        Job,
        Limits,
        Say,
        Shared,
        Stopped,
    )
    from rramsim.durable.rows import RowFile
    from rramsim.durable.runner import Runner, available_workers
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Failed",
    "Job",
    "Limits",
    "RowFile",
    "Runner",
    "Say",
    "Shared",
    "Stopped",
    "available_workers",
]
