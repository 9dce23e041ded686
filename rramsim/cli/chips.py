"""`rramsim chips`: the accuracy of many chips as a distribution."""

import typer

from rramsim.cli.options import DataOption, ExperimentArgument, JsonOption, OutOption, print_json

__all__ = ["chips", "register"]


def chips(
    experiment: ExperimentArgument,
    out: OutOption,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Program the networks on virtual chips and test each into DIR/chips.csv and figures.

    Needs a [chips] section and what `rramsim train` left in DIR.

    Example: rramsim chips experiments/chips.toml --out runs/chips
    """
    from rramsim.cli import stages
    from rramsim.exceptions import InputError
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, write_provenance

    chosen = load_experiment(experiment)
    if chosen.chips is None:
        raise InputError(f"{experiment}: no [chips] section; it says how many chips to draw")
    folder = RunFolder.create(out)
    images = stages.load_data(chosen, data)
    value = stages.show_chips(chosen, folder, images)
    write_provenance(folder, chosen, data=images)
    if json:
        print_json(value)
    else:
        stages.print_chips(value)
        typer.echo(f"{folder.chips}, {folder.path / 'chips.png'}; next: rramsim report {out}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(chips)
