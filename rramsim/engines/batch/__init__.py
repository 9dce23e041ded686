"""rramsim's own sense simulator: compiled node equations over tables of the transistors."""

from rramsim.engines.batch.engine import BatchEngine

__all__ = ["BatchEngine"]
