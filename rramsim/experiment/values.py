"""What the values of an experiment file may look like: quantities, lists, strict sections."""

import ast
import inspect
import math
import textwrap
from dataclasses import MISSING, fields
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from rramsim.numbers import LARGEST_SEED, Interval, limits_of, quantity, unit_of

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


def setting(owner: type, name: str, **changed: Any) -> Any:
    """The key that sets a field of a dataclass: default, text and limits are that field's.

    The text is what stands below the field. What the key says otherwise goes into `changed`.
    """
    (field,) = (field for field in fields(owner) if field.name == name)
    if field.default is not MISSING:
        changed.setdefault("default", field.default)
    if "description" not in changed:
        changed["description"] = _texts(owner)[name]
    if limits := limits_of(field):
        changed["json_schema_extra"] = {"limits": limits}
    return Field(**changed)


@cache
def _texts(owner: type) -> dict[str, str]:
    """The text below each field of a class that has one."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


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

    @field_validator("*", mode="after")
    @classmethod
    def _within_limits(cls, value: object, info: ValidationInfo) -> object:
        """A value, or each of a list, held to what the field that it sets may be."""
        name = info.field_name or ""
        extra = cls.model_fields[name].json_schema_extra
        if isinstance(extra, dict) and isinstance(limits := extra.get("limits"), Interval):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, int | float) and one not in limits:
                    which = f"{one:g} " if isinstance(value, list) and len(value) > 1 else ""
                    raise ValueError(which + limits.refusal(name, whole=isinstance(one, int)))
        return value
