"""Identity: the SHA-256 of an explicit, versioned, canonical value.

Numbers count by value, so 10e3, 10_000 and `np.float64(1e4)` are one; names and order of fields do
not depend on how a class prints itself. A field that a class gains later does not rename what was
made before: it is declared as `field(default=..., metadata=unnamed_at(...))` and left out where it
has that value, which a later change of its default does not touch.
"""

import hashlib
import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["canonical", "identity", "unnamed_at"]

_UNNAMED = "rramsim identity: unnamed at"


def unnamed_at(value: object) -> dict[str, object]:
    """Metadata of a dataclass's field that an identity leaves out where it has this value."""
    return {_UNNAMED: value}


def identity(kind: str, version: int, /, **parts: Any) -> str:
    """The identity of something of a kind that is all these parts, as 64 hexadecimal digits.

    `version` goes up when the parts mean something else than before.

    >>> import numpy as np
    >>> identity("read", 1, window_s=10e3) == identity("read", 1, window_s=np.float64(10_000))
    True
    """
    value = {"kind": kind, "version": version, "parts": canonical(parts)}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> Any:
    """A value of JSON that two equal values share.

    Takes None, booleans, numbers, text, arrays, lists, dictionaries with names as keys, and
    dataclasses of these; a class that has a property `identity` is known by that. Raises
    `TypeError` for anything else, and for NaN, which equals nothing.

    >>> import numpy as np
    >>> canonical((True, 2.0, np.int8(3), 0.5))
    [True, 2, 3, 0.5]
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return canonical(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, (tuple, list)):
        return [canonical(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: canonical(item) for key, item in value.items()}
    if (own := getattr(type(value), "identity", None)) is not None:
        return {"type": type(value).__name__, "identity": canonical(own.__get__(value))}
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {
            field.name: canonical(found)
            for field in fields(value)
            for found in (getattr(value, field.name),)
            if _UNNAMED not in field.metadata
            or canonical(found) != canonical(field.metadata[_UNNAMED])
        }
    raise TypeError(f"{type(value).__name__} has no canonical value")


def _number(value: float) -> Any:
    """Whole numbers as such, so that no type shows; JSON has no infinity."""
    if math.isnan(value):
        raise TypeError("NaN equals nothing and identifies nothing")
    if math.isinf(value):
        return {"type": "float", "identity": "inf" if value > 0 else "-inf"}
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value
