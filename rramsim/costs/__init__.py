"""What an inference costs, and the energy-accuracy trade-off."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.costs.breakdown import COST_COLUMNS, cost_row, with_places
    from rramsim.costs.gates import GATES_FILE, GateTable, read_gates
    from rramsim.costs.inference import (
        DATA_FLOWS,
        DataFlow,
        Energy,
        SenseEnergy,
        inference_energy,
        sense_energy_at,
    )
    from rramsim.costs.losses import AccuracyLoss, MeanAccuracy, accuracy_loss, mean_accuracy
    from rramsim.costs.points import (
        TestedNetwork,
        census_on,
        cost_rows,
        gates_of_process,
        tradeoff_row,
        tradeoff_tables,
    )
    from rramsim.costs.supply import (
        Design,
        FrontPlace,
        SupplyAnswer,
        SupplyTarget,
        front_places,
        lowest_supply,
        pareto_front,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "COST_COLUMNS",
    "DATA_FLOWS",
    "GATES_FILE",
    "AccuracyLoss",
    "DataFlow",
    "Design",
    "Energy",
    "FrontPlace",
    "GateTable",
    "MeanAccuracy",
    "SenseEnergy",
    "SupplyAnswer",
    "SupplyTarget",
    "TestedNetwork",
    "accuracy_loss",
    "census_on",
    "cost_row",
    "cost_rows",
    "front_places",
    "gates_of_process",
    "inference_energy",
    "lowest_supply",
    "mean_accuracy",
    "pareto_front",
    "read_gates",
    "sense_energy_at",
    "tradeoff_row",
    "tradeoff_tables",
    "with_places",
]
