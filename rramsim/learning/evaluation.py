"""The accuracy of a network, with its interval."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor, nn

from rramsim.exceptions import InputError
from rramsim.learning.adaptation import adapted
from rramsim.learning.image_data import ImageData
from rramsim.learning.settings import Adaptation
from rramsim.networks import WeightErrors, set_weight_errors

__all__ = ["Accuracy", "accuracy", "classified_right", "right_with_errors"]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """So many of so many images classified right.

    >>> Accuracy(correct=90, total=100)
    Accuracy(correct=90, total=100)
    >>> print(Accuracy(correct=90, total=100))
    90.00 % (82.56 to 94.48)
    """

    correct: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.total or self.total < 1:
            raise InputError(f"correct = {self.correct} of {self.total}: must be 0 to total, >= 1")

    @property
    def value(self) -> float:
        """The share of images classified right, 0 to 1."""
        return self.correct / self.total

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval for the probability of a right answer on a new image.

        It covers the choice of test images, not the spread between training seeds or chips.
        """
        result = binomtest(self.correct, self.total).proportion_ci(confidence, method="wilson")
        return float(result.low), float(result.high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def accuracy(
    network: nn.Module,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor,
    *,
    batch: int = 250,
) -> Accuracy:
    """Classify images (N, C, H, W) and count those whose highest score is at their label.

    As `classified_right`, which says it for each image.
    """
    right = classified_right(network, images, labels, batch=batch)
    return Accuracy(correct=int(right.sum()), total=len(right))


def right_with_errors(
    network: nn.Module, data: ImageData, errors: WeightErrors | None, *, images: int, seed: int,
    draw: int, adaptation: Adaptation | None = None,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of `images` test images are right, (images,), with one draw of read errors.

    The images are drawn by `ImageData.test_part`. The errors are drawn once and stay for all images
    (a programmed array); None: no errors. With errors the network first adapts to them on
    training images, as `adaptation` says; without, it stays as it was trained.
    """
    tested = data.test_part(images)
    set_weight_errors(network, errors, seed=seed * 1_000_003 + draw, mode="frozen")
    wanted = Adaptation() if errors is None or adaptation is None else adaptation
    try:
        with adapted(network, wanted, data.train_images, data.train_labels, seed=draw):
            return classified_right(network, tested.test_images, tested.test_labels)
    finally:
        set_weight_errors(network, None)


def classified_right(
    network: nn.Module,
    images: NDArray[np.uint8] | Tensor,
    labels: NDArray[np.int64] | Tensor,
    *,
    batch: int = 250,
) -> NDArray[np.bool_]:
    """Classify images (N, C, H, W); True, shape (N,), where the highest score is at the label.

    Read errors attached with `set_weight_errors` act: with mode "redrawn" they are drawn anew for
    every batch. The network is put in evaluation mode and back. Raises `InputError` if there are
    no images, or not as many as labels.
    """
    pictures = torch.as_tensor(images)
    answers = torch.as_tensor(labels)
    if len(pictures) == 0 or len(pictures) != len(answers):
        raise InputError(
            f"{len(pictures)} images with {len(answers)} labels: must be as many, and at least 1"
        )
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    right = torch.zeros(len(answers), dtype=torch.bool, device=device)
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for start in range(0, len(answers), batch):
                scores = network(pictures[start : start + batch].to(device))
                wanted = answers[start : start + batch].to(device)
                right[start : start + batch] = scores.argmax(dim=1) == wanted
    finally:
        network.train(training)
    return right.cpu().numpy()
