"""What a JPEG copy of CIFAR-10 costs: the same recipe on both, each network tested on both.

`python -m benchmarks jpeg_copy --official PATH --copy PATH` trains networks with one recipe on the
lossless images and on the copy, brought into one order so that both trainings see the same images
in the same batches, and tests each on both test sets. A row is added to the results file after each
training and not taken again, so that an interrupted run goes on.

Every image of the copy is compared with its original first: a copy of other images, or in another
order within a class, is refused. That the lossless images are the published ones is checked by
their mean in each channel, known to all digits.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._records import (
    add_training_options,
    append_rows,
    cpu_model,
    device_model,
    kept_rows,
    say,
)
from benchmarks.training import CONFIGURATIONS
from rramsim.exceptions import InputError
from rramsim.files import output_folder
from rramsim.learning import (
    ImageData,
    NetworkSpec,
    TrainingSettings,
    accuracy,
    load_images,
    train,
)

__all__ = ["aligned", "main", "run"]

RESULTS = Path(__file__).parent / "results" / "jpeg_copy_cifar10.csv"
_CHANNEL_MEANS = (125.306918046875, 122.950394140625, 113.86538318359375)
"""Means of the 50,000 official training images, as many programs for them state."""
_LEAST_PSNR_DB = 18.0
"""Of 20,000 pairs of different test images 4 are closer (median 9.6 dB); at quality 75
the copy furthest from its original is at 21.8."""


def run(
    seeds: Sequence[int],
    *,
    official: ImageData,
    copy: ImageData,
    epochs: int = 8,
    width: int = 16,
    bfloat16: bool = False,
    device: str = TrainingSettings.device,
    kinds: Sequence[str] = (),
    out: Path | None = None,
    state: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train each kind with each seed on both sets; return the rows and the paired differences in %.

    `kinds` as "ternary-full", all if empty. `out` (CSV) and `state` (folder) as in
    `benchmarks.training.run`. Raises `InputError` if the copy is not of these images.
    """
    copy = aligned(copy, official)
    sets = {"official": official, "copy": copy}
    kept = kept_rows(out)
    if state is not None:
        output_folder(state)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for weights, activations, _ in CONFIGURATIONS:
            if kinds and f"{weights}-{activations}" not in kinds:
                continue
            settings = TrainingSettings(epochs=epochs, seed=seed, bfloat16=bfloat16, device=device)
            spec = NetworkSpec(
                weights=weights,
                activations=activations,
                width=width,
                input_shape=official.input_shape,
                classes=len(official.classes),
            )
            for trained_on, data in sets.items():
                identity = {
                    "network": spec.name,
                    "trained_on": trained_on,
                    "seed": seed,
                    "epochs": epochs,
                    "batch": settings.batch,
                    "bfloat16": bfloat16,
                }
                done = [row for row in kept if {key: row[key] for key in identity} == identity]
                if done:
                    rows.append(done[-1])
                    continue
                name = f"{spec.name}-{trained_on}-seed{seed}.pt"
                result = train(
                    spec,
                    data,
                    settings,
                    checkpoint=None if state is None else state / name,
                    progress=say if progress else None,
                )
                found = {
                    f"tested_on_{key}": accuracy(
                        result.network, other.test_images, other.test_labels
                    ).value
                    for key, other in sets.items()
                }
                row = identity | found
                row |= {
                    "train_accuracy": result.rows[-1].train_accuracy,
                    "seconds": round(result.seconds, 1),
                    "threads": torch.get_num_threads(),
                    "cpu": cpu_model(),
                    "device": device_model(device),
                    "torch": str(torch.__version__),
                    "python": platform.python_version(),
                }
                rows.append(row)
                if out is not None:
                    append_rows(out, [row])
    return {"rows": rows, "summary": summary(rows)}


