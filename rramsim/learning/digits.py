"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 that come in its wheel."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from rramsim.learning.image_data import ImageData

__all__ = ["digits"]

_TEST_IMAGES = 450
_SPLIT_SEED = 20200831


def digits() -> ImageData:
    """Return the digits, 1,347 to train on and 450 to test on, each class in the same share.

    The split is drawn once from a fixed seed: every figure from it has the same test images. Grey
    levels 0 to 16 become 0 to 255.

    >>> digits().train_images.shape
    (1347, 1, 8, 8)
    """
    bunch = load_digits()
    images = np.round(bunch.images * (255.0 / 16.0)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=_TEST_IMAGES, random_state=_SPLIT_SEED, stratify=labels
    )
    return ImageData(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(str(digit) for digit in range(10)),
        label="scikit-learn digits",
        source={"file": "sklearn.datasets.load_digits", "split_seed": str(_SPLIT_SEED)},
    )
