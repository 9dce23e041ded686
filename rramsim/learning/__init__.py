"""Data sets, training, checkpoints and accuracy."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.learning.adaptation import adapted, fine_tune, recalibrate, recalibrated
    from rramsim.learning.cifar_official import CIFAR10_URL, download_cifar10
    from rramsim.learning.data_sets import DATA_SETS, load_images
    from rramsim.learning.evaluation import (
        Accuracy,
        EnsembleAccuracy,
        accuracy,
        classified_right,
        ensemble_accuracy,
        right_with_errors,
    )
    from rramsim.learning.image_data import ImageData
    from rramsim.learning.progress import (
        EpochMetrics,
        bfloat16_remark,
        has_bfloat16,
        load_network,
        save_network,
    )
    from rramsim.learning.published import images_of
    from rramsim.learning.settings import Adaptation, TrainingSettings
    from rramsim.learning.training import TrainingResult, finished, train, training_step
    from rramsim.networks import NetworkSpec
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "CIFAR10_URL",
    "DATA_SETS",
    "Accuracy",
    "Adaptation",
    "EnsembleAccuracy",
    "EpochMetrics",
    "ImageData",
    "NetworkSpec",
    "TrainingResult",
    "TrainingSettings",
    "accuracy",
    "adapted",
    "bfloat16_remark",
    "classified_right",
    "download_cifar10",
    "ensemble_accuracy",
    "fine_tune",
    "finished",
    "has_bfloat16",
    "images_of",
    "load_images",
    "load_network",
    "recalibrate",
    "recalibrated",
    "right_with_errors",
    "save_network",
    "train",
    "training_step",
]
