"""Read transistor model cards: plain SPICE `.model` blocks, binned or not.

A card is a user's file and may not do anything: only `.model`, `.param` and comments are read;
includes, control blocks and everything else are refused with their line.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from rramsim.exceptions import InputError
from rramsim.numbers import spice_number

__all__ = ["ModelCard", "logical_lines", "read_cards", "read_text"]

_NAME = re.compile(r"\w[\w.#-]*", re.ASCII)
_BIN_KEYS = ("lmin", "lmax", "wmin", "wmax")
_MAX_BYTES = 64 * 2**20


def read_text(path: Path, what: str) -> str:
    """Read a text file of the user's, or raise an `InputError` that says what it was to be."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: larger than 64 MiB; {what} is a short text file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot read {what} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: {what} is not UTF-8 text") from error


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Join continued lines, drop comments; returns (number of the first line, text) pairs.

    >>> logical_lines("* title\\nm1 a b\\n+ c d $ tail\\n")
    [(2, 'm1 a b c d')]
    """
    lines: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.split(r"\s\$|;", raw, maxsplit=1)[0].strip()
        if not line or line.startswith("*"):
            continue
        if line.startswith("+"):
            if not lines:
                raise InputError(f"line {number}: '+' continues nothing")
            first, before = lines[-1]
            lines[-1] = (first, f"{before} {line[1:].strip()}")
        else:
            lines.append((number, line))
    return lines


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One `.model` block.

    `name` is the device name without its bin's number, `bin_name` the name in the file;
    `body` what follows `.model NAME TYPE` without the bin's limits; `limits_m` those limits as
    (lmin, lmax, wmin, wmax), or None for a card that is not binned.
    """

    name: str
    bin_name: str
    kind: str
    body: str
    limits_m: tuple[float, float, float, float] | None

    def covers(self, width_m: float, length_m: float) -> bool:
        """Tell whether the card is valid for a geometry (ngspice's rule: min <= x < max)."""
        if self.limits_m is None:
            return True
        lmin, lmax, wmin, wmax = self.limits_m
        return lmin <= length_m < lmax and wmin <= width_m < wmax

    def parameter(self, name: str) -> float | None:
        """The value of a parameter, or None if the card does not set it as a plain number."""
        match = re.search(rf"(?:^|\s){re.escape(name)}\s*=\s*([^\s)]+)", self.body, re.IGNORECASE)
        if not match:
            return None
        try:
            return spice_number(match[1])
        except ValueError:
            return None

    def with_values(self, values: dict[str, str]) -> "ModelCard":
        """The card with some parameters set to other values, as texts."""
        body = self.body
        for name, value in values.items():
            pattern = rf"(^|\s){re.escape(name)}\s*=\s*[^\s)]+"
            body, found = re.subn(pattern, rf"\g<1>{name}={value}", body, flags=re.IGNORECASE)
            if not found:
                body = f"{body} {name}={value}"
        return replace(self, body=body)

    def renamed(self, name: str) -> str:
        """The card as SPICE text under another name, so that it can be altered alone."""
        fields = self.body.replace("(", " ").replace(")", " ").split()
        text = " ".join(fields)
        pairs = re.split(r"\s+(?=[A-Za-z_]\w*\s*=)", text)
        lines = [f".model {name} {self.kind}"]
        # ngspice's lines are bounded; eight parameters a line stay well below that.
        lines += ["+ " + " ".join(pairs[i : i + 8]) for i in range(0, len(pairs), 8)]
        return "\n".join(lines)


def read_cards(path: Path) -> tuple[ModelCard, ...]:
    """Read every `.model` of the file `path`.

    Raises `InputError`, naming file and line, for anything but `.model`, `.end` and comments.
    """
    cards: list[ModelCard] = []
    for number, line in logical_lines(read_text(path, "a model card")):
        key = line.split()[0].lower()
        if key == ".end":
            break
        if key != ".model":
            raise InputError(
                f"{path} line {number}: {key!r} is not allowed in a model card; "
                "only '.model' blocks with plain numbers are"
            )
        match = re.fullmatch(
            r"\.model\s+(\S+)\s+(\w+)\s*\(?(.*?)\)?\s*", line, re.IGNORECASE | re.DOTALL
        )
        if not match:
            raise InputError(f"{path} line {number}: expected '.model NAME TYPE parameters'")
        bin_name, kind, body = match[1], match[2].lower(), match[3]
        if not _NAME.fullmatch(bin_name):
            raise InputError(
                f"{path} line {number}: the model's name {bin_name!r} is refused; a name is made "
                "of letters, digits and _ . - #"
            )
        if re.search(r"[{}'\"`]", body):
            raise InputError(
                f"{path} line {number}: model {bin_name} holds an expression or a string; "
                "give plain numbers (rramsim draws mismatch itself)"
            )
        if strange := re.search(r"[^\w\s.+\-=(),]", body):
            raise InputError(
                f"{path} line {number}: model {bin_name} holds the sign {strange[0]!r}; "
                "a card is made of names and numbers"
            )
        cards.append(_card(bin_name, kind, body, f"{path} line {number}"))
    if not cards:
        raise InputError(f"{path}: no '.model' in this file")
    return tuple(cards)


def _card(bin_name: str, kind: str, body: str, where: str) -> ModelCard:
    limits: list[float] = []
    for key in _BIN_KEYS:
        match = re.search(rf"(?:^|\s){key}\s*=\s*(\S+)", body, re.IGNORECASE)
        if match:
            try:
                limits.append(spice_number(match[1]))
            except ValueError as error:
                raise InputError(f"{where}: {key} = {match[1]} is not a number") from error
    binned = len(limits) == len(_BIN_KEYS)
    if binned:
        body = re.sub(r"(?:^|\s)[lw](?:min|max)\s*=\s*\S+", " ", body, flags=re.IGNORECASE)
    stem, dot, index = bin_name.rpartition(".")
    name = stem if binned and dot and index.isdigit() else bin_name
    return ModelCard(
        name=name,
        bin_name=bin_name,
        kind=kind,
        body=body.strip(),
        limits_m=(limits[0], limits[1], limits[2], limits[3]) if binned else None,
    )
