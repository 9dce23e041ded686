"""Networks whose weights lie in RRAM: quantisers, conversion, read errors, bit-true integers."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.networks.architectures import (
        RECIPES,
        Architecture,
        NetworkSpec,
        QuantConv2d,
        QuantLinear,
        Recipe,
        ResidualConv,
        Standardise,
    )
    from rramsim.networks.census import REAL_BITS, LayerCensus, layer_census
    from rramsim.networks.conversion import ConvertedLayer, Summary, convert, restore, summary
    from rramsim.networks.integer import FirstLayer, IntegerNetwork
    from rramsim.networks.onnx_files import OnnxModel, load_onnx, save_onnx
    from rramsim.networks.own_modules import ModuleSpec, module_file
    from rramsim.networks.quantisers import (
        TERNARY_THRESHOLD,
        AbsMean,
        ActivationKind,
        Binary,
        LearnedScale,
        Quantised,
        Quantiser,
        Sliced,
        Threshold,
        Twn,
        WeightKind,
        quantise_activation,
        straight_through,
    )
    from rramsim.networks.reading import (
        ErrorMode,
        ReadErrors,
        WeightReader,
        binary_layers,
        quantised_layers,
        set_read_weights,
        set_weight_errors,
        without_weight_errors,
        written_weights,
    )
    from rramsim.networks.weight_errors import (
        BinaryFlips,
        ScalarErrors,
        TransitionErrors,
        WeightErrors,
        errors_of_statistics,
        errors_of_type,
    )
    from rramsim.networks.weight_files import load_weights, save_weights
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "REAL_BITS",
    "RECIPES",
    "TERNARY_THRESHOLD",
    "AbsMean",
    "ActivationKind",
    "Architecture",
    "Binary",
    "BinaryFlips",
    "ConvertedLayer",
    "ErrorMode",
    "FirstLayer",
    "IntegerNetwork",
    "LayerCensus",
    "LearnedScale",
    "ModuleSpec",
    "NetworkSpec",
    "OnnxModel",
    "QuantConv2d",
    "QuantLinear",
    "Quantised",
    "Quantiser",
    "ReadErrors",
    "Recipe",
    "ResidualConv",
    "ScalarErrors",
    "Sliced",
    "Standardise",
    "Summary",
    "Threshold",
    "TransitionErrors",
    "Twn",
    "WeightErrors",
    "WeightKind",
    "WeightReader",
    "binary_layers",
    "convert",
    "errors_of_statistics",
    "errors_of_type",
    "layer_census",
    "load_onnx",
    "load_weights",
    "module_file",
    "quantise_activation",
    "quantised_layers",
    "restore",
    "save_onnx",
    "save_weights",
    "set_read_weights",
    "set_weight_errors",
    "straight_through",
    "summary",
    "without_weight_errors",
    "written_weights",
]
