"""Reading an experiment file: every fault is one line that names section, key and value."""

import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from rramsim.exceptions import InputError
from rramsim.experiment.experiment import Experiment
from rramsim.spice import read_text

__all__ = ["load_experiment", "parse_experiment"]


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises `InputError` of one line that names file, section, key, value and what would be right.
    """
    path = Path(path)
    try:
        values = tomllib.loads(read_text(path, "an experiment (TOML)"))
    # A number of thousands of digits and arrays thousands deep are not in its own class of errors.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    if "folder" in values:
        raise InputError(f"{path}: [folder]: unknown; {_known(())}")
    experiment = parse_experiment(values, folder=path.resolve().parent, where=str(path))
    try:
        return experiment.check()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_experiment(values: dict[str, Any], *, folder: Path, where: str) -> Experiment:
    """Check the values of an experiment; `where` names their source in messages."""
    try:
        return Experiment.model_validate({**values, "folder": folder})
    except ValidationError as error:
        raise InputError(f"{where}: {_describe(error)}") from error


def _describe(error: ValidationError) -> str:
    """Say the first fault in the file's own words."""
    first, *rest = error.errors()
    location = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    section, keys = location[0], [part for part in location[1:] if not _is_variant(part)]
    name = f"[{section}] {'.'.join(keys)}".strip()
    more = f" (and {len(rest)} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown; {_known(location[:-1])}{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{name} = {first['input']!r}: {message}{more}"


def _is_variant(part: str) -> bool:
    """pydantic names the tried alternatives of a union in a location; they are not keys."""
    return part in {"float", "str"} or part.startswith(("literal[", "list["))


def _known(location: list[str] | tuple[str, ...]) -> str:
    model: type[BaseModel] = Experiment
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    names = [name for name in model.model_fields if name != "folder"]
    return f"known are {', '.join(names)}"
