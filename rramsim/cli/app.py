"""The program: its commands, each loaded when it is asked for, and how it ends.

Exit 0: worked. 2: the user's input is at fault (one line on standard error). 1: anything else.
"""

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rramsim.exceptions import InputError, MachineError, printable
from rramsim.files import cannot_write, is_full
from rramsim.imports import missing_package
from rramsim.version import __version__

BIBTEX = """@software{{rramsim,
  title   = {{rramsim: from a transistor netlist to a trained network}},
  author  = {{{{The rramsim authors}}}},
  version = {{{version}}},
  license = {{GPL-3.0-or-later}}
}}

@inproceedings{{laborieux2020,
  title  = {{Low Power In-Memory Implementation of Ternary Neural Networks with Resistive RAM-Based
            Synapse}},
  author = {{Laborieux, Axel and Bocquet, Marc and Hirtzlin, Tifenn and Klein, Jacques-Olivier and
            Herrera Diez, Liza and Nowak, Etienne and Vianello, Elisa and Portal, Jean-Michel and
            Querlioz, Damien}},
  year   = {{2020}},
  url    = {{https://arxiv.org/abs/2005.01973}}
}}"""


COMMANDS = {
    "An experiment": {
        "init": "Write an experiment file to begin with: every key, its default, unit and meaning.",
        "run": "Simulate, count, train, test and report; or one stage of it.",
        "tradeoff": "Which is the lowest supply that loses at most so much accuracy?",
        "report": "What do the results of a folder say? Write one page.",
        "explore": "Move supply, temperature and resistances, and watch errors and energy.",
        "verify": "Are a folder's results those that its commands made?",
    },
    "One question": {
        "sense": "What is read from one synapse, how fast, at what energy?",
        "rate": "How often does a read fail, however rarely, and from what?",
        "devices": "Which resistance statistics do measurements have; what does a pulse program?",
        "costs": "What does a logic gate cost, and which parts has a read's energy?",
    },
    "This installation": {
        "doctor": "Does everything work here, and what is missing?",
        "data": "Which images are there to train on?",
    },
}
"""Every command by its group, with the question that it answers.

Its module has its name, and so has the function there; or `app` holds commands of its own.
"""

# Older versions of typer use click's exceptions, newer ones their own copies of them.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class _Program(TyperGroup):
    """Commands that are imported when they are wanted: none for help, versions and refusals."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: None for group in COMMANDS.values() for name in group}  # type: ignore[misc]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            return None
        return _loaded(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))


@cache
def _loaded(name: str) -> Any:
    from rramsim.cli.options import add_verbosity

    module = import_module(f"rramsim.cli.{name}")
    program = typer.Typer(rich_markup_mode=None, add_completion=False)
    if hasattr(module, "app"):
        program.add_typer(module.app, name=name)
    else:
        help_text = getattr(module, "help_text", lambda: None)
        program.command(name, help=help_text())(getattr(module, name))
    add_verbosity(program)
    command = typer.main.get_command(program)
    found = getattr(command, "commands", {}).get(name, command)
    found.name = name
    return found


app = typer.Typer(
    cls=_Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="From a transistor netlist to a trained network, with an error bar on every number.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rramsim {__version__}")
        raise typer.Exit


def _cite(wanted: bool) -> None:
    if wanted:
        typer.echo(BIBTEX.format(version=__version__))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    cite: Annotated[
        bool, typer.Option("--cite", callback=_cite, is_eager=True, help="Print BibTeX entries.")
    ] = False,
) -> None:
    del version, cite


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
        from rramsim.files import cache_folder

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
        if is_full(error):
            return _say(cannot_write(Path(error.filename or "output"), error), 1)
        name = f"{error.filename}: " if error.filename else ""
        return _say(f"{name}{error.strerror or error}", 1)
    return outcome if isinstance(outcome, int) else 0


def _say(message: object, status: int) -> int:
    line = printable(" ".join(str(message).split()))
    print(f"rramsim: {line}", file=sys.stderr)
    return status
