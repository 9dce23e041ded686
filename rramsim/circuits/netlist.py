"""Read a SPICE netlist as data: subcircuits, their pins, their elements; never as a program.

ngspice runs `.control` blocks, loads code and opens files that a netlist names. A user's netlist
may only describe a circuit, so only the element letters and dot cards listed here pass, and every
included file must lie in the netlist's own folder.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from rramsim.exceptions import InputError
from rramsim.processes.cards import logical_lines, read_text

__all__ = ["Netlist", "Subcircuit", "read_netlist"]

_ELEMENTS = "rclmxdvie"
_CARDS = (".subckt", ".ends", ".param", ".include", ".inc", ".ic", ".nodeset", ".end")
_MAX_DEPTH = 8
_NAME = re.compile(r"\w[\w.#:-]*", re.ASCII)
_LINE = re.compile(r"[\w\s.#:!+\-*/=(){}',^]*")
_EXPRESSION = re.compile(r"\{[^{}]*\}|'[^']*'")
"""What may stand in a line outside its expressions: ngspice's commands know more signs, which
redirect, separate or run."""


@dataclass(frozen=True, kw_only=True)
class Subcircuit:
    """A `.subckt`: its pins in order, its default parameters, its (line number, text) elements."""

    name: str
    pins: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    elements: tuple[tuple[int, str], ...]


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A netlist that passed the check.

    `subcircuits` by lower-case name; `top` the (line number, text) pairs outside of them.
    """

    path: Path
    subcircuits: dict[str, Subcircuit]
    top: tuple[tuple[int, str], ...]


def read_netlist(path: Path) -> Netlist:
    """Read and check a netlist; raises `InputError` naming file and line for what may not be.

    >>> from rramsim.processes.process import netlists_folder
    >>> read_netlist(netlists_folder() / "pcsa.spice").subcircuits["pcsa"].pins
    ('q', 'qb', 'bl', 'blb', 'sl', 'sen', 'vdd', 'vss')
    """
    path = Path(path)
    subcircuits: dict[str, Subcircuit] = {}
    top: list[tuple[int, str]] = []
    inside: Subcircuit | None = None
    elements: list[tuple[int, str]] = []
    for source, number, line in _lines(path, path.resolve().parent, 0):
        where = f"{source} line {number}"
        key = line.split()[0].lower()
        _check(key, line, where)
        if key == ".subckt":
            if inside:
                raise InputError(f"{where}: .subckt inside .subckt {inside.name}")
            inside, elements = _header(line, where), []
        elif key == ".ends":
            if not inside:
                raise InputError(f"{where}: .ends without .subckt")
            if inside.name in subcircuits:
                raise InputError(f"{where}: subcircuit {inside.name!r} is defined twice")
            subcircuits[inside.name] = Subcircuit(
                name=inside.name,
                pins=inside.pins,
                parameters=inside.parameters,
                elements=tuple(elements),
            )
            inside = None
        else:
            (elements if inside else top).append((number, line))
    if inside:
        raise InputError(f"{path}: .subckt {inside.name} has no .ends")
    return Netlist(path=path, subcircuits=subcircuits, top=tuple(top))


def _lines(path: Path, root: Path, depth: int) -> list[tuple[Path, int, str]]:
    """The logical lines of a file with its includes put in place."""
    if depth > _MAX_DEPTH:
        raise InputError(f"{path}: includes are nested more than {_MAX_DEPTH} deep")
    lines: list[tuple[Path, int, str]] = []
    try:
        read = logical_lines(read_text(path, "a netlist"))
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path} {error}") from error
    for number, line in read:
        fields = line.split(maxsplit=1)
        if fields[0].lower() == ".end":
            break
        if fields[0].lower() in (".include", ".inc"):
            name = fields[1].strip("\"' ") if len(fields) > 1 else ""
            target = (path.parent / name).resolve()
            if not name or not target.is_relative_to(root):
                raise InputError(
                    f"{path} line {number}: includes {name!r}, which lies outside the netlist's "
                    f"folder {root.name}/; put the file beside the netlist"
                )
            lines += _lines(target, root, depth + 1)
        else:
            lines.append((path, number, line))
    return lines


def _header(line: str, where: str) -> Subcircuit:
    fields = re.sub(r"\s*=\s*", "=", line).split()
    fields = [field for field in fields if field.lower() != "params:"]
    if len(fields) < 3:
        raise InputError(f"{where}: expected '.subckt NAME PIN ...'")
    pins = tuple(field.lower() for field in fields[2:] if "=" not in field)
    defaults = (field.lower().split("=", 1) for field in fields[2:] if "=" in field)
    return Subcircuit(
        name=fields[1].lower(),
        pins=pins,
        parameters=tuple((name, value) for name, value in defaults),
        elements=(),
    )


def _check(key: str, line: str, where: str) -> None:
    if key.startswith("."):
        if key not in _CARDS:
            raise InputError(
                f"{where}: {key!r} is refused; a netlist describes a circuit and runs nothing "
                f"(allowed: {', '.join(_CARDS)})"
            )
    elif key[0] not in _ELEMENTS:
        raise InputError(
            f"{where}: element {key!r} is refused; allowed are elements that begin with "
            f"{', '.join(_ELEMENTS.upper())}"
        )
    # Backticks and file= run commands or read files in some ngspice elements.
    if "`" in line or re.search(r"\bfile\s*=", line, re.IGNORECASE):
        raise InputError(f"{where}: a backtick or 'file=' is refused in a netlist")
    # A tab is a blank to SPICE, and nothing else unprintable has a meaning.
    if not line.replace("\t", " ").isprintable():
        raise InputError(f"{where}: holds characters that cannot be printed")
    if not key.startswith(".") and not _NAME.fullmatch(key):
        raise InputError(
            f"{where}: the name {key!r} is refused; a name is made of letters, digits and _ . # : -"
        )
    rest = _EXPRESSION.sub("", line)
    if not _LINE.fullmatch(rest):
        strange = next(sign for sign in rest if not _LINE.fullmatch(sign))
        raise InputError(f"{where}: the sign {strange!r} is refused in a netlist")
