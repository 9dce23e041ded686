"""Statistics of RRAM resistances: families, fits, measurements, dynamics."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.devices.fitting import (
        FAMILIES,
        DeviceFit,
        Goodness,
        StateFit,
        fit_devices,
        fit_record,
        load_model_file,
        write_model_file,
    )
    from rramsim.devices.history import (
        PROGRAMMING_DATA,
        DeviceStatistics,
        History,
        Persistence,
        open_hfo2_statistics,
        programmed_resistances,
    )
    from rramsim.devices.latent_likelihood import (
        Estimate,
    )
    from rramsim.devices.marginals import (
        REFERENCE_C,
        Empirical,
        LogNormal,
        Marginal,
        Retention,
        Skewed,
        filament_drift_m,
    )
    from rramsim.devices.measurements import (
        MEASUREMENT_COLUMNS,
        Measurements,
        StateMeasurements,
        read_measurements,
    )
    from rramsim.devices.resistances import (
        DEFAULT_HRS,
        DEFAULT_LRS,
        LRS_WEIGHTS,
        WRITTEN,
        LinearRead,
        ReadCharacteristic,
        ResistanceModel,
        SinhRead,
        lrs_device,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "DEFAULT_HRS",
    "DEFAULT_LRS",
    "FAMILIES",
    "LRS_WEIGHTS",
    "MEASUREMENT_COLUMNS",
    "PROGRAMMING_DATA",
    "REFERENCE_C",
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
    "Persistence",
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
    "lrs_device",
    "open_hfo2_statistics",
    "programmed_resistances",
    "read_measurements",
    "write_model_file",
]
