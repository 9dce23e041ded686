"""Train the three kinds of network on CIFAR-10, and time a training step with read errors.

`python -m benchmarks training --data PATH` trains ternary, binary and mixed networks of width 16
for 8 epochs with the same recipe and several seeds, and compares each accuracy with that of a plain
training loop with no recipe. Runs that the results file has already are not repeated, and with
`--state DIR` a training that was cut off goes on from its last epoch.

`--steps` times one training step with and without read errors, against a plain re-implementation
of the scheme of Laborieux et al. 2020 (`benchmarks/_plain_scheme.py`); with `--accuracy EPOCHS`
both are then trained with the same recipe, to compare what they reach.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from scipy import stats

from benchmarks._records import (
    add_training_options,
    append_rows,
    cpu_model,
    device_model,
    kept_rows,
    say,
)
from benchmarks._steps import accuracies, step_times
from rramsim.exceptions import InputError
from rramsim.experiment import ToleranceSection
from rramsim.figures import save_figure, width_figure
from rramsim.files import output_folder
from rramsim.learning import (
    ImageData,
    NetworkSpec,
    TrainingResult,
    TrainingSettings,
    accuracy,
    has_bfloat16,
    load_images,
    train,
)
from rramsim.networks import (
    RECIPES,
    ActivationKind,
    Recipe,
    WeightKind,
    errors_of_type,
    set_weight_errors,
)

__all__ = ["gains", "main", "run"]

# (weights, activations, accuracy in % of a plain loop of 8 epochs at width 16, one seed).
CONFIGURATIONS: tuple[tuple[WeightKind, ActivationKind, float], ...] = (
    ("ternary", "ternary", 68.9),
    ("binary", "binary", 65.9),
    ("ternary", "full", 80.1),
)
_ADDED = ("recipe", "cutout_pixels", "average", "distillation")
"""Columns that came later; rows of before have none of them."""
RESULTS = Path(__file__).parent / "results" / "training_cifar10.csv"


def run(
    seeds: Sequence[int],
    *,
    data: ImageData,
    epochs: int = 8,
    width: int = 16,
    bfloat16: bool = False,
    second_moment: float = TrainingSettings.second_moment,
    batch: int = TrainingSettings.batch,
    device: str = TrainingSettings.device,
    kinds: Sequence[str] = (),
    recipes: Sequence[Recipe] = ("published",),
    images: int = 0,
    more: Mapping[str, Any] = MappingProxyType({}),
    out: Path | None = None,
    curves: Path | None = None,
    tolerance: Path | None = None,
    state: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train every configuration with every seed; return rows, and mean and spread in %.

    `kinds` names the configurations ("ternary-full"), all of them if empty. Every one is trained by
    each of `recipes` (`rramsim.networks.RECIPES`) from the same weights on the same batches of
    `images` training images, drawn from seed 0 (0: all), and tested on all test images. Adds a row
    to `out` (CSV) after each training and skips those that it finds there, so that an interrupted
    run goes on; `state` is a folder for the checkpoint of the training under way. `curves` and
    `tolerance` are CSV files for each epoch's figures and for tests of each network under errors of
    each type. `more`: other settings of `TrainingSettings`, a column each.
    """
    kept = kept_rows(out)
    if state is not None:
        output_folder(state)
    chosen = [c for c in CONFIGURATIONS if not kinds or f"{c[0]}-{c[1]}" in kinds]
    rows: list[dict[str, Any]] = []
    if images:
        data = data.subset(train=images, test=len(data.test_labels))
    for seed in seeds:
        for (weights, activations, _), recipe in product(chosen, recipes):
            settings = TrainingSettings(
                epochs=epochs,
                seed=seed,
                bfloat16=bfloat16,
                second_moment=second_moment,
                batch=batch,
                device=device,
                **more,
            )
            spec = NetworkSpec(
                weights=weights,
                activations=activations,
                width=width,
                input_shape=data.input_shape,
                classes=len(data.classes),
                **RECIPES[recipe],
            )
            identity = {
                "network": spec.name,
                "recipe": recipe,
                "data": data.label,
                "seed": seed,
                "epochs": epochs,
                "batch": settings.batch,
                "learning_rate": settings.learning_rate,
                "weight_decay": settings.weight_decay,
                "label_smoothing": settings.label_smoothing,
                "warmup": settings.warmup,
                "second_moment": second_moment,
                "bfloat16": bfloat16,
                **{key: getattr(settings, key) for key in _ADDED[1:]},
            }
            done = [row for row in kept if _is(row, identity)]
            if done:
                rows.append(done[-1])
                continue
            processor = time.process_time()
            checkpoint = None if state is None else state / f"{_name(identity)}.pt"
            result = train(
                spec,
                data,
                settings,
                checkpoint=checkpoint,
                progress=say if progress else None,
            )
            low, high = result.test.interval()
            rows.append(
                {
                    **identity,
                    "test_accuracy": result.test.value,
                    "wilson95_low": low,
                    "wilson95_high": high,
                    "seconds": round(result.seconds, 1),
                    "cpu_seconds": round(time.process_time() - processor, 1),
                    "load_average": round(os.getloadavg()[0], 1),
                    "threads": torch.get_num_threads(),
                    "cpu": cpu_model(),
                    "device": device_model(device),
                    "torch": str(torch.__version__),
                    "python": platform.python_version(),
                }
            )
            if curves is not None:
                epochs_rows = [{"network": spec.name, "seed": seed} | vars(r) for r in result.rows]
                append_rows(curves, epochs_rows)
            if tolerance is not None:
                append_rows(tolerance, _tested(result, data))
            if out is not None:
                kept.append(rows[-1])
                append_rows(out, [rows[-1]])
    return {"rows": rows, "summary": _summary(rows, width)}


