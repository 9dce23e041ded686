"""A SPICE deck as elements: subcircuits flattened, parameters and expressions evaluated."""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rramsim.exceptions import InputError
from rramsim.numbers import spice_number
from rramsim.processes.cards import logical_lines

__all__ = ["FlatCircuit", "Mosfet", "TwoTerminal", "VoltageSource", "flatten"]

_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z\u00b5\u03bc]*", re.I)
_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_KNOWN = "R, C, V (DC or PULSE), M and X"


@dataclass(frozen=True, kw_only=True)
class TwoTerminal:
    """A resistor (ohm) or a capacitor (farad)."""

    name: str
    nodes: tuple[str, str]
    value: float
    line: str


@dataclass(frozen=True, kw_only=True)
class VoltageSource:
    """A source as PULSE numbers (v1, v2, delay, rise, fall, width, period); DC has v1 = v2."""

    name: str
    nodes: tuple[str, str]
    pulse: tuple[float, float, float, float, float, float, float]
    line: str


@dataclass(frozen=True, kw_only=True)
class Mosfet:
    """A transistor: nodes drain, gate, source, bulk; its model and its instance parameters."""

    name: str
    nodes: tuple[str, str, str, str]
    model: str
    parameters: tuple[tuple[str, float], ...]
    line: str


@dataclass(frozen=True, kw_only=True)
class FlatCircuit:
    """What a deck describes, without hierarchy.

    Nodes and elements inside instance `x1` are called `x1.NAME`; `models` maps a name to its
    (kind, parameters) text; `initial_v` holds the `.ic` lines.
    """

    resistors: tuple[TwoTerminal, ...]
    capacitors: tuple[TwoTerminal, ...]
    sources: tuple[VoltageSource, ...]
    mosfets: tuple[Mosfet, ...]
    models: dict[str, tuple[str, str]]
    initial_v: dict[str, float]


def flatten(deck: str) -> FlatCircuit:
    """Flatten a deck whose first line is a title.

    Raises `InputError`, quoting the line, for an element or a card that the batch engine does
    not know; ngspice may know it.

    >>> flat = flatten("title\\n.param k=2\\nr1 a 0 {k * 1k}\\nv1 a 0 1")
    >>> flat.resistors[0].value
    2000.0
    """
    build = _Build()
    # The title may begin like an element; logical_lines has no notion of it.
    lines = [line.lower() for _, line in logical_lines(deck.split("\n", 1)[-1])]
    top: list[str] = []
    inside: list[str] | None = None
    for line in lines:
        key = line.split()[0]
        if key == ".model":
            _, name, kind, body = [*line.split(maxsplit=3), ""][:4]
            build.models[name] = (kind, body)
        elif key == ".subckt":
            fields = re.sub(r"\s*=\s*", "=", line).split()
            inside = []
            pins = [f for f in fields[2:] if "=" not in f and f != "params:"]
            defaults = dict(f.split("=", 1) for f in fields[2:] if "=" in f)
            build.subcircuits[fields[1]] = (pins, defaults, inside)
        elif key == ".ends":
            inside = None
        else:
            (top if inside is None else inside).append(line)
    build.walk(top, prefix="", nodes={}, values={})
    return FlatCircuit(
        resistors=tuple(build.resistors),
        capacitors=tuple(build.capacitors),
        sources=tuple(build.sources),
        mosfets=tuple(build.mosfets),
        models=build.models,
        initial_v=build.initial_v,
    )


