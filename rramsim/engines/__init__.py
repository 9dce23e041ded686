"""Engines that solve a sense circuit for a batch of samples."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.engines.batch.engine import BatchEngine, reads_of
    from rramsim.engines.batch.problem import table_limit_v, table_supplies
    from rramsim.engines.cells import (
        AccessTransistor,
        Cells,
        access_transistor_table,
        apply_pulse_in_ngspice,
    )
    from rramsim.engines.certification import (
        Agreement,
        Limits,
        agreement,
        certify,
        certify_engine,
        random_cases,
    )
    from rramsim.engines.ngspice import NgspiceEngine
    from rramsim.engines.ngspice_library import ngspice_version
    from rramsim.engines.protocol import SenseEngine, SenseOutcome, SenseSamples, Waveforms
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "AccessTransistor",
    "Agreement",
    "BatchEngine",
    "Cells",
    "Limits",
    "NgspiceEngine",
    "SenseEngine",
    "SenseOutcome",
    "SenseSamples",
    "Waveforms",
    "access_transistor_table",
    "agreement",
    "apply_pulse_in_ngspice",
    "certify",
    "certify_engine",
    "ngspice_version",
    "random_cases",
    "reads_of",
    "table_limit_v",
    "table_supplies",
]
