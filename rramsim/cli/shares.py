"""`rramsim shares`: what each source of variation does to the error rates."""

import typer

from rramsim.cli.options import (
    ExperimentArgument,
    JsonOption,
    OutOption,
    SchedulerOption,
    print_json,
)

__all__ = ["register", "shares"]


def shares(
    experiment: ExperimentArgument,
    out: OutOption,
    scheduler: SchedulerOption = None,
    json: JsonOption = False,
) -> None:
    """Count errors with every source of variation and with each switched off, one at a time.

    Example: rramsim shares experiments/variation.toml --out runs/variation
    """
    from rramsim.cli import stages
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, write_provenance

    chosen = load_experiment(experiment).with_scheduler(scheduler)
    folder = RunFolder.create(out)
    value = stages.show_shares(chosen, folder)
    write_provenance(folder, chosen)
    if json:
        print_json(value)
    else:
        stages.print_shares(value)
        typer.echo(f"{out}/shares.json, {out}/shares.png; next: rramsim report {out}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(shares)
