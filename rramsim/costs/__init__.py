"""What an inference costs, and the energy-accuracy trade-off."""

from rramsim.costs.front import pareto_front
from rramsim.costs.inference import DATA_FLOWS, DataFlow, Energy, inference_energy
from rramsim.costs.sense_energy import SenseEnergy, sense_energy_at
from rramsim.costs.tradeoff import TRADEOFF_COLUMNS, MeanAccuracy, mean_accuracy

__all__ = [
    "DATA_FLOWS",
    "TRADEOFF_COLUMNS",
    "DataFlow",
    "Energy",
    "MeanAccuracy",
    "SenseEnergy",
    "inference_energy",
    "mean_accuracy",
    "pareto_front",
    "sense_energy_at",
]
