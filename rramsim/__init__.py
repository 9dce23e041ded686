"""rramsim: from a transistor netlist to a trained network, with an error bar on every number."""

from importlib.metadata import version

__version__ = version("rramsim")
