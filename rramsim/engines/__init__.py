"""Engines that solve a sense circuit for a batch of samples."""

from rramsim.engines.access_transistor import AccessTransistor, access_transistor_table
from rramsim.engines.ngspice import NgspiceEngine
from rramsim.engines.ngspice_library import ngspice_version
from rramsim.engines.protocol import SenseEngine, SenseOutcome, SenseSamples, Waveforms
from rramsim.engines.rram_cell import apply_pulse_in_ngspice

__all__ = [
    "AccessTransistor",
    "NgspiceEngine",
    "SenseEngine",
    "SenseOutcome",
    "SenseSamples",
    "Waveforms",
    "access_transistor_table",
    "apply_pulse_in_ngspice",
    "ngspice_version",
]
