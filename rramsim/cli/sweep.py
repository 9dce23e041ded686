"""`rramsim sweep`: the circuit campaign."""

import typer

from rramsim.cli.options import (
    ExperimentArgument,
    JsonOption,
    OutOption,
    RetryFailedOption,
    SchedulerOption,
    print_json,
)

__all__ = ["register", "sweep"]


def sweep(
    experiment: ExperimentArgument,
    out: OutOption,
    scheduler: SchedulerOption = None,
    retry_failed: RetryFailedOption = False,
    json: JsonOption = False,
) -> None:
    """Simulate the senses of every supply, temperature, corner and window into DIR/sense.nc.

    Example: rramsim sweep experiments/demo.toml --out runs/demo
    """
    from rramsim.cli import stages
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, write_provenance

    chosen = load_experiment(experiment).with_scheduler(scheduler)
    folder = RunFolder.create(out)
    stages.show_sweep(chosen, folder, retry_failed=retry_failed)
    write_provenance(folder, chosen)
    if json:
        print_json({"sense": str(folder.sense)})
    else:
        typer.echo(f"{folder.sense}; next: rramsim errors {out}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(sweep)
