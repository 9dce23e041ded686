"""RRAM resistance statistics and transistor processes."""

from rramsim.devices.cards import ModelCard, read_cards, spice_number
from rramsim.devices.fitting import FAMILIES, DeviceFit, StateFit, fit_devices
from rramsim.devices.goodness import Goodness
from rramsim.devices.history import (
    DeviceStatistics,
    History,
    Persistence,
    open_hfo2_statistics,
)
from rramsim.devices.intervals import Estimate
from rramsim.devices.marginals import Empirical, LogNormal, Marginal, Skewed
from rramsim.devices.measurements import (
    MEASUREMENT_COLUMNS,
    Measurements,
    StateMeasurements,
    read_measurements,
)
from rramsim.devices.model_files import fit_record, load_model_file, write_model_file
from rramsim.devices.process import (
    CORNERS,
    MismatchCoefficient,
    Process,
    load_process,
    load_process_folder,
    process_from_cards,
)
from rramsim.devices.programming import PROGRAMMING_DATA, programmed_resistances
from rramsim.devices.read_characteristic import LinearRead, ReadCharacteristic, SinhRead
from rramsim.devices.resistances import WRITTEN, ResistanceModel
from rramsim.devices.retention import Retention, filament_drift_m

__all__ = [
    "CORNERS",
    "FAMILIES",
    "MEASUREMENT_COLUMNS",
    "PROGRAMMING_DATA",
    "WRITTEN",
    "DeviceFit",
    "DeviceStatistics",
    "Empirical",
    "Estimate",
    "Goodness",
    "History",
    "LinearRead",
    "LogNormal",
    "Marginal",
    "Measurements",
    "MismatchCoefficient",
    "ModelCard",
    "Persistence",
    "Process",
    "ReadCharacteristic",
    "ResistanceModel",
    "Retention",
    "SinhRead",
    "Skewed",
    "StateFit",
    "StateMeasurements",
    "filament_drift_m",
    "fit_devices",
    "fit_record",
    "load_model_file",
    "load_process",
    "load_process_folder",
    "open_hfo2_statistics",
    "process_from_cards",
    "programmed_resistances",
    "read_cards",
    "read_measurements",
    "spice_number",
    "write_model_file",
]
