"""Benchmarks: each measures rramsim and its opponent in one run and prints the ratio."""