def _is(row: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Whether a row is this training; rows of before a column came are the published recipe's."""
    before = {"recipe": "published", **{k: getattr(TrainingSettings, k) for k in _ADDED[1:]}}
    return all(
        (before[k] if k in before and pd.isna(row.get(k)) else row[k]) == wanted
        for k, wanted in identity.items()
    )


def _name(row: Mapping[Any, Any]) -> str:
    """What a training differs in from the other rows, seeds included."""
    more = [f"{k} {row[k]:g}" for k in _ADDED[1:] if row[k]]
    return ", ".join([str(row["network"]), str(row["recipe"]), *more, f"seed {row['seed']}"])


def _tested(result: TrainingResult, data: ImageData, *, draws: int = 2) -> list[dict[str, Any]]:
    """Accuracy under frozen errors of each type and rate, as stage tolerance tests it."""
    network, kind = result.network, result.spec.weights
    images, labels = data.test_images, data.test_labels
    clean = accuracy(network, images, labels, batch=1000).value
    rows = []
    for error_type in (1, 2, 3) if kind == "ternary" else (1,):
        for rate in ToleranceSection().rates:
            found = []
            for draw in range(draws):
                errors = errors_of_type(error_type, rate, kind)
                set_weight_errors(network, errors, seed=draw, mode="frozen")
                found.append(accuracy(network, images, labels, batch=1000).value)
            set_weight_errors(network, None)
            rows.append(
                {
                    "network": result.spec.name,
                    "weights": kind,
                    "seed": result.settings.seed,
                    "trained_with": "none",
                    "data": data.label,
                    "epochs": result.settings.epochs,
                    "type": error_type,
                    "rate": rate,
                    "accuracy": statistics.mean(found),
                    "lowest": min(found),
                    "highest": max(found),
                    "draws": draws,
                    "images": len(labels),
                    "accuracy_without_errors": clean,
                }
            )
    return rows


def _summary(rows: list[dict[str, Any]], width: int) -> list[dict[str, Any]]:
    table = []
    frame = pd.DataFrame(rows)
    recipes = sorted(set(frame["recipe"].fillna("published")), reverse=True)
    for (weights, activations, plain), recipe in product(CONFIGURATIONS, recipes):
        mine = frame[
            frame["network"].str.endswith(f"-{weights}-{activations}")
            & (frame["recipe"].fillna("published") == recipe)
        ]
        if mine.empty:
            continue
        values = [100.0 * float(value) for value in mine["test_accuracy"]]
        table.append(
            {
                "network": str(mine["network"].iloc[0]),
                "recipe": recipe,
                "seeds": len(values),
                "mean_percent": statistics.mean(values),
                "deviation_percent": statistics.stdev(values) if len(values) > 1 else None,
                "lowest_percent": min(values),
                "plain_loop_percent": plain if width == 16 else None,
                "longest_s": float(mine["seconds"].max()),
            }
        )
    return table


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """What "tuned" gains over "published", in points, paired by seed, with Student's interval.

    `rows`: of a results file; those with cutout and the like are left out. Columns: network, seeds,
    gain, low, high (NaN for a single seed).
    """
    table = []
    plain = (rows[list(_ADDED[1:])] == 0).all(axis=1)
    for network, mine in rows[plain].groupby("network", sort=False):
        by_seed = mine.pivot(index="seed", columns="recipe", values="test_accuracy")
        if not {"tuned", "published"} <= set(by_seed):
            continue
        each = 100 * (by_seed["tuned"] - by_seed["published"]).dropna()
        low, high = stats.t.interval(0.95, len(each) - 1, each.mean(), each.sem())
        table.append(
            {"network": network, "seeds": len(each), "gain": each.mean(), "low": low, "high": high}
        )
    return pd.DataFrame(table)


def _steps(options: argparse.Namespace) -> dict[str, Any]:
    precisions = [False, True] if has_bfloat16() else [False]
    result: dict[str, Any] = {
        "steps": [step_times(width=options.width, bfloat16=chosen) for chosen in precisions]
    }
    if options.accuracy:
        images = load_images("cifar10", path=None if options.data is None else Path(options.data))
        result["accuracy"] = accuracies(
            images, width=options.width, epochs=options.accuracy, seeds=options.seeds,
            bfloat16=precisions[-1],
        )  # fmt: skip
    return result


def _print_steps(result: dict[str, Any]) -> None:
    for found in result["steps"]:
        print(f"{found['network']}, batch {found['batch']}, {found['precision']}, medians:")
        for name, value in found["step_s"].items():
            drawing = found["draw_s"].get(name)
            print(
                f"  {name:28} step {1e3 * value:7.2f} ms   {found['ratio'][name]:.3f} x no errors"
                + ("" if drawing is None else f"   of which drawing {1e3 * drawing:.2f} ms")
            )
        low, high = found["speedup_quartiles"]
        print(
            f"  {found['speedup']:.2f} times as fast as the plain scheme at rate 0.01 "
            f"(quartiles {low:.2f} to {high:.2f})"
        )
    for row in result.get("accuracy", []):
        print(f"  {row['scheme']:28} {row['epochs']} epochs: {row['percent']} %")


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("RRAMSIM_DATA"))
    parser.add_argument("--batch", type=int, default=TrainingSettings.batch)
    parser.add_argument("--second-moment", type=float, default=TrainingSettings.second_moment)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["published"])
    parser.add_argument("--images", type=int, default=0, help="training images; 0 for all")
    for key in _ADDED[1:]:
        default = getattr(TrainingSettings, key)
        parser.add_argument(
            f"--{key.replace('_', '-')}", type=type(default), default=default,
            help="as the key of [training]",
        )  # fmt: skip
    parser.add_argument("--curves", type=Path, help="CSV file for the figures of every epoch")
    parser.add_argument("--tolerance", type=Path, help="CSV file for tests under errors")
    parser.add_argument("--plot", type=Path, help="draw what --out holds against width, and end")
    parser.add_argument("--steps", action="store_true", help="time training steps, train nothing")
    parser.add_argument("--accuracy", type=int, default=0, metavar="EPOCHS", help="see --steps")
    add_training_options(parser, out=RESULTS)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    if options.plot is not None:
        figure = width_figure(pd.read_csv(options.out))
        save_figure(figure, options.plot.parent, options.plot.stem)
        return 0
    try:
        if options.steps:
            result = _steps(options)
        else:
            path = None if options.data is None else Path(options.data)
            images = load_images("cifar10", path=path)
            result = run(
                options.seeds,
                data=images,
                epochs=options.epochs,
                width=options.width,
                batch=options.batch,
                device=options.device,
                bfloat16=options.bfloat16,
                second_moment=options.second_moment,
                kinds=options.kinds,
                recipes=options.recipes,
                images=options.images,
                more={key: getattr(options, key) for key in _ADDED[1:]},
                out=options.out,
                curves=options.curves,
                tolerance=options.tolerance,
                state=options.state,
            )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
    elif options.steps:
        _print_steps(result)
    else:
        for row in result["summary"]:
            spread = row["deviation_percent"]
            print(
                f"{row['network']:24} {row['recipe']:9} {row['mean_percent']:.2f} % "
                f"+- {'?' if spread is None else f'{spread:.2f}'} "
                f"({row['seeds']} seeds, lowest {row['lowest_percent']:.2f}; plain loop "
                f"{row['plain_loop_percent']}), at most {row['longest_s']:.0f} s"
            )
    return 0
