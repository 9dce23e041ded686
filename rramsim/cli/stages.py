"""The stages with their progress bars and printed summaries, as several commands show them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from rramsim.cli.progress import console, notice, progress_bar
from rramsim.experiment import Experiment
from rramsim.learning import EpochMetrics
from rramsim.stages import (
    RunFolder,
    TrainedEquilibrium,
    TrainedNetwork,
    WrittenReport,
    chips_stage,
    choose_data,
    errors_stage,
    network_plans,
    report_stage,
    shares_stage,
    sweep_stage,
    tradeoff_stage,
    train_equilibrium_stage,
    train_stage,
)

__all__ = [
    "load_data",
    "print_chips",
    "print_equilibrium",
    "print_errors",
    "print_shares",
    "print_tradeoff",
    "show_chips",
    "show_equilibrium_training",
    "show_errors",
    "show_report",
    "show_shares",
    "show_sweep",
    "show_tradeoff",
    "show_training",
]


def load_data(experiment: Experiment, path: Path | None) -> Any:
    """Load the images and say which they are."""
    data = choose_data(experiment.training.data, path=path)
    console.print(
        f"data: {data.label} ({len(data.train_labels)} training, {len(data.test_labels)} test "
        f"images{', ' + data.source['file'] if 'file' in data.source else ''})",
        soft_wrap=True,
    )
    return data


def show_sweep(experiment: Experiment, folder: RunFolder, *, retry_failed: bool = False) -> None:
    """Run the sweep with its bar, and name what failed."""
    with progress_bar("sweep", unit="senses") as update:
        dataset = sweep_stage(
            experiment,
            folder,
            retry_failed=retry_failed,
            report=lambda p: update(
                p.counted, p.at_most, f"({p.failed} failed)" if p.failed else ""
            ),
        )
    for failed in json.loads(dataset.attrs["failed"]):
        notice(
            f"failed, and in no count: {failed['senses']} senses, {failed['task']}: "
            f"{failed['reason']}; try them again with --retry-failed"
        )


def show_shares(experiment: Experiment, folder: RunFolder) -> dict[str, Any]:
    """Run the shares stage with its bar."""
    with progress_bar("shares", unit="senses") as update:
        return shares_stage(experiment, folder, report=lambda p: update(p.counted, p.at_most, ""))


def print_shares(value: dict[str, Any]) -> None:
    """Print error rates with everything on and with each source off."""
    table = Table(title="error rates, one source off at a time (simulated)", title_justify="left")
    for name in ("conditions", "switched off", "type 1: flip", "type 2: ±1→0", "type 3: 0→±1"):
        table.add_column(name, justify="right")
    table.add_column("of type 3")
    for row in value["conditions"]:
        for name, entry in {"nothing": row["all"], **row["without"]}.items():
            fall = entry.get("type3_fall")
            share = "" if not fall or fall["share"] is None else f"{100 * fall['share']:.0f} %"
            rates = (_rate(entry[kind]) for kind in ("type1", "type2", "type3"))
            table.add_row(row["label"], name, *rates, share)
    Console(width=max(Console().width, 118)).print(table)


def show_errors(folder: RunFolder) -> dict[str, Any]:
    """Run the errors stage."""
    return errors_stage(folder)


def show_training(
    experiment: Experiment, folder: RunFolder, data: Any
) -> tuple[TrainedNetwork, ...]:
    """Train with a bar over all epochs of all networks."""
    total = sum(plan.settings.epochs for plan in network_plans(experiment, folder, data))
    with _epochs_bar(total, lambda plan: plan.spec.name) as report:
        return train_stage(experiment, folder, data, report=report)


def show_equilibrium_training(
    experiment: Experiment, folder: RunFolder, data: Any
) -> tuple[TrainedEquilibrium, ...]:
    """Train by equilibrium propagation, with a bar over all epochs."""
    total = len(experiment.training.errors_vdd_v) * experiment.training.epochs
    with _epochs_bar(total, lambda plan: plan.network_name) as report:
        return train_equilibrium_stage(experiment, folder, data, report=report)


@contextmanager
def _epochs_bar(
    total: int, name: Callable[[Any], str]
) -> Iterator[Callable[[Any, EpochMetrics], None]]:
    """A bar over epochs: yields what is to be called with (plan, metrics) after each."""
    done = 0
    with progress_bar("train", unit="epochs") as update:
        update(0, total, "")

        def report(plan: Any, metrics: EpochMetrics) -> None:
            nonlocal done
            done += 1
            update(done, total, f"{name(plan)}: {100 * metrics.test_accuracy:.1f} %")

        yield report
        # Epochs of an earlier run are not reported.
        update(total, total, "")


def show_tradeoff(
    experiment: Experiment,
    folder: RunFolder,
    data: Any,
    networks: tuple[TrainedNetwork, ...] | None = None,
) -> pd.DataFrame:
    """Run the trade-off with its bar."""
    with progress_bar("test", unit="tests") as update:
        return tradeoff_stage(
            experiment,
            folder,
            data,
            networks=networks,
            report=lambda done, total: update(done, total, ""),
        )


def show_chips(
    experiment: Experiment,
    folder: RunFolder,
    data: Any,
    networks: tuple[TrainedNetwork, ...] | None = None,
) -> dict[str, Any]:
    """Test the networks on virtual chips with a bar."""
    with progress_bar("chips", unit="chips") as update:
        return chips_stage(
            experiment,
            folder,
            data,
            networks=networks,
            report=lambda done, total: update(done, total, ""),
        )


def show_report(folder: RunFolder) -> WrittenReport:
    """Write the report, telling a terminal what is being done."""
    with console.status("report") as status:
        return report_stage(folder, report=lambda doing: status.update(f"report: {doing}"))


def print_chips(value: dict[str, Any]) -> None:
    """Print the accuracy of chips as a distribution."""
    arrays = ", ".join(f"{name} takes {n}" for name, n in value["arrays"].items())
    label = f"{value['data']}, {value['images']} images; {value['conditions']}"
    shown = Table(title=f"accuracy of virtual chips (simulated), {label}", title_justify="left")
    for name in ("network", "chips", "mean (95 %)", "deviation", "1st percentile (95 %)"):
        shown.add_column(name, justify="right")
    for name in ("lowest", "no errors", "type 2", "type 3", "writes a device"):
        shown.add_column(name, justify="right")
    for row in value["ensembles"]:
        low, high = (
            "?" if row[f"percentile1_{end}"] is None else f"{100 * row[f'percentile1_{end}']:.2f}"
            for end in ("low", "high")
        )
        shown.add_row(
            row["network"],
            f"{row['count']} {row['kind']}",
            f"{100 * row['mean']:.2f} ({100 * row['mean_low']:.2f}–{100 * row['mean_high']:.2f}) %",
            f"{100 * row['deviation']:.2f}",
            f"{100 * row['percentile1']:.2f} ({low}–{high}) %",
            f"{100 * row['lowest']:.2f} %",
            f"{100 * row['accuracy_without_errors']:.2f} %",
            *(
                "" if row[name] is None else f"{row[name]:.3g}"
                for name in ("type2", "type3", "writes_per_device")
            ),
        )
    shown.caption, shown.caption_justify = f"arrays of a chip: {arrays}", "left"
    Console(width=max(Console().width, 150)).print(shown)


def print_errors(value: dict[str, Any]) -> None:
    """Print error rates with their intervals."""
    table = Table(title="error rates with 95 % intervals (simulated)", title_justify="left")
    for name in ("VDD", "T", "corner", "window", "type 1: flip", "type 2: ±1→0", "type 3: 0→±1"):
        table.add_column(name, justify="right")
    table.add_column("unconverged", justify="right")
    for row in value["conditions"]:
        table.add_row(
            f"{row['vdd_v']:g} V",
            f"{row['temperature_c']:g} °C",
            row["corner"],
            f"{row['window_s'] * 1e9:g} ns",
            *(_rate(row[name]) for name in ("type1", "type2", "type3")),
            str(row["unconverged"]["events"]),
        )
    Console(width=max(Console().width, 118)).print(table)


def print_equilibrium(trained: tuple[TrainedEquilibrium, ...]) -> None:
    """Print accuracy, samples that did not settle, and what the devices were written."""
    for one in trained:
        result = one.result
        errors = one.plan.trained_with
        errors = "" if errors == "none" else f", with the read errors of {errors} V"
        text = f"{one.plan.network_name}{errors}: test accuracy {result.test}"
        if result.dropped or result.fell_back:
            text += (
                f"; {100 * result.dropped:.2g} % of training samples did not settle and were left "
                f"out, {100 * result.fell_back:.2g} % settled at real points only"
            )
        wear = result.total_wear
        if wear is not None:
            text += (
                f"; {wear.mean_writes:.3g} writes per device in the mean, {wear.most} at most, "
                f"{100 * wear.most_of_endurance:.2g} % of an endurance of "
                f"{wear.endurance_writes:g}"
            )
        Console(soft_wrap=True, highlight=False).print(text)


def print_tradeoff(table: pd.DataFrame) -> None:
    """Print accuracy and energy of every network at every point."""
    shown = Table(title=f"{table.data.iloc[0]}: accuracy with simulated read errors (95 %)")
    for name in ("network", "trained with", "VDD", "T", "corner", "accuracy", "no errors"):
        shown.add_column(name, justify="right")
    for name in ("read once", "read per use"):
        shown.add_column(name, justify="right")
    for row in table.to_dict("records"):
        value, low, high = (
            f"{100 * row[name]:.1f}" for name in ("accuracy", "accuracy_low", "accuracy_high")
        )
        injected = row["trained_with_errors"]
        shown.add_row(
            row["network"],
            "no errors" if injected == "none" else f"{injected} V",
            f"{row['vdd_v']:g} V",
            f"{row['temperature_c']:g} °C",
            row["corner"],
            f"{value} ({low}–{high}) %",
            f"{100 * row['accuracy_without_errors']:.1f} %",
            f"{row['energy_once_j'] * 1e9:.4g} nJ",
            f"{row['energy_per_use_j'] * 1e6:.4g} µJ",
        )
    Console(width=max(Console().width, 128)).print(shown)


def _rate(rate: dict[str, Any]) -> str:
    if rate["rate"] is None:
        return "no read"
    if not rate["events"]:
        return f"< {rate['high']:.2g}"
    return f"{rate['rate']:.2g} ({rate['low']:.2g}–{rate['high']:.2g})"
