"""Engines that solve a sense circuit for a batch of samples."""

from rramsim.engines.ngspice import NgspiceEngine
from rramsim.engines.ngspice_library import ngspice_version
from rramsim.engines.protocol import SenseEngine, SenseOutcome, SenseSamples, Waveforms

__all__ = [
    "NgspiceEngine",
    "SenseEngine",
    "SenseOutcome",
    "SenseSamples",
    "Waveforms",
    "ngspice_version",
]
