"""The command line: one command a file."""

from rramsim.cli.app import main

__all__ = [
    "main",
]
