"""Any PyTorch model on simulated RRAM: convert, read with errors, test, program, cost.

::

    import rramsim.nn as rn

    rn.convert(model, rn.Twn())                          # nothing else of the model changes
    print(rn.summary(model))                             # what the quantiser costs
    with rn.read_errors(model, "runs/demo", vdd_v=1.0):  # errors of a circuit, from a run's folder
        loss = criterion(model(images), labels)          # in training or evaluation
    table = rn.test(model, "runs/demo", images, labels)  # accuracy and energy by supply
    chip = rn.program(model, seed=1)                     # one virtual chip
"""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.learning import Accuracy, accuracy, fine_tune, recalibrate, recalibrated
    from rramsim.networks import (
        AbsMean,
        Binary,
        BinaryFlips,
        ConvertedLayer,
        LayerCensus,
        LearnedScale,
        Quantised,
        Quantiser,
        ScalarErrors,
        Sliced,
        Summary,
        Threshold,
        TransitionErrors,
        Twn,
        WeightErrors,
        convert,
        layer_census,
        load_onnx,
        load_weights,
        quantised_layers,
        restore,
        save_onnx,
        save_weights,
        set_read_weights,
        set_weight_errors,
        straight_through,
        summary,
        without_weight_errors,
        written_weights,
    )
    from rramsim.nn.sources import ErrorSource, read_errors, statistics_of
    from rramsim.nn.testing import ProgrammedChip, costs, program, test, without_quantisers
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "AbsMean",
    "Accuracy",
    "Binary",
    "BinaryFlips",
    "ConvertedLayer",
    "ErrorSource",
    "LayerCensus",
    "LearnedScale",
    "ProgrammedChip",
    "Quantised",
    "Quantiser",
    "ScalarErrors",
    "Sliced",
    "Summary",
    "Threshold",
    "TransitionErrors",
    "Twn",
    "WeightErrors",
    "accuracy",
    "convert",
    "costs",
    "fine_tune",
    "layer_census",
    "load_onnx",
    "load_weights",
    "program",
    "quantised_layers",
    "read_errors",
    "recalibrate",
    "recalibrated",
    "restore",
    "save_onnx",
    "save_weights",
    "set_read_weights",
    "set_weight_errors",
    "statistics_of",
    "straight_through",
    "summary",
    "test",
    "without_quantisers",
    "without_weight_errors",
    "written_weights",
]
