"""`rramsim init`: an experiment file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from rramsim.exceptions import InputError


def init(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="Where to write it; - for standard output.")
    ] = Path("experiment.toml"),
) -> None:
    """Write an experiment with every key: its default, its unit, what it means.

    Example: rramsim init mine.toml
    """
    from rramsim.experiment import experiment_template
    from rramsim.files import atomic_path

    text = experiment_template()
    if str(file) == "-":
        typer.echo(text, nl=False)
        return
    if file.exists():
        raise InputError(f"{file}: is there already; name another file, or remove it")
    with atomic_path(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {file}; next: rramsim run {file} --out runs/{file.stem}")
