"""Equilibrium propagation and its relatives: learning by settling, local in space."""

from rramsim.learning.equilibrium.activations import ACTIVATIONS, Activation, activation
from rramsim.learning.equilibrium.estimation import GradientEstimate, estimate_gradient
from rramsim.learning.equilibrium.losses import loss_values, one_hot
from rramsim.learning.equilibrium.network import Clamped, EquilibriumNetwork, EquilibriumSpec
from rramsim.learning.equilibrium.references import (
    bptt_gradient,
    bptt_increments,
    fixed_point_gradient,
)
from rramsim.learning.equilibrium.relaxation import Nudge, Relaxation, relax
from rramsim.learning.equilibrium.settings import Estimator, EstimatorSettings

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Clamped",
    "EquilibriumNetwork",
    "EquilibriumSpec",
    "Estimator",
    "EstimatorSettings",
    "GradientEstimate",
    "Nudge",
    "Relaxation",
    "activation",
    "bptt_gradient",
    "bptt_increments",
    "estimate_gradient",
    "fixed_point_gradient",
    "loss_values",
    "one_hot",
    "relax",
]
