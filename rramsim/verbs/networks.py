"""Networks: the images, training, read errors of their weights, and accuracy with them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rramsim import costs, counting, learning, networks
from rramsim.learning import TrainingSettings
from rramsim.verbs.campaigns import error_statistics

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn


__all__ = ["evaluate", "images", "train", "weight_errors"]


def images(name: str = "digits", *, path: str | Path | None = None) -> "learning.ImageData":
    """Images with their labels, to train and to test on.

    `name`: "digits" (scikit-learn's, 8 x 8 grey, no path needed); a published set ("cifar10",
    "cifar100", "mnist", "fashion-mnist", "imagenet32") at the `path` of its files or of their
    folder; or "images": whatever lies at `path`, an archive or folder of image files
    (train/CLASS/1.png, test/CLASS/1.png) or an `.npz`. Raises `InputError` if they are not there.

    >>> import rramsim as rs
    >>> rs.images("digits")
    ImageData('scikit-learn digits': 1347 training and 450 test images of 1 x 8 x 8, 10 classes)
    """
    return learning.load_images(name, path=None if path is None else Path(path))


def weight_errors(
    counted: "xr.Dataset | counting.ErrorStatistics",
    *,
    weights: Literal["binary", "ternary"] = "ternary",
    vdd_v: float | None = None,
    temperature_c: float | None = None,
    corner: str | None = None,
    window_s: float | None = None,
) -> "networks.WeightErrors":
    """The read errors of a network's weights, out of what a sweep counted.

    `counted`: a sweep, of which the conditions choose one point, or its statistics. Ternary weights
    are read by the 3 x 3 matrix of transitions, binary ones flip. Raises `InputError` unless
    exactly one point fits.

    >>> import rramsim as rs
    >>> counted = rs.sweep(rs.circuit(), vdd_v=1.2, samples=100, workers=1)
    >>> rs.weight_errors(counted, vdd_v=1.2).matrix.shape
    (3, 3)
    """
    if not isinstance(counted, counting.ErrorStatistics):
        at = {"temperature_c": temperature_c, "window_s": window_s}
        counted = error_statistics(counted, vdd_v=vdd_v, corner=corner, **at)
    return networks.errors_of_statistics(counted, weights)


def train(
    data: "learning.ImageData",
    *,
    weights: Literal["binary", "ternary"] = "ternary",
    activations: Literal["same", "full", "binary", "ternary"] = "same",
    architecture: Literal["vgg", "resnet", "mlp"] = "vgg",
    width: int = 8,
    recipe: Literal["tuned", "published"] = "tuned",
    errors: "networks.WeightErrors | None" = None,
    epochs: int = TrainingSettings.epochs,
    seed: int = TrainingSettings.seed,
    device: str = TrainingSettings.device,
    settings: TrainingSettings | None = None,
    checkpoint: str | Path | None = None,
    report: "Callable[[learning.EpochMetrics], None] | None" = None,
) -> "learning.TrainingResult":
    """Train a quantised network, with read errors injected at every pass if `errors` is given.

    `width`: channels of the first layer, or hidden neurons. `recipe`: the thresholds of ternary
    networks, "tuned" or "published" (`rramsim.networks.RECIPES`). `settings`: all of them, in
    place of `epochs`, `seed` and `device`. `checkpoint`: a file from which the same call goes on.
    The result holds `network` (a torch module), `test` (accuracy with its 95 % interval) and
    `rows`, an entry for each epoch. Raises `InputError` for a value out of range.

    >>> import rramsim as rs
    >>> trained = rs.train(rs.images(), architecture="mlp", width=16, epochs=1)
    >>> low, high = trained.test.interval()
    >>> low < trained.test.value < high
    True
    """
    spec = networks.NetworkSpec.of_recipe(
        recipe,
        architecture=architecture,
        width=width,
        weights=weights,
        activations=activations,
        input_shape=data.input_shape,
        classes=len(data.classes),
    )
    chosen = settings or TrainingSettings(epochs=epochs, seed=seed, device=device)
    if told := learning.bfloat16_remark(bfloat16=chosen.bfloat16, device=chosen.device):
        warnings.warn(told, stacklevel=2)
    return learning.train(
        spec,
        data,
        chosen,
        errors=errors,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        progress=report,
    )


def evaluate(
    network: "nn.Module | learning.TrainingResult",
    data: "learning.ImageData",
    *,
    errors: "networks.WeightErrors | None" = None,
    draws: int = 3,
    test_images: int = 0,
    seed: int = 0,
) -> "costs.MeanAccuracy":
    """The accuracy on test images, as the mean over draws of read errors with its 95 % interval.

    `network`: a result of `rs.train`, or a torch module with quantised layers. Each draw is an
    array programmed once and read for all images. `test_images`: 0 for all. The interval holds the
    draws and the choice of images, not the spread between trainings.

    >>> import rramsim as rs
    >>> trained = rs.train(rs.images(), architecture="mlp", width=16, epochs=1)
    >>> rs.evaluate(trained, rs.images()).draws
    1
    """
    tested = min(test_images or len(data.test_labels), len(data.test_labels))
    module = network.network if isinstance(network, learning.TrainingResult) else network
    right = [
        learning.right_with_errors(module, data, errors, images=tested, seed=seed, draw=draw)
        for draw in range(draws if errors is not None else 1)
    ]
    return costs.mean_accuracy([int(one.sum()) for one in right], images=tested)
