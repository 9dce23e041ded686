"""rramsim: from a transistor netlist to a trained network, with an error bar on every number.

The verbs, each with keywords, units and an example (`help(rramsim.sweep)`):

>>> import rramsim as rs
>>> circuit = rs.circuit(process="sky130-5v")
>>> print(rs.sense(circuit, vdd_v=1.2, r_bl_ohm=10e3, r_blb_ohm=350e3))  # doctest: +ELLIPSIS
read +1 after 12.2 ns, 388.3 fJ (1.2 V, 27 °C, tt, 50 ns, ngspice ...)
"""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand
from rramsim.version import __version__

if TYPE_CHECKING:
    from rramsim.chips import ArrayContents, ArrayShape, Chip, ChipModel, fit_surface
    from rramsim.circuits import Column, SenseCircuit, SenseConditions
    from rramsim.costs import MeanAccuracy, SupplyTarget, lowest_supply
    from rramsim.counting import ErrorStatistics, Rate, zero_boundary
    from rramsim.devices import (
        DeviceStatistics,
        Empirical,
        LogNormal,
        Persistence,
        ResistanceModel,
        Skewed,
        fit_devices,
        fit_record,
        read_measurements,
        write_model_file,
    )
    from rramsim.engines import BatchEngine, NgspiceEngine, SenseOutcome, SenseSamples, Waveforms
    from rramsim.exceptions import InputError, MachineError
    from rramsim.experiment import load_experiment
    from rramsim.figures import (
        boundary_figure,
        energy_accuracy_figure,
        front_figure,
        gradient_bias_figure,
        noise_robustness_figure,
        probability_figure,
        training_figure,
        waveform_figure,
    )
    from rramsim.learning import (
        EnsembleAccuracy,
        ImageData,
        TrainingResult,
        TrainingSettings,
        ensemble_accuracy,
    )
    from rramsim.learning.equilibrium import (
        EquilibriumSpec,
        EstimatorSettings,
        estimate_gradient,
        fixed_point_gradient,
        one_hot,
        relax,
        train_equilibrium,
    )
    from rramsim.networks import NetworkSpec, WeightErrors
    from rramsim.nn import TransitionErrors, written_weights
    from rramsim.processes import MismatchCoefficient, Process, load_process, process_from_cards
    from rramsim.processes.process import netlists_folder
    from rramsim.stages import RunFolder, run_stages
    from rramsim.stages.boundary import boundary_rows
    from rramsim.verbs.campaigns import error_rates, error_statistics, rate, sweep
    from rramsim.verbs.networks import evaluate, images, train, weight_errors
    from rramsim.verbs.plots import (
        plot_costs,
        plot_error_rates,
        plot_loss,
        plot_tradeoff,
        plot_waveforms,
    )
    from rramsim.verbs.sensing import Sense, circuit, resistances, sense, senses
    from rramsim.verbs.tradeoffs import Tradeoff, inference_costs, tradeoff
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "ArrayContents",
    "ArrayShape",
    "BatchEngine",
    "Chip",
    "ChipModel",
    "Column",
    "DeviceStatistics",
    "Empirical",
    "EnsembleAccuracy",
    "EquilibriumSpec",
    "ErrorStatistics",
    "EstimatorSettings",
    "ImageData",
    "InputError",
    "LogNormal",
    "MachineError",
    "MeanAccuracy",
    "MismatchCoefficient",
    "NetworkSpec",
    "NgspiceEngine",
    "Persistence",
    "Process",
    "Rate",
    "ResistanceModel",
    "RunFolder",
    "Sense",
    "SenseCircuit",
    "SenseConditions",
    "SenseOutcome",
    "SenseSamples",
    "Skewed",
    "SupplyTarget",
    "Tradeoff",
    "TrainingResult",
    "TrainingSettings",
    "TransitionErrors",
    "Waveforms",
    "WeightErrors",
    "__version__",
    "boundary_figure",
    "boundary_rows",
    "circuit",
    "energy_accuracy_figure",
    "ensemble_accuracy",
    "error_rates",
    "error_statistics",
    "estimate_gradient",
    "evaluate",
    "fit_devices",
    "fit_record",
    "fit_surface",
    "fixed_point_gradient",
    "front_figure",
    "gradient_bias_figure",
    "images",
    "inference_costs",
    "load_experiment",
    "load_process",
    "lowest_supply",
    "netlists_folder",
    "noise_robustness_figure",
    "one_hot",
    "plot_costs",
    "plot_error_rates",
    "plot_loss",
    "plot_tradeoff",
    "plot_waveforms",
    "probability_figure",
    "process_from_cards",
    "rate",
    "read_measurements",
    "relax",
    "resistances",
    "run_stages",
    "sense",
    "senses",
    "sweep",
    "tradeoff",
    "train",
    "train_equilibrium",
    "training_figure",
    "waveform_figure",
    "weight_errors",
    "write_model_file",
    "written_weights",
    "zero_boundary",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
