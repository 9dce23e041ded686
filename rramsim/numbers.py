"""Numbers as people write them: SPICE's in decks and cards, quantities with units in our own keys.

`spice_number` reads what stands in SPICE text, with SPICE's suffixes in either case. `quantity`
reads a value of an experiment file or an option, whose unit the key knows: there "50ns", "10kohm"
and "10min" are taken, a unit that is not the key's is refused, and so is what people and SPICE read
differently, such as 1M. `limited` says at a field of a dataclass what it may be, and
`check_limits` holds it to that.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from decimal import Decimal
from typing import Any, Literal, NamedTuple, get_args, get_origin

from rramsim.exceptions import InputError

__all__ = [
    "LARGEST_SEED",
    "LARGEST_WIDTH",
    "Interval",
    "check_limits",
    "limited",
    "limits_of",
    "quantity",
    "spice_number",
    "unit_of",
    "unit_scale",
]

LARGEST_WIDTH = 4096
"""Of a network: its widest layers hold a billion weights."""

LARGEST_SEED = 2**63 - 1
"""The largest seed: tables and netCDF keep whole numbers of 64 bits."""

_SUFFIXES = {
    "t": "1e12", "g": "1e9", "meg": "1e6", "k": "1e3", "mil": "25.4e-6", "m": "1e-3",
    "u": "1e-6", "\N{MICRO SIGN}": "1e-6", "\N{GREEK SMALL LETTER MU}": "1e-6",
    "n": "1e-9", "p": "1e-12", "f": "1e-15", "a": "1e-18",
}  # fmt: skip
_DIGITS = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)"
_SPICE = re.compile(
    rf"{_DIGITS}(meg|mil|[tgkmunpfa\u00b5\u03bc])?[a-z\u00b0\u03a9\u2126]*", re.IGNORECASE
)
_QUANTITY = re.compile(rf"{_DIGITS}\s*(\D*)", re.IGNORECASE)

_SPELLINGS = {
    "s": ("s", "sec", "second", "seconds"),
    "V": ("V", "volt", "volts"),
    "ohm": ("ohm", "ohms", "\N{GREEK CAPITAL LETTER OMEGA}", "\N{OHM SIGN}"),
    "F": ("F", "farad", "farads"),
    "A": ("A", "amp", "amps", "ampere", "amperes"),
    "m": ("m", "metre", "metres", "meter", "meters"),
    "J": ("J", "joule", "joules"),
    "Hz": ("Hz", "hertz"),
    "siemens": ("S", "siemens", "mho"),
    "degree Celsius": ("C", "\N{DEGREE SIGN}C", "degC", "celsius"),
}
_KEY_UNITS = {
    "s": "s", "v": "V", "ohm": "ohm", "f": "F", "a": "A", "m": "m", "j": "J", "hz": "Hz",
    "c": "degree Celsius",
}  # fmt: skip
_DAY_S = 86400
_TIMES_S = {
    "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600,
    "d": _DAY_S, "day": _DAY_S, "days": _DAY_S, "week": 7 * _DAY_S, "weeks": 7 * _DAY_S,
    "y": 365.25 * _DAY_S, "yr": 365.25 * _DAY_S, "year": 365.25 * _DAY_S,
    "years": 365.25 * _DAY_S,
}  # fmt: skip
_EXAMPLES = {
    "s": "1e-9, 50n, 50ns, 10min or 1y",
    "V": "1.2, 1.2V or 50mV",
    "ohm": "10e3, 10k, 10kohm or 1Meg",
    "F": "1e-15, 1f or 1fF",
    "degree Celsius": "27, -40 or 85C",
}


def spice_number(text: str) -> float:
    """Read a SPICE number: `0.5u` is 5e-7, `2meg` is 2e6; letters behind the suffix are a unit.

    Suffixes are those of SPICE in either case, `a` (1e-18) and `mil` (25.4e-6) among them, and the
    two signs that are written for micro. Raises `ValueError` when `text` is no number.

    >>> spice_number("0.5u"), spice_number("2MEG"), spice_number("1e-9"), spice_number("1mil")
    (5e-07, 2000000.0, 1e-09, 2.54e-05)
    """
    match = _SPICE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a SPICE number")
    return _scaled(match[1], match[2] or "")


def unit_of(key: str) -> str | None:
    """The unit that the last part of a key's name stands for; None for a number without one.

    >>> unit_of("window_s"), unit_of("verify_hrs_min_ohm"), unit_of("threshold")
    ('s', 'ohm', None)
    """
    stem, _, last = key.rpartition("_")
    return _KEY_UNITS.get(last.lower()) if stem else None


def quantity(text: str, *, unit: str | None) -> float:
    """Read a value of a key whose unit is `unit`, in that unit.

    A number alone, with a SPICE suffix, with the unit, or both: `1.2`, `50n`, `1.2V`, `10 kohm`;
    times also in minutes, hours, days and years. Raises `ValueError`, which says what would be
    right, for another unit, and for an ending that SPICE reads otherwise than people do: a
    capital M, which is milli there, or `10F`, which is femto.

    >>> quantity("50ns", unit="s"), quantity("10kohm", unit="ohm"), quantity("1h", unit="s")
    (5e-08, 10000.0, 3600.0)
    """
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        raise ValueError(f"must be a number{_such_as(unit)}")
    digits, ending = match[1], match[2].strip()
    number = Decimal(digits)
    if unit == "degree Celsius":
        return _celsius(float(number), ending, text)
    if unit == "s" and ending in _TIMES_S:
        return float(number * Decimal(_TIMES_S[ending]))
    if re.match("M(?!eg|EG|IL)", ending):
        raise ValueError(
            f"has two readings: SPICE's M is milli, people's is mega; write {digits}Meg "
            f"or {float(number) * 1e6:g} for the one, {digits}m for the other"
        )
    spellings = _SPELLINGS.get(unit or "", ())
    if ending in spellings and ending.lower() in _SUFFIXES and ending.isupper():
        raise ValueError(
            f"has two readings: SPICE's {ending} is {_SUFFIXES[ending.lower()]}, which "
            f"{digits}{ending.lower()} says; for {digits} {spellings[1]} write {digits}"
        )
    # "1.2A" of a voltage is a slip, not 1.2 atto; "10K" is nobody's unit here.
    signs = {one[0] for one in _SPELLINGS.values() if one[0].isupper()} - set(spellings)
    for suffix in ("", *sorted(_SUFFIXES, key=len, reverse=True)) if ending not in signs else ():
        rest = ending[len(suffix) :].strip()
        fits = not rest or rest in spellings or (len(rest) > 1 and rest.lower() in spellings)
        # A metre's sign alone is SPICE's milli, as in any other key; mil is a length.
        if (suffix == "" and ending in _SUFFIXES) or (suffix == "mil" and unit != "m"):
            continue
        if fits and ending.lower().startswith(suffix):
            return _scaled(digits, suffix)
    raise ValueError(
        f"{ending!r} is no unit of it; it is in {unit or 'plain numbers'}{_such_as(unit)}"
    )


def _scaled(digits: str, suffix: str) -> float:
    # In decimals, not as a product of floats, so that 0.5u is exactly 5e-07.
    value = float(Decimal(digits) * Decimal(_SUFFIXES[suffix.lower()] if suffix else 1))
    if not math.isfinite(value):
        raise ValueError(f"{digits}{suffix} is too large a number")
    return value


def _such_as(unit: str | None) -> str:
    return f", such as {_EXAMPLES.get(unit or '', '0.5 or 10k')}"


def _celsius(value: float, ending: str, text: str) -> float:
    if not ending or ending in _SPELLINGS["degree Celsius"]:
        return value
    fahrenheit = (value - 32) / 1.8
    known = {"K": value - 273.15, "F": fahrenheit, "\N{DEGREE SIGN}F": fahrenheit}
    meant = f"; {text.strip()} is {known[ending]:.6g}" if ending in known else ""
    raise ValueError(f"must be in degrees Celsius{meant}; write the number alone, such as 85")


class Interval(NamedTuple):
    """What a number may be: from `low` (or above it) to `high` (or below it), and why."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    why: str = ""

    def __contains__(self, value: object) -> bool:
        assert isinstance(value, int | float)
        low = self.low < value if self.above else self.low <= value
        high = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and low and high

    def __str__(self) -> str:
        low, high = (f"{x}" if isinstance(x, int) else f"{x:.15g}" for x in self[:2])
        if not (self.above or self.below) and math.inf not in (-self.low, self.high):
            return f"between {low} and {high}"
        floor = f"{'above' if self.above else 'at least'} {low}"
        ceiling = f"{'below' if self.below else 'at most'} {high}"
        return " and ".join([floor] * (self.low > -math.inf) + [ceiling] * (self.high < math.inf))

    def refusal(self, key: str, *, whole: bool) -> str:
        """What a value of the key must be, with its unit."""
        unit = (unit_of(key) or "").replace("degree", "degrees")
        why = f" ({self.why})" if self.why else ""
        return f"must be {'a whole number ' if whole else ''}{f'{self} {unit}'.strip()}{why}"


