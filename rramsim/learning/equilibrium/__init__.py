"""Equilibrium propagation and its relatives: learning by settling, local in space."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.learning.equilibrium.estimation import (
        GradientEstimate,
        bptt_gradient,
        bptt_increments,
        estimate_gradient,
        fixed_point_gradient,
    )
    from rramsim.learning.equilibrium.network import (
        ACTIVATIONS,
        Activation,
        Clamped,
        EquilibriumNetwork,
        Pixels,
        activation,
        load_equilibrium,
        save_equilibrium,
    )
    from rramsim.learning.equilibrium.relaxation import (
        Nudge,
        Relaxation,
        loss_values,
        one_hot,
        relax,
    )
    from rramsim.learning.equilibrium.settings import (
        DescentSettings,
        EquilibriumSpec,
        EquilibriumTraining,
        Estimator,
        EstimatorSettings,
        FlipRule,
    )
    from rramsim.learning.equilibrium.training import (
        EquilibriumResult,
        equilibrium_accuracy,
        train_equilibrium,
    )
    from rramsim.learning.equilibrium.updates import (
        RealWeights,
        TernaryMemory,
        TernaryWeights,
        Wear,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Clamped",
    "DescentSettings",
    "EquilibriumNetwork",
    "EquilibriumResult",
    "EquilibriumSpec",
    "EquilibriumTraining",
    "Estimator",
    "EstimatorSettings",
    "FlipRule",
    "GradientEstimate",
    "Nudge",
    "Pixels",
    "RealWeights",
    "Relaxation",
    "TernaryMemory",
    "TernaryWeights",
    "Wear",
    "activation",
    "bptt_gradient",
    "bptt_increments",
    "equilibrium_accuracy",
    "estimate_gradient",
    "fixed_point_gradient",
    "load_equilibrium",
    "loss_values",
    "one_hot",
    "relax",
    "save_equilibrium",
    "train_equilibrium",
]
