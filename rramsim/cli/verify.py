"""`rramsim verify`: whether results are those that were made."""

from dataclasses import asdict
from typing import Annotated

import typer

from rramsim.cli.options import DataOption, FolderArgument, JsonOption, print_json, say


def verify(
    folder: FolderArgument,
    data: DataOption = None,
    share: Annotated[
        float, typer.Option(help="Share of the recorded senses and tests to do again, 0 to 1.")
    ] = 0.02,
    stage: Annotated[
        list[str] | None,
        typer.Option("--stage", metavar="NAME", help="Do only this stage again; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Chooses which.")] = 0,
    json: JsonOption = False,
) -> None:
    """Check DIR's files against DIR/provenance.json, and do a random share of the work again.

    The repeat is done in a copy; DIR is not written to. Exit status 0 if all holds, 1 if something
    does not.

    Example: rramsim verify runs/demo --share 0.1
    """
    from rich.console import Console
    from rich.table import Table

    from rramsim.cli.progress import progress_bar
    from rramsim.stages import RunFolder, choose_data, verify_folder

    with progress_bar("verify", unit="rows") as update:
        checks = verify_folder(
            RunFolder.existing(folder),
            data=lambda experiment: choose_data(experiment.training.data, path=data),
            share=share,
            seed=seed,
            stages=stage or None,
            report=lambda stage, done, total: update(done, total, stage),
        )
    failed = [check for check in checks if check.verdict == "fails"]
    if json:
        print_json({"holds": not failed, "checks": [asdict(check) for check in checks]})
    else:
        shown = Table(title=f"{folder}", title_justify="left")
        for name in ("check", "", "found"):
            shown.add_column(name, overflow="fold")
        for check in checks:
            shown.add_row(check.check, check.verdict, check.found)
        Console(width=max(Console().width, 100), highlight=False).print(shown)
        unchecked = [check.check for check in checks if check.verdict == "not checked"]
        without = f"; not checked: {', '.join(unchecked)}" if unchecked else ""
        say(
            f"{len(failed)} of {len(checks)} checks fail{without}"
            if failed
            else f"nothing found that is not as it was made{without}"
        )
    if failed:
        raise typer.Exit(1)
