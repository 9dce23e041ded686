"""--quiet and --verbose on every command: how much it says on standard error while it works."""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from rramsim.exceptions import InputError, printable

__all__ = ["add_verbosity"]

_OPTIONS = {
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
        _set(quiet=quiet, verbose=verbose)
        return function(*args, **given)

    # typer reads the options from the signature and from the annotations.
    found = signature(function, eval_str=True)
    added = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=option)
        for name, option in _OPTIONS.items()
    ]
    command.__signature__ = found.replace(  # type: ignore[attr-defined]
        parameters=[*found.parameters.values(), *added]
    )
    command.__annotations__ = {**function.__annotations__, **_OPTIONS}
    return command


def _set(*, quiet: bool, verbose: bool) -> None:
    if quiet and verbose:
        raise InputError("--quiet --verbose: choose one of them")
    # rich takes as long to load as one sense: only where there is something to tell or to undo.
    if quiet or verbose or "rramsim.cli.progress" in sys.modules:
        from rramsim.cli.progress import console

        console.quiet = quiet
    logger = logging.getLogger("rramsim")
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())


class _Lines(logging.Handler):
    """Log records as lines above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        from rramsim.cli.progress import console

        console.print(printable(self.format(record)), soft_wrap=True, markup=False, style="dim")
