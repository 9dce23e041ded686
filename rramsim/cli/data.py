"""`rramsim data`: which images there are to train on, and how to get CIFAR-10."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rramsim.cli.options import DataOption, JsonOption, print_json, say

if TYPE_CHECKING:
    from rramsim.learning import ImageData


def data(
    path: DataOption = None,
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help="Download the official CIFAR-10 archive (163 MB) first."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show the data sets that an experiment can use, each read and checked; with --fetch, get one.

    Example: rramsim data --fetch
    """
    from rramsim.exceptions import InputError
    from rramsim.files import cache_folder
    from rramsim.learning import download_cifar10, load_images

    if fetch and path is not None:
        raise InputError(
            f"--fetch, --data {path}: the archive goes into the cache; unset RRAMSIM_DATA, or "
            "leave out --fetch"
        )
    if fetch:
        path = download_cifar10(cache_folder())
    found = [_described("digits", None, load_images("digits"))]
    if path is not None:
        found.append(_described("images", path, load_images("images", path=path)))
    if json:
        print_json({"data_sets": found})
        return
    for row in found:
        where = f", {row['path']}" if row["path"] else ", comes with scikit-learn"
        say(
            f"{row['name']:8} {row['label']}{where}: {row['train']} images to train on, "
            f"{row['test']} to test"
        )
    if path is None:
        say(
            "cifar10  not named; set RRAMSIM_DATA to its archive or folder, or rramsim data --fetch"
        )


def _described(name: str, path: Path | None, images: "ImageData") -> dict[str, object]:
    return {
        "name": name,
        "path": None if path is None else str(path),
        "label": images.label,
        "train": len(images.train_labels),
        "test": len(images.test_labels),
    }