def aligned(copy: ImageData, official: ImageData) -> ImageData:
    """Return the copy in the order of the official images, which it keeps within each class.

    Raises `InputError` if any image is further from its original than compression explains.
    """
    means = official.train_images.mean(axis=(0, 2, 3), dtype=np.float64)
    if not np.allclose(means, _CHANNEL_MEANS, rtol=0.0, atol=1e-9):
        raise InputError(
            f"{official.label}: the training images' means are {means.round(4).tolist()}, those of "
            f"CIFAR-10 are {np.round(_CHANNEL_MEANS, 4).tolist()}"
        )
    parts: dict[str, Any] = {}
    for part in ("train", "test"):
        images, labels = getattr(copy, f"{part}_images"), getattr(copy, f"{part}_labels")
        originals = getattr(official, f"{part}_images")
        wanted = getattr(official, f"{part}_labels")
        if not np.array_equal(np.bincount(labels), np.bincount(wanted)):
            raise InputError(f"{copy.label}: not as many {part} images of each class")
        order = np.empty(len(wanted), dtype=np.int64)
        # Both stable: the k-th image of a class in the one is the k-th in the other.
        order[np.argsort(wanted, kind="stable")] = np.argsort(labels, kind="stable")
        parts[f"{part}_images"], parts[f"{part}_labels"] = images[order], wanted
        far = psnr_db(images[order], originals) < _LEAST_PSNR_DB
        if far.any():
            raise InputError(
                f"{copy.label}: {part} image {int(np.argmax(far))} is not a copy of its original "
                f"(below {_LEAST_PSNR_DB:g} dB; {int(far.sum())} such images)"
            )
    return replace(copy, **parts)


def psnr_db(images: NDArray[np.uint8], originals: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each image's peak signal-to-noise ratio in dB, shape (N,); infinite where equal."""
    squares = [
        np.square(a.astype(np.int32) - b).mean()
        for a, b in zip(images, originals.astype(np.int32), strict=True)
    ]
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(255.0**2 / np.array(squares))


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each network, accuracies and the copy's cost in %: means and their errors.

    The cost is official minus copy, each tested on its own kind, paired by seed.
    """
    table = []
    for network in dict.fromkeys(row["network"] for row in rows):
        mine = [row for row in rows if row["network"] == network]
        found: dict[str, Any] = {"network": network, "epochs": mine[0]["epochs"]}
        own: dict[str, list[float]] = {}
        for trained in ("official", "copy"):
            part = sorted(
                (r for r in mine if r["trained_on"] == trained), key=lambda r: int(r["seed"])
            )
            for tested in ("official", "copy"):
                values = [100.0 * float(row[f"tested_on_{tested}"]) for row in part]
                found[f"{trained}_on_{tested}"] = statistics.mean(values)
                if tested == trained:
                    own[trained] = values
        cost = [a - b for a, b in zip(own["official"], own["copy"], strict=True)]
        found |= {
            "seeds": len(cost),
            "cost_points": statistics.mean(cost),
            "cost_error": statistics.stdev(cost) / len(cost) ** 0.5 if len(cost) > 1 else None,
        }
        table.append(found)
    return table


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks jpeg_copy", description=__doc__)
    parser.add_argument("--official", type=Path, required=True, help="lossless images")
    parser.add_argument("--copy", type=Path, default=os.environ.get("RRAMSIM_DATA"))
    add_training_options(parser, out=RESULTS)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    try:
        result = run(
            options.seeds,
            official=load_images("cifar10", path=options.official),
            copy=load_images("cifar10", path=None if options.copy is None else Path(options.copy)),
            epochs=options.epochs,
            width=options.width,
            bfloat16=options.bfloat16,
            device=options.device,
            kinds=options.kinds,
            out=options.out,
            state=options.state,
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
        return 0
    for row in result["summary"]:
        spread = "?" if row["cost_error"] is None else f"{row['cost_error']:.2f}"
        print(f"{row['network']}, {row['epochs']} epochs, {row['seeds']} seeds:")
        for trained in ("official", "copy"):
            print(
                f"  trained on {trained:8} {row[f'{trained}_on_official']:6.2f} % of the official "
                f"test images, {row[f'{trained}_on_copy']:6.2f} % of the copy's"
            )
        print(f"  the copy costs {row['cost_points']:.2f} +- {spread} points")
    return 0
