"""Options that several commands share, and --quiet and --verbose, which every command has."""

import json
import logging
import math
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from rramsim.exceptions import InputError, printable
from rramsim.numbers import quantity

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a run.")]
OutOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Output folder; resumed if it holds results.")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="PATH",
        envvar="RRAMSIM_DATA",
        help="The images: a data set's file, archive or folder, or a folder that holds one.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output.")
]
NetlistOption = Annotated[
    Path | None, typer.Option("--netlist", help="A netlist of your own with .subckt pcsa.")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw into this file (.png, .svg or .pdf).")
]


_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""Controls that JSON does not escape by itself."""


def check_plot(plot: Path | None) -> None:
    """Refuse a figure's file of an unknown kind before any work is done for it."""
    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"--plot {plot}: must end in .png, .svg or .pdf")


def say(text: object) -> None:
    """Print a line on standard output; what would control a terminal is written out."""
    typer.echo(printable(text))


def print_json(value: Any) -> None:
    """Print one JSON object on standard output; what is no finite number is null."""
    typer.echo(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False).translate(_ESCAPED))


def _finite(value: Any) -> Any:
    """The same value without NaN and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# The unit of each option that takes a quantity; experiments say it in the key's name.
_OPTION_UNITS = {
    "--vdd": "V", "--bl": "V", "--sl": "V", "--wl": "V", "--step": "V", "--tolerance": "V",
    "--window": "s", "--max-step": "s", "--pulse": "s",
    "--temperature": "degree Celsius",
    "--r-bl": "ohm", "--r-blb": "ohm", "--r-lrs": "ohm", "--r-hrs": "ohm", "--lrs": "ohm",
    "--hrs": "ohm", "--low": "ohm", "--high": "ohm", "--from": "ohm",
}  # fmt: skip


def parse_quantity(option: str, text: str, *, unit: str | None = None) -> float:
    """Read an option's value such as 1.2, 50ns or 10k in the option's unit, or in `unit`.

    Raises `InputError`, which names the option and what would be right.
    """
    try:
        return quantity(text, unit=unit or _OPTION_UNITS[option])
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}") from error


Quantity = str
"""Type of an option with a unit; `parse_quantity` makes it a float."""


_VERBOSITY = {
    "quiet": Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress on standard error; faults only.")
    ],
    "verbose": Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also say what is decided, resumed and kept."),
    ],
}


def add_verbosity(program: typer.Typer) -> None:
    """Give every command of a program, and of the programs in it, both options."""
    for command in program.registered_commands:
        assert command.callback is not None
        # A group belongs to its module: whoever registers it again finds its commands done.
        if "quiet" not in signature(command.callback).parameters:
            command.callback = _with_options(command.callback)
    for group in program.registered_groups:
        assert group.typer_instance is not None
        add_verbosity(group.typer_instance)


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def command(*args: Any, quiet: bool = False, verbose: bool = False, **given: Any) -> Any:
        _set_verbosity(quiet=quiet, verbose=verbose)
        return function(*args, **given)

    # typer reads the options from the signature and from the annotations.
    found = signature(function, eval_str=True)
    added = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=option)
        for name, option in _VERBOSITY.items()
    ]
    command.__signature__ = found.replace(  # type: ignore[attr-defined]
        parameters=[*found.parameters.values(), *added]
    )
    command.__annotations__ = {**function.__annotations__, **_VERBOSITY}
    return command


def _set_verbosity(*, quiet: bool, verbose: bool) -> None:
    if quiet and verbose:
        raise InputError("--quiet --verbose: choose one of them")
    # rich takes as long to load as one sense: only where there is something to tell or to undo.
    if quiet or verbose or "rramsim.cli.progress" in sys.modules:
        from rramsim.cli.progress import console

        console.quiet = quiet
    logger = logging.getLogger("rramsim")
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    if not any(isinstance(handler, _LogLines) for handler in logger.handlers):
        logger.addHandler(_LogLines())


class _LogLines(logging.Handler):
    """Log records as lines above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from rramsim.cli.progress import console

        console.print(printable(self.format(record)), soft_wrap=True, markup=False, style="dim")
