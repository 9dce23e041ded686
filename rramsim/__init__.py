"""rramsim: from a transistor netlist to a trained network, with an error bar on every number."""

__version__ = "0.1.0"
