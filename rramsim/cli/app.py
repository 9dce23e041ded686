"""The program: its commands, and how it ends.

Exit 0: worked. 2: the user's input is at fault (one line on standard error). 1: anything else.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from rramsim.caches import cache_folder
from rramsim.cli import (
    boundary,
    chips,
    cite,
    costs,
    data,
    devices,
    doctor,
    errors,
    explore,
    init,
    map,
    rate,
    report,
    run,
    sense,
    shares,
    sweep,
    tolerance,
    tradeoff,
    train,
    verify,
)
from rramsim.cli.verbosity import add_verbosity
from rramsim.exceptions import InputError, MachineError
from rramsim.extras import missing_package
from rramsim.version import __version__

__all__ = ["app", "main"]

# Older versions of typer use click's exceptions, newer ones their own copies of them.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a transistor netlist to a trained network, with an error bar on every number.",
)
for module in (
    init,
    run,
    sense,
    sweep,
    shares,
    boundary,
    errors,
    map,
    rate,
    train,
    tradeoff,
    tolerance,
    chips,
    costs,
    report,
    explore,
    verify,
    devices,
    data,
    doctor,
    cite,
):
    module.register(app)
add_verbosity(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rramsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line and exit."""
    _give_matplotlib_a_folder()
    sys.exit(_run())


def _give_matplotlib_a_folder() -> None:
    """Else it complains where no home can be written, and lists the fonts at every start."""
    try:
        writable = os.access(Path.home(), os.W_OK)
    except RuntimeError:  # nobody knows where the home would be
        writable = False
    if not writable:
        os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))


def _run() -> int:
    try:
        outcome = app(prog_name="rramsim", standalone_mode=False)
    except InputError as error:
        return _say(error, 2)
    except MachineError as error:
        return _say(error, 1)
    except ModuleNotFoundError as error:
        told = missing_package(error)
        if told is None:
            raise
        return _say(told, 2)
    except UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "rramsim"
        message = getattr(error, "format_message", error.__str__)()
        return _say(f"{message} (see {command} --help)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted; the same command goes on from what was done", 130)
    except BrokenPipeError:
        # Whoever read standard output has gone; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _say(f"{name}{error.strerror or error}", 1)
    return outcome if isinstance(outcome, int) else 0


def _say(message: object, status: int) -> int:
    line = " ".join(str(message).split())
    print(f"rramsim: {line}", file=sys.stderr)
    return status