def limited(
    default: Any = MISSING, *, marks: Mapping[str, Any] | None = None, **limits: Any
) -> Any:
    """A field of a dataclass that must lie in `Interval(**limits)`; whole where its type is int.

    `marks` are further metadata of the field.
    """
    return field(default=default, metadata={"limits": Interval(**limits), **(marks or {})})


def limits_of(field: "Field[Any]") -> Interval | None:
    """What `limited` said of a field."""
    return field.metadata.get("limits")


def check_limits(value: Any) -> None:
    """Raise `InputError` of one line for the first field of a dataclass that `limited` refuses, or
    that is not one of its `Literal`.

    None passes: what is left out is for its owner to refuse. Floats become plain ones: the repr of
    a numpy number is no number to a simulator.
    """
    for each in fields(value):
        limits, found = limits_of(each), getattr(value, each.name)
        if get_origin(each.type) is Literal and found not in get_args(each.type):
            known = ", ".join(map(repr, get_args(each.type)))
            raise InputError(f"{each.name} = {found!r}: must be one of {known}")
        if limits is None or found is None:
            continue
        if whole := int in (each.type, *get_args(each.type)):
            right = isinstance(found, int) and not isinstance(found, bool) and found in limits
        else:
            object.__setattr__(value, each.name, found := float(found))
            right = found in limits
        if not right:
            shown = repr(found) if whole else f"{found:.15g}"
            raise InputError(f"{each.name} = {shown}: {limits.refusal(each.name, whole=whole)}")


def unit_scale(text: str, *, unit: str) -> float | None:
    """What a column's unit multiplies its numbers with to give `unit`; None for another unit.

    Column heads are not SPICE: a capital M is mega there.

    >>> unit_scale("kOhm", unit="ohm"), unit_scale("uA", unit="A"), unit_scale("V", unit="A")
    (1000.0, 1e-06, None)
    """
    text = text.strip()
    for spelling in _SPELLINGS[unit]:
        prefix = text[: len(text) - len(spelling)]
        same = text[len(prefix) :]
        if same == spelling or (len(spelling) > 1 and same.lower() == spelling):
            suffix = {"": "", "M": "meg", "K": "k"}.get(prefix, prefix)
            if suffix == "" or (suffix in _SUFFIXES and prefix != "mil") or prefix in ("G", "T"):
                return _scaled("1", suffix)
    return None
