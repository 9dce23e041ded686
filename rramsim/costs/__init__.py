"""What an inference costs, and the energy-accuracy trade-off."""

from rramsim.costs.inference import DATA_FLOWS, DataFlow, Energy, inference_energy
from rramsim.costs.loss import AccuracyLoss, accuracy_loss
from rramsim.costs.sense_energy import SenseEnergy, sense_energy_at
from rramsim.costs.tradeoff import TRADEOFF_COLUMNS, MeanAccuracy, mean_accuracy

__all__ = [
    "DATA_FLOWS",
    "TRADEOFF_COLUMNS",
    "AccuracyLoss",
    "DataFlow",
    "Energy",
    "MeanAccuracy",
    "SenseEnergy",
    "accuracy_loss",
    "inference_energy",
    "mean_accuracy",
    "sense_energy_at",
]
