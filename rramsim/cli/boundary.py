"""`rramsim boundary`: above which resistance a pair is read as 0."""

from typing import Annotated

import typer

from rramsim.cli.options import ExperimentArgument, JsonOption, OutOption, print_json

__all__ = ["boundary", "register"]


def boundary(
    experiment: ExperimentArgument,
    out: OutOption,
    draws: Annotated[
        int, typer.Option(min=2, max=1_000_000, help="Mismatch draws at each condition.")
    ] = 400,
    json: JsonOption = False,
) -> None:
    """Find the resistance above which two equal devices read as 0, with its spread over mismatch.

    Every list in [sense] is an axis: supply, temperature, corner, window.

    Example: rramsim boundary experiments/boundary.toml --out runs/boundary
    """
    from rramsim.cli.progress import progress_bar
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, boundary_stage, write_provenance

    chosen = load_experiment(experiment)
    folder = RunFolder.create(out)
    with progress_bar("boundary", unit="conditions") as update:
        table = boundary_stage(
            chosen, folder, draws=draws, report=lambda done, total: update(done, total, "")
        )
    write_provenance(folder, chosen)
    if json:
        print_json({"boundaries": table.to_dict("records")})
        return
    typer.echo("resistance of both devices that reads 0 in 5 / 50 / 95 % of the mismatch draws")
    for _, row in table.iterrows():
        values = " / ".join(_ohm(float(row[f"r{share}_ohm"])) for share in ("05", "50", "95"))
        left = f", {row['unconverged']} did not converge" if row["unconverged"] else ""
        typer.echo(
            f"{row['corner']} {row['vdd_v']:g} V {row['temperature_c']:g} °C "
            f"{1e9 * row['window_s']:g} ns: {values}{left}"
        )
    typer.echo(f"{out}/boundary.csv, {out}/boundary.png; next: rramsim report {out}")


def _ohm(value: float) -> str:
    if value == 0:
        return "all read 0"
    return f"{value / 1e3:.1f} kΩ" if value < 1e9 else "none reads 0"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(boundary)
