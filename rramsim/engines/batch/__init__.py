"""rramsim's own sense simulator: compiled node equations over tables of the transistors."""

from rramsim.engines.batch.engine import BatchEngine, reads_of
from rramsim.engines.batch.problem import table_limit_v, table_supplies

__all__ = [
    "BatchEngine",
    "reads_of",
    "table_limit_v",
    "table_supplies",
]
