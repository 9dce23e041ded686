"""`rramsim errors`: error rates with intervals."""

import typer

from rramsim.cli.options import FolderArgument, JsonOption, print_json

__all__ = ["errors", "register"]


def errors(folder: FolderArgument, json: JsonOption = False) -> None:
    """Count the errors of DIR/sense.nc into DIR/errors.json, and print them as a table.

    Example: rramsim errors runs/demo
    """
    from rramsim.cli import stages
    from rramsim.stages import RunFolder, write_provenance

    where = RunFolder.existing(folder)
    value = stages.show_errors(where)
    if where.experiment.is_file():
        write_provenance(where, where.load_experiment())
    if json:
        print_json(value)
    else:
        stages.print_errors(value)
        typer.echo(
            f"next: rramsim train EXPERIMENT.toml --out {folder}, or rramsim report {folder}"
        )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(errors)
