"""`rramsim tradeoff`: accuracy and energy against the supply."""

import typer

from rramsim.cli.options import DataOption, FolderArgument, JsonOption, print_json
from rramsim.exceptions import InputError

__all__ = ["register", "tradeoff"]


def tradeoff(folder: FolderArgument, data: DataOption = None, json: JsonOption = False) -> None:
    """Test the trained networks with the errors of every supply into DIR/tradeoff.csv.

    Needs what `rramsim sweep` and `rramsim train` left in DIR.

    Example: rramsim tradeoff runs/demo
    """
    from rramsim.cli import stages
    from rramsim.pipeline import RunFolder

    where = RunFolder.existing(folder)
    experiment = where.load_experiment()
    if experiment.training.rule != "backprop":
        raise InputError(
            f"{folder}: trained with rule = {experiment.training.rule!r}; the trade-off knows "
            "networks of rule 'backprop' only"
        )
    images = stages.load_data(experiment, data)
    table = stages.show_tradeoff(experiment, where, images)
    if json:
        print_json({"tradeoff": table.to_dict("records")})
    else:
        stages.print_tradeoff(table)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(tradeoff)
