"""rramsim's own sense simulator: compiled node equations over tables of the transistors."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.engines.batch.engine import BatchEngine, reads_of
    from rramsim.engines.batch.problem import table_limit_v, table_supplies
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "BatchEngine",
    "reads_of",
    "table_limit_v",
    "table_supplies",
]
