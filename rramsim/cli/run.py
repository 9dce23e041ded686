"""`rramsim run`: every stage, from netlist to trade-off."""

from typing import Any

import typer

from rramsim.cli.options import (
    DataOption,
    ExperimentArgument,
    JsonOption,
    OutOption,
    RetryFailedOption,
    SchedulerOption,
    print_json,
)
from rramsim.exceptions import InputError

__all__ = ["register", "run"]


def run(
    experiment: ExperimentArgument,
    out: OutOption,
    data: DataOption = None,
    scheduler: SchedulerOption = None,
    retry_failed: RetryFailedOption = False,
    json: JsonOption = False,
) -> None:
    """Sweep the circuit, count errors, train the networks, draw the trade-off, write the report.

    What the output folder already holds is not done again: a run that was interrupted goes on.

    Example: rramsim run experiments/demo.toml --out runs/demo
    """
    from rramsim.experiment import load_experiment

    chosen = load_experiment(experiment).with_scheduler(scheduler)
    # Heavy: only once the experiment has been found right.
    from rramsim.cli import stages
    from rramsim.stages import RunFolder, write_provenance

    if chosen.training.rule != "backprop":
        raise InputError(
            f"{experiment}: [training] rule = {chosen.training.rule!r}: the trade-off knows "
            "networks of rule 'backprop' only; use rramsim sweep, then rramsim train"
        )
    folder = RunFolder.create(out)
    images = stages.load_data(chosen, data)
    stages.show_sweep(chosen, folder, retry_failed=retry_failed)
    errors = stages.show_errors(folder)
    networks = stages.show_training(chosen, folder, images)
    table = stages.show_tradeoff(chosen, folder, images, networks)
    chips = (
        stages.show_chips(chosen, folder, images, networks) if chosen.chips is not None else None
    )
    write_provenance(folder, chosen, data=images)
    report = stages.show_report(folder)
    if json:
        value: dict[str, Any] = {"out": str(out), "data": images.label, "report": str(report.path)}
        value["errors"] = errors["conditions"]
        value["tradeoff"] = table.to_dict("records")
        if chips is not None:
            value["chips"] = chips
        print_json(value)
    else:
        stages.print_errors(errors)
        stages.print_tradeoff(table)
        if chips is not None:
            stages.print_chips(chips)
        typer.echo(f"results and figures are in {out}; all on one page: {report.path}")
        typer.echo(f"next: rramsim explore {out}, or rramsim tradeoff {out} --max-loss 0.5")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(run)
