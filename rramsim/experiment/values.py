"""What the values of an experiment file may look like: quantities, lists, strict sections."""

import math
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from rramsim.numbers import LARGEST_SEED, quantity, unit_of

__all__ = ["ListOf", "Quantity", "Section", "Seed", "or_default"]

T = TypeVar("T")


def _quantity(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        return quantity(value, unit=unit_of(info.field_name or ""))
    if isinstance(value, bool):
        raise ValueError("must be a number, such as 1.2 or '50n'")
    if isinstance(value, int | float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


Quantity = Annotated[float, BeforeValidator(_quantity)]
"""A number in the unit that its key ends in, also with a suffix or unit: 1.2, "50n", "10kohm"."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""A seed: what every draw and every result file can hold."""

ListOf = Annotated[list[T], BeforeValidator(_list), Field(min_length=1)]
"""One value or a list of them; a list is an axis of the sweep."""


class Section(BaseModel):
    """A table of the experiment file: unknown keys and wrong types are refused.

    The text below a key is its description, which `rramsim init` writes beside it.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


def or_default(value: float | None, default: float) -> float:
    """Return the value, or the default if there is none."""
    return default if value is None else value
