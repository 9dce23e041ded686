"""Equilibrium propagation: bias, noise, learning curves, writes, CIFAR-10; in resumable pieces.

`python -m benchmarks equilibrium NAME` measures one of

  bias    relative error of every estimator's gradient against beta, toy network in complex128
  noise   digits: test error against the noise in the neurons, small-beta EP against holomorphic EP
  digits  digits: learning curves of every rule's experiment, several seeds
  wear    digits: ternary EP with read errors of the array, accuracy and writes per device
  circuit two classes of digits learned by a resistive network, in ngspice and by the fast solver
  cifar   CIFAR-10: one-sided EP, symmetric EP and back-propagation through time, equal budgets

Rows go to benchmarks/results/equilibrium_NAME.csv as they are measured; what is there is not
measured again, so a run that stops after `--seconds` goes on from there. `--figures DIR` draws
what has been measured.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.figures import (
    gradient_bias_figure,
    noise_robustness_figure,
    save_figure,
    training_figure,
)
from rramsim.files import atomic_path, output_folder
from rramsim.learning import EpochMetrics, ImageData, load_images
from rramsim.learning.equilibrium import (
    EquilibriumSpec,
    EquilibriumTraining,
    EstimatorSettings,
    estimate_gradient,
    fixed_point_gradient,
    one_hot,
    relax,
    train_equilibrium,
)
from rramsim.learning.resistive import (
    ResistiveSpec,
    ResistiveTask,
    Settle,
    SpiceNetwork,
    solve,
    train_resistive,
)
from rramsim.networks import TransitionErrors, WeightErrors

__all__ = ["PIECES", "main"]

FOLDER = Path(__file__).parent / "results"
EXPERIMENTS = Path(__file__).parent.parent / "experiments"
CHECKPOINTS = Path("runs") / "equilibrium"

Row = dict[str, Any]
Piece = tuple[dict[str, Any], Callable[[], list[Row]]]
"""What tells a piece from the others, and its measurement."""


class _TimeUp(Exception):
    """The seconds are over; the checkpoint holds what was done."""


def _toy() -> tuple[Any, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """The toy network of the gates, its images and labels, and its exact gradient."""
    spec = EquilibriumSpec(
        input_shape=(1, 2, 3),
        classes=3,
        hidden=(8, 6),
        activation="sigmoid",
        loss="cross-entropy",
        gain=0.9,
    )
    network = spec.build(seed=1, dtype=torch.float64)
    images = torch.rand(
        (5, 1, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    labels = torch.arange(5) % 3
    free = relax(network, network.clamp(images).drive, network.initial_states(5), steps=200)
    targets = one_hot(labels, 3, torch.float64)
    exact = fixed_point_gradient(network, images, free.states, targets, tolerance=1e-15)
    return network, images, labels, exact


def _bias(options: argparse.Namespace) -> Iterator[Piece]:
    network, images, labels, exact = _toy()
    inside = [name for name in exact if not name.startswith("readout")]

    def flat(gradients: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([gradients[name].flatten() for name in inside])

    wanted = flat(exact)
    estimators: dict[str, dict[str, Any]] = {
        "one-sided": {"estimator": "one-sided"},
        "random sign": {"estimator": "random-sign"},
        "symmetric (N = 2)": {"estimator": "symmetric"},
        "holomorphic, N = 4": {"estimator": "holomorphic", "points": 4},
        "holomorphic, N = 8": {"estimator": "holomorphic", "points": 8},
        "continuous, N = 8": {"estimator": "continuous", "points": 8},
    }
    for name, chosen in estimators.items():
        for beta in (0.025, 0.05, 0.1, 0.2, 0.4, 0.8):

            def measure(chosen: dict[str, Any] = chosen, beta: float = beta) -> list[Row]:
                settings = EstimatorSettings(beta=beta, free_steps=200, nudged_steps=150, **chosen)
                found = flat(
                    estimate_gradient(
                        network,
                        images,
                        labels,
                        settings,
                        generator=torch.Generator().manual_seed(2),
                    ).gradients
                )
                cosine = torch.cosine_similarity(found, wanted, dim=0)
                return [
                    {
                        "relative_error": float((found - wanted).norm() / wanted.norm()),
                        "one_minus_cosine": 1.0 - float(cosine),
                    }
                ]

            yield {"estimator": name, "beta": beta}, measure


def _trained(
    spec: EquilibriumSpec,
    settings: EquilibriumTraining,
    data: ImageData,
    name: str,
    *,
    errors: WeightErrors | None = None,
    checkpoint: Path | None = None,
    deadline: float = float("inf"),
) -> list[Row]:
    """Train; one row an epoch. Stops after an epoch past the deadline, if it can be resumed."""

    def progress(row: EpochMetrics) -> None:
        print(
            f"{name}: epoch {row.epoch}: test {100 * row.test_accuracy:.2f} %, {row.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        if checkpoint is not None and time.monotonic() > deadline and row.epoch < settings.epochs:
            raise _TimeUp

    result = train_equilibrium(
        spec, data, settings, errors=errors, checkpoint=checkpoint, progress=progress
    )
    wear = result.total_wear
    more: Row = {"dropped": result.dropped, "fell_back": result.fell_back}
    if wear is not None:
        more |= {"mean_writes": wear.mean_writes, "most_writes": wear.most}
    return [
        {
            "data": data.label,
            "epoch": row.epoch,
            "train_loss": row.train_loss,
            "train_accuracy": row.train_accuracy,
            "test_accuracy": row.test_accuracy,
            "seconds": round(row.seconds, 2),
            **more,
        }
        for row in result.rows
    ]


def _experiment(name: str, data: ImageData) -> tuple[EquilibriumSpec, EquilibriumTraining]:
    experiment = load_experiment(EXPERIMENTS / f"{name}.toml")
    return experiment.make_equilibrium(data.input_shape, len(data.classes))


def _noise(options: argparse.Namespace) -> Iterator[Piece]:
    data = load_images("digits")
    spec, training = _experiment("noisy_holomorphic_ep_digits", data)
    holomorphic = training.estimator
    classic = replace(holomorphic, estimator="one-sided", beta=0.1)
    small = replace(holomorphic, estimator="one-sided", beta=0.02)
    for seed in options.seeds:
        for noise in (0.0, 0.01, 0.02, 0.04):
            for name, estimator in (
                ("one-sided EP, β = 0.02", small),
                ("one-sided EP, β = 0.1", classic),
                (
                    f"holomorphic EP, N = {holomorphic.points}, β = {holomorphic.beta:g}",
                    holomorphic,
                ),
            ):
                settings = replace(training, estimator=replace(estimator, noise=noise), seed=seed)

                def measure(
                    settings: EquilibriumTraining = settings, name: str = name
                ) -> list[Row]:
                    rows = _trained(spec, settings, data, name)
                    return [rows[-1] | {"test_error": 1.0 - rows[-1]["test_accuracy"]}]

                yield {"estimator": name, "noise": noise, "seed": seed}, measure


def _digits(options: argparse.Namespace) -> Iterator[Piece]:
    data = load_images("digits")
    names = ("ep_digits", "holomorphic_ep_digits", "bptt_digits", "ternary_ep_digits")
    for seed in options.seeds:
        for name in names:

            def measure(name: str = name, seed: int = seed) -> list[Row]:
                spec, settings = _experiment(name, data)
                return _trained(spec, replace(settings, seed=seed), data, name)

            yield {"network": name, "seed": seed, "trained_with_errors": "none"}, measure


def read_errors(rate: float) -> TransitionErrors:
    """Type 2 and 3 errors alike: a written value is read as a neighbour with this probability."""
    return TransitionErrors(
        [[1 - rate, rate, 0.0], [rate / 2, 1 - rate, rate / 2], [0.0, rate, 1 - rate]]
    )


def _wear(options: argparse.Namespace) -> Iterator[Piece]:
    data = load_images("digits")
    spec, training = _experiment("ternary_ep_digits", data)
    for seed in options.seeds:
        for rate in (0.0, 0.001, 0.01, 0.05, 0.1):

            def measure(rate: float = rate, seed: int = seed) -> list[Row]:
                errors = read_errors(rate) if rate else None
                name = f"read errors {rate:g}"
                return _trained(spec, replace(training, seed=seed), data, name, errors=errors)[-1:]

            yield {"error_rate": rate, "seed": seed}, measure


def _circuit(options: argparse.Namespace) -> Iterator[Piece]:
    task = ResistiveTask.of(load_images("digits"), (4, 9))
    network = ResistiveSpec(features=16).build(seed=0)

    def measure(engine: str) -> list[Row]:
        settle: Settle = SpiceNetwork(network).solve if engine == "ngspice" else solve
        started = time.perf_counter()
        learned, rows = train_resistive(
            network, task, settle, epochs=5, batch=16, learning_rate_s2_per_v2=1e-7
        )
        seconds = time.perf_counter() - started
        few = task.test_v[:20]
        difference = settle(learned, few) / solve(learned, few) - 1.0
        return [
            {
                "epoch": row.epoch,
                "train_loss_v2": row.train_loss_v2,
                "test_accuracy": row.test_accuracy,
                "seconds_of_all_epochs": round(seconds, 2),
                "largest_relative_voltage_difference": float(np.abs(difference).max()),
            }
            for row in rows
        ]

    for engine in ("ngspice", "fast solver"):
        yield (
            {"engine": engine, "task": "digits 4 and 9, 4 x 4 pixels"},
            lambda engine=engine: measure(engine),  # type: ignore[misc]
        )


def _cifar(options: argparse.Namespace) -> Iterator[Piece]:
    path = None if options.data is None else Path(options.data)
    data = load_images("cifar10", path=path)
    if options.images:
        data = data.subset(train=options.images, test=min(options.images, 5000))
    spec, training = _experiment("ep_cifar10", data)
    epochs = options.epochs or training.epochs
    for seed in options.seeds:
        for estimator in options.estimators:
            kind, _, beta = estimator.partition(":")
            chosen = replace(training.estimator, estimator=kind)
            if beta:
                chosen = replace(chosen, beta=float(beta))
            if kind == "one-sided":
                # Its bias drives the weights to where nothing settles. rramsim run stops there;
                # the published runs went on, and so does this one.
                chosen = replace(chosen, settle_tolerance=10.0)
            settings = replace(training, estimator=chosen, epochs=epochs, seed=seed)
            name = f"{kind} EP" if kind != "bptt" else "back-propagation through time"
            if beta:
                name += f", β = {beta}"
            key = {
                "network": name,
                "seed": seed,
                "trained_with_errors": "none",
                "images": options.images,
                "epochs": epochs,
            }

            def measure(
                settings: EquilibriumTraining = settings, name: str = name, seed: int = seed
            ) -> list[Row]:
                output_folder(CHECKPOINTS)
                which = f"{settings.estimator.estimator}-{settings.estimator.beta:g}"
                file = f"{which}-{seed}-{options.images}-{epochs}.pt"
                return _trained(
                    spec,
                    settings,
                    data,
                    f"{name}, seed {seed}",
                    checkpoint=CHECKPOINTS / file,
                    deadline=options.deadline,
                )

            yield key, measure


PIECES: dict[str, Callable[[argparse.Namespace], Iterator[Piece]]] = {
    "bias": _bias,
    "noise": _noise,
    "digits": _digits,
    "wear": _wear,
    "circuit": _circuit,
    "cifar": _cifar,
}


def _measure(name: str, out: Path, options: argparse.Namespace) -> tuple[pd.DataFrame, bool]:
    """Measure what `out` lacks until the time is up; returns the table and whether it is whole."""
    table = pd.read_csv(out) if out.is_file() else pd.DataFrame()
    for key, measure in PIECES[name](options):
        if len(table) and _holds(table, key):
            continue
        if time.monotonic() > options.deadline:
            return table, False
        processor = time.process_time()
        try:
            rows = measure()
        except _TimeUp:
            return table, False
        about = {
            "cpu_seconds": round(time.process_time() - processor, 1),
            "load_average": round(os.getloadavg()[0], 1),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        }
        table = pd.concat([table, pd.DataFrame([key | row | about for row in rows])])
        table = table.reset_index(drop=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(out) as temporary:
            table.to_csv(temporary, index=False)
    return table, True


def _holds(table: pd.DataFrame, key: dict[str, Any]) -> bool:
    if not set(key) <= set(table.columns):
        return False
    same = np.logical_and.reduce([table[name] == value for name, value in key.items()])
    return bool(same.any())


def _draw(name: str, table: pd.DataFrame, folder: Path) -> None:
    output_folder(folder)
    if name == "bias":
        figure = gradient_bias_figure(
            table, caption="toy network, complex128, against the exact gradient (simulated)"
        )
    elif name == "noise":
        figure = noise_robustness_figure(table, caption=f"{table.data.iloc[0]}")
    elif name in ("digits", "cifar"):
        if "images" in table:  # runs of one size alone are the same quantity
            table = table[table.images == table.images.max()]
        figure = training_figure(
            table, caption=f"{table.data.iloc[0]}; {table.seed.nunique()} seeds, a line each"
        )
    else:
        return
    save_figure(figure, folder, f"equilibrium_{name}")


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks equilibrium",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=tuple(PIECES))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start nothing after")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--figures", type=Path, help="folder to draw into")
    parser.add_argument("--out", type=Path, help="CSV file for the rows")
    parser.add_argument("--data", type=Path, default=os.environ.get("RRAMSIM_DATA"))
    parser.add_argument("--images", type=int, default=0, help="CIFAR-10: train on so many, 0: all")
    parser.add_argument("--epochs", type=int, default=0, help="CIFAR-10: 0: as in the experiment")
    parser.add_argument(
        "--estimators",
        nargs="+",
        default=["symmetric", "one-sided", "bptt", "one-sided:0.1"],
        help="CIFAR-10: names, or name:beta",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    options.deadline = time.monotonic() + options.seconds
    torch.set_num_threads(options.threads)
    out = options.out or FOLDER / f"equilibrium_{options.name}.csv"
    try:
        table, whole = _measure(options.name, out, options)
        if options.figures and len(table):
            _draw(options.name, table, options.figures)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({"rows": table.to_dict("records"), "whole": whole}))
    else:
        print(f"{out}: {len(table)} rows{'' if whole else '; time is up, run again to go on'}")
    return 0
