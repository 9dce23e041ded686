"""Which images a run trains on."""

from pathlib import Path
from typing import TYPE_CHECKING

from rramsim.caches import cache_folder

if TYPE_CHECKING:
    from rramsim.learning import ImageData

__all__ = ["choose_data"]


def choose_data(name: str, *, path: Path | None) -> "ImageData":
    """Load the data set of an experiment.

    "auto" is what lies at `path` if it is given, else scikit-learn's digits; "cifar10" without a
    path is downloaded from its official address into the user's cache. Raises `InputError` if the
    set is damaged or not there.
    """
    from rramsim.learning import download_cifar10, load_images

    if name == "auto":
        name = "digits" if path is None else "images"
    if name == "digits":
        return load_images("digits")
    if path is None and name == "cifar10":
        path = download_cifar10(cache_folder())
    return load_images(name, path=path)
