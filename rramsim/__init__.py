"""rramsim: from a transistor netlist to a trained network, with an error bar on every number.

The verbs, each with keywords, units and an example (`help(rramsim.sweep)`):

>>> import rramsim as rs
>>> circuit = rs.circuit(process="sky130-5v")
>>> print(rs.sense(circuit, vdd_v=1.2, r_bl_ohm=10e3, r_blb_ohm=350e3))  # doctest: +ELLIPSIS
read +1 after 12.2 ns, 388.3 fJ (1.2 V, 27 °C, tt, 50 ns, ngspice ...)
"""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand
from rramsim.version import __version__

if TYPE_CHECKING:
    from rramsim.circuits import Column, SenseCircuit, SenseConditions
    from rramsim.costs import MeanAccuracy
    from rramsim.counting import ErrorStatistics, Rate
    from rramsim.devices import Empirical, LogNormal, ResistanceModel, Skewed
    from rramsim.engines import BatchEngine, NgspiceEngine, SenseOutcome, Waveforms
    from rramsim.exceptions import InputError, MachineError
    from rramsim.learning import ImageData, TrainingResult, TrainingSettings
    from rramsim.networks import NetworkSpec, WeightErrors
    from rramsim.processes import Process
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
    "BatchEngine", "Column", "Empirical", "ErrorStatistics", "ImageData", "InputError", "LogNormal",
    "MachineError", "MeanAccuracy", "NetworkSpec", "NgspiceEngine", "Process", "Rate",
    "ResistanceModel", "Sense", "SenseCircuit", "SenseConditions", "SenseOutcome", "Skewed",
    "Tradeoff", "TrainingResult", "TrainingSettings", "Waveforms", "WeightErrors",
    "__version__", "circuit",
    "error_rates", "error_statistics", "evaluate", "images", "inference_costs", "plot_costs",
    "plot_error_rates", "plot_loss", "plot_tradeoff", "plot_waveforms", "rate", "resistances",
    "sense", "senses", "sweep", "tradeoff", "train", "weight_errors",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
