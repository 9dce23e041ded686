"""rramsim's own sense simulator: compiled node equations over tables of the transistors."""
