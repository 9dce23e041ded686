"""Ternary and binary networks, and the errors with which their weights are read."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.networks.architectures import Architecture, NetworkSpec, Standardise, build_network
    from rramsim.networks.census import LayerCensus, layer_census
    from rramsim.networks.injection import (
        ErrorMode,
        quantised_layers,
        set_weight_errors,
        without_weight_errors,
    )
    from rramsim.networks.integer import FirstLayer, IntegerNetwork
    from rramsim.networks.layers import QuantConv2d, QuantLayer, QuantLinear
    from rramsim.networks.on_chip import binary_layers, set_read_weights, written_weights
    from rramsim.networks.quantisers import (
        TERNARY_THRESHOLD,
        ActivationKind,
        WeightKind,
        quantise_activation,
        quantise_weight,
        straight_through,
    )
    from rramsim.networks.residual import ResidualConv
    from rramsim.networks.weight_errors import (
        BinaryFlips,
        ScalarErrors,
        TransitionErrors,
        WeightErrors,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "TERNARY_THRESHOLD",
    "ActivationKind",
    "Architecture",
    "BinaryFlips",
    "ErrorMode",
    "FirstLayer",
    "IntegerNetwork",
    "LayerCensus",
    "NetworkSpec",
    "QuantConv2d",
    "QuantLayer",
    "QuantLinear",
    "ResidualConv",
    "ScalarErrors",
    "Standardise",
    "TransitionErrors",
    "WeightErrors",
    "WeightKind",
    "binary_layers",
    "build_network",
    "layer_census",
    "quantise_activation",
    "quantise_weight",
    "quantised_layers",
    "set_read_weights",
    "set_weight_errors",
    "straight_through",
    "without_weight_errors",
    "written_weights",
]
