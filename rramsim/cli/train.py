"""`rramsim train`: the networks."""

import typer

from rramsim.cli.options import DataOption, ExperimentArgument, JsonOption, OutOption, print_json

__all__ = ["register", "train"]


def train(
    experiment: ExperimentArgument,
    out: OutOption,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Train the experiment's networks into DIR/training.csv and DIR/networks/.

    [training] rule chooses how: "backprop", "ep", "holomorphic-ep" or "ternary-ep".

    Example: rramsim train experiments/demo.toml --out runs/demo
    """
    from rramsim.cli import stages
    from rramsim.experiment import load_experiment
    from rramsim.stages import RunFolder, write_provenance

    chosen = load_experiment(experiment)
    folder = RunFolder.create(out)
    images = stages.load_data(chosen, data)
    if chosen.training.rule != "backprop":
        settled = stages.show_equilibrium_training(chosen, folder, images)
        write_provenance(folder, chosen, data=images)
        if json:
            names = [one.plan.network_name for one in settled]
            print_json({"training": str(folder.training), "data": images.label, "networks": names})
        else:
            stages.print_equilibrium(settled)
            typer.echo(f"{folder.training}; next: rramsim report {out}")
        return
    trained = stages.show_training(chosen, folder, images)
    write_provenance(folder, chosen, data=images)
    if json:
        networks = [t.plan.spec.name for t in trained]
        print_json({"training": str(folder.training), "data": images.label, "networks": networks})
    else:
        typer.echo(f"{folder.training}; next: rramsim tradeoff {out}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(train)
