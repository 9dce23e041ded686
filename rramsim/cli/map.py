"""`rramsim map`: every error rate over the whole grid, rare ones included."""

import typer

from rramsim.cli.options import ExperimentArgument, JsonOption, OutOption, print_json

__all__ = ["map_rates", "register"]


def map_rates(experiment: ExperimentArgument, out: OutOption, json: JsonOption = False) -> None:
    """Find the rates of all three errors at every supply, temperature and corner, down to 1e-9.

    Counted where errors are frequent, by lines where they are not (`rramsim rate`). Killed, the
    same command goes on.

    Example: rramsim map experiments/ber_map.toml --out runs/ber_map
    """
    from rramsim.cli.progress import progress_bar
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, ber_map_stage, write_provenance

    chosen = load_experiment(experiment)
    folder = RunFolder.create(out)
    with progress_bar("map", unit="rates") as update:
        table = ber_map_stage(chosen, folder, report=update)
    write_provenance(folder, chosen)
    if json:
        print_json({"out": str(out), "rates": table.to_dict("records")})
        return
    settled, refused = int(table.settled.sum()), int((table.status == "refused").sum())
    typer.echo(
        f"{len(table)} rates: {settled} known to 20 % (standard error) or below 1e-9, "
        f"{len(table) - settled - refused} less well, {refused} without an answer"
    )
    for row in table[~table.settled].itertuples():
        value = "no answer" if row.status == "refused" else f"{row.rate:.2g}"
        typer.echo(
            f"  type {row.type}, {row.vdd_v:g} V, {row.temperature_c:g} °C, {row.corner}: {value} "
            f"({row.low:.2g} to {row.high:.2g})"
        )
    typer.echo(f"{folder.ber_map}, {out}/ber_map.png; next, one rate closer: rramsim rate --help")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("map")(map_rates)
