"""What counts as a failure of a sense: an error type, or any measure against a limit."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from rramsim.circuits import SenseConditions
from rramsim.exceptions import InputError
from rramsim.numbers import spice_number

__all__ = ["MEASURES", "Criterion", "parse_criterion"]

MEASURES = {
    "resolve_time_s": ("resolve time", "s"),
    "differential_v": ("differential of the outputs at the strobe", "V"),
    "energy_j": ("energy of a full cycle", "J"),
    "swing_v": ("fall of the deeper output until the strobe", "V"),
}
"""Measures of a sense, each with its words and unit. A sense that does not resolve has an infinite
resolve time; the differential is positive for the right sign, and without sign for a written 0."""

_TYPES = {
    "type 1": "±1 read with the wrong sign",
    "type 2": "±1 read as 0",
    "type 3": "0 read as ±1",
    "binary": "±1 not read with the right sign",
}


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """`name` is an error type of `_TYPES`, or a measure that fails `side` of `limit`.

    `strobe_s` looks at another time than the end of the conditions' window; `written` restricts
    the pooled written values.
    """

    name: str
    side: Literal["above", "below"] | None = None
    limit: float | None = None
    strobe_s: float | None = None
    written: tuple[int, ...] = (1, -1)

    def __post_init__(self) -> None:
        if self.is_measure:
            if self.side is None or self.limit is None:
                raise InputError(f"failure {self.name!r}: a measure fails above or below a limit")
        elif self.name not in _TYPES:
            raise InputError(
                f"failure {self.name!r}: must be {', '.join(_TYPES)}, or a measure against a "
                f"limit, such as 'resolve_time_s > 40n' (measures: {', '.join(MEASURES)})"
            )
        allowed = {"type 3": {0}}.get(self.name, {-1, 0, 1} if self.is_measure else {-1, 1})
        if not self.written or set(self.written) - allowed:
            raise InputError(
                f"failure {self.name!r} of written {', '.join(f'{w:+d}' for w in self.written)}: "
                "types 1 and 2 are errors of a written +1 or -1, type 3 of a written 0"
            )

    @property
    def is_measure(self) -> bool:
        """Whether a measure is held against a limit."""
        return self.name in MEASURES

    @property
    def needs_tie(self) -> bool:
        """Whether a near tie may fail by being undecided, a thin region in which codes hide."""
        return self.name in ("type 2", "binary", "resolve_time_s")

    @property
    def label(self) -> str:
        """What fails, in words."""
        at = "" if self.strobe_s is None else f" at {self.strobe_s * 1e9:g} ns"
        if self.is_measure:
            words, unit = MEASURES[self.name]
            return f"{words} {self.side} {self.limit:g} {unit}{at}"
        return f"{self.name}: {_TYPES[self.name]}{at}"

    def conditions(self, given: SenseConditions) -> SenseConditions:
        """The conditions with the criterion's own strobe."""
        return given if self.strobe_s is None else replace(given, window_s=self.strobe_s)


def parse_criterion(text: str, *, written: int | None = None) -> Criterion:
    """Read a failure: 'type 1', 'type 2 at 60n', 'binary', 'energy_j > 500f', ...

    `written` restricts it to one written weight; else ±1 are pooled, and type 3 is of a 0.
    Raises `InputError` for anything else.

    >>> parse_criterion("resolve_time_s > 40n").label
    'resolve time above 4e-08 s'
    >>> parse_criterion("type 3").written
    (0,)
    """
    match = re.fullmatch(
        r"\s*(?P<name>type\s*[123]|\w+?)\s*(?:(?P<side>[<>])\s*(?P<limit>[^\s]+)\s*)?"
        r"(?:\bat\s+(?P<strobe>[^\s]+)\s*)?",
        text,
    )
    if match is None:
        raise InputError(
            f"failure {text!r}: cannot read it; such as 'type 1', 'type 2 at 60n' or "
            "'energy_j > 500f'"
        )
    name = re.sub(r"^type\s*", "type ", match["name"])
    values: dict[str, float | None] = {}
    for key in ("limit", "strobe"):
        try:
            values[key] = None if match[key] is None else spice_number(match[key])
        except ValueError as error:
            raise InputError(f"failure {text!r}: {match[key]!r} is not a number") from error
    side = None if match["side"] is None else "above" if match["side"] == ">" else "below"
    default = (0,) if name == "type 3" else (1, -1)
    return Criterion(
        name=name,
        side=side,  # type: ignore[arg-type]
        limit=values["limit"],
        strobe_s=values["strobe"],
        written=default if written is None else (written,),
    )
