"""What an inference costs, and the energy-accuracy trade-off."""

from rramsim.costs.front import FrontPlace, front_places, pareto_front
from rramsim.costs.inference import DATA_FLOWS, DataFlow, Energy, inference_energy
from rramsim.costs.loss import AccuracyLoss, accuracy_loss
from rramsim.costs.sense_energy import SenseEnergy, sense_energy_at
from rramsim.costs.supply import Design, SupplyAnswer, SupplyTarget, lowest_supply
from rramsim.costs.tradeoff import TRADEOFF_COLUMNS, MeanAccuracy, mean_accuracy, read_tradeoff

__all__ = [
    "DATA_FLOWS",
    "TRADEOFF_COLUMNS",
    "AccuracyLoss",
    "DataFlow",
    "Design",
    "Energy",
    "FrontPlace",
    "MeanAccuracy",
    "SenseEnergy",
    "SupplyAnswer",
    "SupplyTarget",
    "accuracy_loss",
    "front_places",
    "inference_energy",
    "lowest_supply",
    "mean_accuracy",
    "pareto_front",
    "read_tradeoff",
    "sense_energy_at",
]