class _Build:
    """The lists that grow while the hierarchy is walked."""

    def __init__(self) -> None:
        self.resistors: list[TwoTerminal] = []
        self.capacitors: list[TwoTerminal] = []
        self.sources: list[VoltageSource] = []
        self.mosfets: list[Mosfet] = []
        self.models: dict[str, tuple[str, str]] = {}
        self.subcircuits: dict[str, tuple[list[str], dict[str, str], list[str]]] = {}
        self.initial_v: dict[str, float] = {}

    def walk(
        self, lines: list[str], *, prefix: str, nodes: dict[str, str], values: dict[str, float]
    ) -> None:
        def node(name: str) -> str:
            if name in ("0", "gnd"):
                return "0"
            return nodes.get(name, prefix + name)

        for line in lines:
            if line.startswith(".param"):
                for name, text in _assignments(line[6:]):
                    values[name] = _value(text, values, line)
        for line in lines:
            key = line.split()[0]
            if key in (".param", ".options", ".option", ".nodeset", ".end"):
                continue
            if key == ".ic":
                for name, text in re.findall(r"v\(\s*([^)\s]+)\s*\)\s*=\s*(\{[^}]*\}|\S+)", line):
                    self.initial_v[node(name)] = _value(text, values, line)
                continue
            self._element(key, line, prefix, node, values)

    def _element(
        self,
        key: str,
        line: str,
        prefix: str,
        node: Callable[[str], str],
        values: dict[str, float],
    ) -> None:
        name = prefix + key
        fields = _fields(line)
        if key[0] in "rc" and len(fields) >= 4:
            text = fields[3].split("=", 1)[-1]
            value = _value(text, values, line)
            if len(fields) > 4:
                raise _unknown(line, f"only '{key[0].upper()}<name> node node value' is")
            if key[0] == "r" and not value > 0:
                raise InputError(f"'{line}': a resistance is above 0 ohm")
            if key[0] == "c" and value < 0:
                raise InputError(f"'{line}': a capacitance is not below 0 F")
            part = TwoTerminal(
                name=name, nodes=(node(fields[1]), node(fields[2])), value=value, line=line
            )
            (self.resistors if key[0] == "r" else self.capacitors).append(part)
        elif key[0] == "v" and len(fields) >= 4:
            self.sources.append(
                VoltageSource(
                    name=name,
                    nodes=(node(fields[1]), node(fields[2])),
                    pulse=_waveform(line, values),
                    line=line,
                )
            )
        elif key[0] == "m" and len(fields) >= 6:
            drain, gate, source, bulk = (node(f) for f in fields[1:5])
            self.mosfets.append(
                Mosfet(
                    name=name,
                    nodes=(drain, gate, source, bulk),
                    model=fields[5],
                    parameters=tuple(
                        (k, _value(text, values, line))
                        for k, text in (f.split("=", 1) for f in fields[6:])
                    ),
                    line=line,
                )
            )
        elif key[0] == "x":
            plain = [f for f in fields[1:] if "=" not in f]
            if plain[-1] not in self.subcircuits:
                raise InputError(f"'{line}': no .subckt {plain[-1]!r}")
            pins, defaults, inner = self.subcircuits[plain[-1]]
            if len(plain) - 1 != len(pins):
                raise InputError(
                    f"'{line}': gives {len(plain) - 1} nodes; {plain[-1]} has {len(pins)} pins"
                )
            given = dict(f.split("=", 1) for f in fields[1:] if "=" in f)
            own = dict(values)
            for k, text in (defaults | given).items():
                own[k] = _value(text, values, line)
            bound = {pin: node(f) for pin, f in zip(pins, plain[:-1], strict=True)}
            self.walk(inner, prefix=name + ".", nodes=bound, values=own)
        else:
            raise _unknown(line, f"it knows {_KNOWN}")


def _unknown(line: str, knows: str) -> InputError:
    return InputError(
        f"'{line}': the batch engine does not know this element ({knows}); "
        'use ngspice (--engine ngspice, or engine = "ngspice")'
    )


def _fields(line: str) -> list[str]:
    """Fields of a line, with `a = b` and `{...}` kept as one field each."""
    line = re.sub(r"\s*=\s*", "=", line)
    line = re.sub(r"\{[^}]*\}|'[^']*'", lambda m: m[0].replace(" ", ""), line)
    return line.split()


def _assignments(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(\w+)\s*=\s*(\{[^}]*\}|'[^']*'|\S+)", text)


def _waveform(
    line: str, values: dict[str, float]
) -> tuple[float, float, float, float, float, float, float]:
    rest = line.split(maxsplit=3)[3].strip()
    match = re.fullmatch(r"pulse\s*\((.*)\)", rest)
    if match:
        texts = re.findall(r"\{[^}]*\}|'[^']*'|[^\s,]+", match[1])
        if len(texts) != 7:
            raise _unknown(line, "a PULSE needs its seven numbers")
        numbers = [_value(text, values, line) for text in texts]
        if min(numbers[3:6]) < 0 or numbers[3] == 0 or numbers[4] == 0:
            raise InputError(
                f"'{line}': a PULSE's edges are longer than 0 s, and its width is not below 0 s "
                "(is the window shorter than the edge?)"
            )
        if numbers[6] < numbers[3] + numbers[4] + numbers[5]:
            raise InputError(f"'{line}': the PULSE's period is shorter than the pulse")
        return (*numbers,)  # type: ignore[return-value]
    value = _value(re.sub(r"^dc\s+", "", rest), values, line)
    return (value, value, 0.0, 1.0, 1.0, 1.0, 1e9)


def _value(text: str, values: dict[str, float], line: str) -> float:
    """Evaluate a number, a parameter or an expression in braces."""
    inner = text.strip()
    if inner[:1] in "{'":
        inner = inner[1:-1]
    try:
        plain = _NUMBER.sub(lambda m: repr(spice_number(m[0])), inner)
        return float(_evaluate(ast.parse(plain.strip(), mode="eval").body, values))
    except (ValueError, SyntaxError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            f"'{line}': cannot evaluate {text!r} ({error}); the batch engine knows numbers, "
            "parameters and + - * / **"
        ) from error


def _evaluate(node: ast.AST, values: dict[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise ValueError(f"no parameter {node.id!r}")
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _evaluate(node.left, values), _evaluate(node.right, values)
        return float(_OPERATORS[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return float(_OPERATORS[type(node.op)](_evaluate(node.operand, values)))
    raise ValueError("only + - * / ** and parentheses are known")
