"""Read what a process is made of: model cards, plain or in `.lib` sections or in subcircuits.

The files go through the reader of netlists (`rramsim.spice`): what is not known is refused.
"""

import re
from pathlib import Path

from rramsim.exceptions import InputError
from rramsim.spice import Body, ModelCard, Scope, read_deck, read_text

__all__ = ["read_cards", "read_library", "sections"]


def sections(path: Path) -> tuple[str, ...]:
    """The names of a file's `.lib` sections, in lower case; none for a file without."""
    text = read_text(path, "a model card")
    found = re.findall(r"^[ \t]*\.lib[ \t]+[\"']?([\w.+-]+)[\"']?[ \t]*$", text, re.I | re.M)
    return tuple(dict.fromkeys(name.lower() for name in found))


def read_library(path: Path, section: str | None = None) -> Body:
    """Read a file of models, of one `.lib` section where it has some.

    Raises `InputError`, naming file and line, for a file without a model and for elements outside
    of subcircuits.
    """
    body = read_deck(path, what="a model card", section=section).body
    if body.elements:
        statement = body.elements[0]
        raise InputError(
            f"{statement.where}: {statement.name!r} is not allowed in a model card outside a "
            "subcircuit; only .model, .param, .subckt and .lib are"
        )
    if not body.models and not body.subcircuits:
        raise InputError(f"{path}: no '.model' in this file")
    return body


def read_cards(path: Path, section: str | None = None) -> tuple[ModelCard, ...]:
    """Read every `.model` of a file that stands outside of subcircuits, and evaluate it."""
    body = read_library(path, section)
    scope = Scope(body).opened()
    return tuple(scope.card(statement) for statement in body.models.values())
