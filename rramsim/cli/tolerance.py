"""`rramsim tolerance`: how much of each error type the networks stand."""

import typer

from rramsim.cli.options import DataOption, ExperimentArgument, JsonOption, OutOption, print_json

__all__ = ["register", "tolerance"]


def tolerance(
    experiment: ExperimentArgument,
    out: OutOption,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Train networks with and without errors of each type, and find the rates that they stand.

    No circuit is simulated: the rates are those of [tolerance]. Killed, the same command goes on.

    Example: rramsim tolerance experiments/tolerance.toml --out runs/tolerance
    """
    from rich.console import Console
    from rich.table import Table

    from rramsim.cli import stages
    from rramsim.cli.progress import progress_bar
    from rramsim.exceptions import InputError
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, tolerance_stage, write_provenance

    chosen = load_experiment(experiment)
    if chosen.training.rule != "backprop":
        raise InputError(
            f"{experiment}: [training] rule = {chosen.training.rule!r}: rramsim tolerance knows "
            "networks of rule 'backprop' only"
        )
    folder = RunFolder.create(out)
    images = stages.load_data(chosen, data)
    with progress_bar("tolerance", unit="trainings") as update:
        table = tolerance_stage(chosen, folder, images, report=update)
    write_provenance(folder, chosen, data=images)
    if json:
        print_json({"out": str(out), "tolerated_rates": table.to_dict("records")})
        return
    shown = Table(
        title=f"rate at which {table.max_loss.iloc[0]:g} points of accuracy are lost (mean and "
        "range over seeds)",
        title_justify="left",
    )
    for name in (
        "network",
        "trained with",
        "no errors",
        "type",
        "tolerated rate",
        "factor (95 %)",
        "to its own accuracy",
    ):
        shown.add_column(name, justify="right")
    for _, row in table.iterrows():
        factors = [
            ""
            if row.trained_with == "none"
            else "beyond the tested rates"
            if row[name] != row[name]
            else f"{row[name]:.2f} ({row[f'{name}_low']:.2f}–{row[f'{name}_high']:.2f})"
            for name in ("factor", "own_factor")
        ]
        shown.add_row(
            row.network,
            row.trained_with,
            f"{100 * row.accuracy_without_errors:.1f} %",
            str(row.type),
            f"{row.tolerated_rate:.3g} ({row.lowest:.3g}–{row.highest:.3g})",
            *factors,
        )
    Console(width=max(Console().width, 140), highlight=False).print(shown)
    typer.echo(f"{out}/tolerance.csv, {out}/tolerated_rates.csv, {out}/tolerance.png")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(tolerance)
