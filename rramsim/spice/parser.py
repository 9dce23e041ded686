"""Read SPICE netlists, cards and libraries as statements; nothing is evaluated or run.

Everything a file holds is either understood or refused by file, line and word. Files are included
from one folder only, within a budget of files, bytes and time.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rramsim.exceptions import InputError
from rramsim.spice.lines import Where, logical_lines, read_text

_TOKEN = re.compile(
    r"\{[^{}]*\}|'[^']*'|\"[^\"]*\"|[\w.#:\-+!\[\]/@^*µμω]+|\S", re.ASCII
)  # fmt: skip
_NAME = re.compile(r"[\w.#:\-+!\[\]/@µμω]+", re.ASCII)
_NAMES = re.compile(r"[\w.#:\-+!\[\]/@µμω ]*", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z_][\w.]*", re.ASCII)
_SIGNS = frozenset("=(),")
_QUOTES = "{'\""
_MAX_FILES, _MAX_SECONDS, _MAX_DEPTH, _MAX_PARAMETERS = 1000, 60.0, 32, 1000

_NODES = {"r": 2, "c": 2, "l": 2, "d": 2, "v": 2, "i": 2, "e": 4, "g": 4, "m": 4}
_SHAPES = {
    "r": "R<name> node node value", "c": "C<name> node node value",
    "l": "L<name> node node value", "d": "D<name> anode cathode model",
    "v": "V<name> node node [dc] value or pulse(...)",
    "i": "I<name> node node [dc] value or pulse(...)",
    "e": "E<name> node node control control gain", "g": "G<name> node node control control gain",
    "m": "M<name> drain gate source bulk model W=.. L=..", "x": "X<name> node ... subcircuit",
}  # fmt: skip
MOS_PARAMETERS = frozenset((
    "w", "l", "ad", "as", "pd", "ps", "nrd", "nrs", "nf", "m", "mult", "sa", "sb", "sd", "sca",
    "scb", "scc", "sc", "delvto", "mulu0", "min", "geomod", "rgeomod", "rbodymod", "rgatemod",
    "trnqsmod", "acnqsmod",
))  # fmt: skip
_KNOWN = {
    "m": MOS_PARAMETERS, "d": frozenset(("area", "m", "pj", "perim")),
    "r": frozenset(("r", "m")), "c": frozenset(("c", "m")), "l": frozenset(("l", "m")),
    "v": frozenset(), "i": frozenset(("m",)), "e": frozenset(), "g": frozenset(("m",)),
}  # fmt: skip
_WAVES = {"pulse": (2, 7), "pwl": (4, 10_000), "sin": (2, 6), "exp": (2, 6), "sffm": (2, 5)}
_OPTIONS = ("scale", "wnflag")
_CARDS = (
    ".subckt, .ends, .param, .model, .func, .include, .lib, .endl, .global, .ic, .nodeset, "
    ".measure tran, .option scale, .end"
)


class Text(NamedTuple):
    """A value as it is written, and where."""

    text: str
    where: Where


class Statement(NamedTuple):
    """An element line: its letter, name, nodes, model (of D, M and X), values and assignments."""

    letter: str
    name: str
    nodes: tuple[str, ...]
    model: str
    values: tuple[str, ...]
    assigned: dict[str, str]
    where: Where


class ModelStatement(NamedTuple):
    """A `.model` line."""

    name: str
    kind: str
    assigned: dict[str, str]
    where: Where


class Function(NamedTuple):
    """A `.func` line."""

    arguments: tuple[str, ...]
    text: str
    where: Where


@dataclass(kw_only=True)
class Body:
    """What stands between `.subckt` and `.ends`, or outside of them; names are lower case.

    `initial` holds (".ic" or ".nodeset", node, value); `options` are those of the whole deck;
    `measures` the words behind `.measure tran NAME`.
    """

    options: dict[str, Text] = field(default_factory=dict)
    elements: list[Statement] = field(default_factory=list)
    parameters: dict[str, Text] = field(default_factory=dict)
    models: dict[str, ModelStatement] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    subcircuits: dict[str, "Subcircuit"] = field(default_factory=dict)
    initial: list[tuple[str, str, Text]] = field(default_factory=list)
    measures: dict[str, tuple[tuple[str, ...], Where]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Subcircuit:
    """A `.subckt`: its pins in order and its parameters with their defaults."""

    name: str
    pins: tuple[str, ...]
    defaults: dict[str, str]
    body: Body
    where: Where


@dataclass(kw_only=True)
class Deck:
    """A file and all that it includes; `nodes` are those of its `.global` lines."""

    path: Path
    body: Body
    nodes: set[str] = field(default_factory=set)


def read_deck(
    path: Path, *, what: str = "a netlist", section: str | None = None, root: Path | None = None
) -> Deck:
    """Read a file of SPICE text; raises `InputError` that names file, line and word.

    `section` selects `.lib NAME ... .endl` in the file; `root` is the folder (the file's own)
    that included files must lie in.

    >>> from rramsim.processes.process import netlists_folder
    >>> read_deck(netlists_folder() / "pcsa.spice").body.subcircuits["pcsa"].pins
    ('q', 'qb', 'bl', 'blb', 'sl', 'sen', 'vdd', 'vss')
    """
    path = Path(path)
    reader = _Reader(path, what, (root or path.parent).resolve())
    reader.file(path, section)
    return reader.finished()


def parse_deck(text: str, path: Path) -> Deck:
    """As `read_deck`, for text that is not in a file; `path` is what messages call it."""
    reader = _Reader(path, "a netlist", path.parent)
    reader.text(text, path, None)
    return reader.finished()


def canonical(body: Body) -> str:
    """All that a body says, without where it stands and how it is set: for a hash."""
    inner = [
        (sub.name, sub.pins, sorted(sub.defaults.items()), canonical(sub.body))
        for _, sub in sorted(body.subcircuits.items())
    ]
    said = (
        [tuple(s[:6]) for s in body.elements],
        sorted((name, text.text) for name, text in body.parameters.items()),
        sorted((m.name, m.kind, list(m.assigned.items())) for m in body.models.values()),
        sorted((name, f.arguments, f.text) for name, f in body.functions.items()),
        sorted((name, text.text) for name, text in body.options.items()),
        [(what, node, text.text) for what, node, text in body.initial],
        inner,
    )
    return repr(said)


def merged(bodies: list[Body]) -> Body:
    """Several files as one; raises `InputError` for a model or a subcircuit that two define."""
    whole = Body()
    for body in bodies:
        for what in ("models", "subcircuits"):
            held = getattr(whole, what)
            for name, found in getattr(body, what).items():
                if name in held:
                    raise InputError(
                        f"{found.where}: {name} is defined twice (first in {held[name].where})"
                    )
                held[name] = found
        whole.elements += body.elements
        whole.initial += body.initial
        for what in ("parameters", "functions", "options"):
            getattr(whole, what).update(getattr(body, what))
    return whole


class _Reader:
    """Puts lines where they belong; `open` are the subcircuits that have begun."""

    def __init__(self, path: Path, what: str, root: Path) -> None:
        self.deck, self.what, self.root = Deck(path=path, body=Body()), what, root
        self.open: list[Subcircuit] = []
        self.body = self.deck.body
        self.files = self.depth = 0
        self.until = time.monotonic() + _MAX_SECONDS

    def file(self, path: Path, section: str | None) -> None:
        self.files += 1
        self.depth += 1
        if self.files > _MAX_FILES or self.depth > _MAX_DEPTH:
            raise InputError(
                f"{path}: more than {_MAX_FILES} files are included, or more than {_MAX_DEPTH} deep"
            )
        self.text(read_text(path, self.what), path, section)
        self.depth -= 1

    def finished(self) -> Deck:
        if self.open:
            subcircuit = self.open[-1]
            raise InputError(f"{subcircuit.where}: .subckt {subcircuit.name} has no .ends")
        return self.deck

    def text(self, text: str, path: Path, section: str | None) -> None:
        """Read lines, of one section where one is wanted."""
        wanted = section.lower() if section else None
        inside: str | None = None
        sections: list[str] = []
        for where, line in logical_lines(text, path):
            low = line.lower()
            key = low.split(None, 1)[0]
            if key == ".endl":
                if inside is None:
                    raise InputError(f"{where}: .endl without .lib")
                inside = None
            elif key == ".lib" and len(words := line.split()) == 2:
                if inside is not None:
                    raise InputError(f"{where}: .lib inside the section {inside}")
                inside = words[1].strip("'\"").lower()
                sections.append(inside)
            elif wanted is not None and inside != wanted:
                continue
            elif key == ".end":
                break
            elif inside is not None and wanted is None:
                continue
            else:
                self.line(key, low, line, where)
        if wanted is None and sections:
            raise InputError(f"{path}: has the sections {', '.join(sections)}; name one of them")
        if wanted is not None and wanted not in sections:
            raise InputError(
                f"{path}: has no section {wanted!r}; it has {', '.join(sections) or 'none'}"
            )

    def line(self, key: str, low: str, line: str, where: Where) -> None:
        if key[0] == ".":
            if time.monotonic() > self.until:
                raise InputError(f"{where}: reading took more than {_MAX_SECONDS:g} s")
            handle = _HANDLERS.get(key)
            if handle is None:
                raise InputError(
                    f"{where}: {key[:40]!r} is refused; a netlist describes a circuit and runs "
                    f"nothing (it may hold {_CARDS})"
                )
            handle(self, _TOKEN.findall(low), line, where)
            return
        self.body.elements.append(_element(low, where))

    # Dot cards

    def subckt(self, tokens: list[str], line: str, where: Where) -> None:
        words, assigned = _split(tokens[1:], where)
        words = [word for word in words if word not in ("params:", "param:")]
        if len(words) < 2:
            raise InputError(f"{where}: expected '.subckt NAME PIN ...'")
        name, *pins = _plain(words, where)
        if len(self.open) >= _MAX_DEPTH:
            raise InputError(f"{where}: subcircuits are nested more than {_MAX_DEPTH} deep")
        if len(assigned) > _MAX_PARAMETERS:
            raise InputError(f"{where}: {name} has more than {_MAX_PARAMETERS} parameters")
        self._once(name, self.body.subcircuits, "subcircuit", where)
        made = Subcircuit(
            name=name, pins=tuple(pins), defaults=assigned, where=where,
            body=Body(options=self.deck.body.options),
        )  # fmt: skip
        self.body.subcircuits[name] = made
        self.open.append(made)
        self.body = made.body

    def ends(self, tokens: list[str], line: str, where: Where) -> None:
        if not self.open:
            raise InputError(f"{where}: .ends without .subckt")
        if len(tokens) > 1 and tokens[1] != self.open[-1].name:
            raise InputError(f"{where}: .ends {tokens[1]} ends .subckt {self.open[-1].name}")
        self.open.pop()
        self.body = self.open[-1].body if self.open else self.deck.body

    def param(self, tokens: list[str], line: str, where: Where) -> None:
        places = [k for k, token in enumerate(tokens) if token == "="]
        if not places or places[0] != 2:
            raise InputError(f"{where}: expected '.param NAME=VALUE ...'")
        for place, following in zip(places, [*places[1:], len(tokens) + 1], strict=True):
            name, value = tokens[place - 1], tokens[place + 1 : following - 1]
            if not _IDENTIFIER.fullmatch(name) or not value:
                raise InputError(f"{where}: {name!r}: expected '.param NAME=VALUE ...'")
            quoted = len(value) > 1 or value[0][0] in _QUOTES
            text = f"{{{' '.join(_bare(v) for v in value)}}}" if quoted else value[0]
            # As in ngspice, the last one stands; libraries of corners rely on it.
            self.body.parameters[name] = Text(text, where)

    def model(self, tokens: list[str], line: str, where: Where) -> None:
        words, assigned = _split([t for t in tokens[1:] if t not in "(),"], where)
        if len(words) < 2:
            raise InputError(f"{where}: expected '.model NAME TYPE parameters'")
        if len(words) > 2:
            raise InputError(f"{where}: model {words[0]}: {words[2]!r} sets nothing")
        name, kind = words
        self._once(name, self.body.models, "model", where)
        self.body.models[name] = ModelStatement(name, kind, assigned, where)

    def func(self, tokens: list[str], line: str, where: Where) -> None:
        match = re.fullmatch(r"\.func\s+(\w+)\s*\(([\w\s,]*)\)\s*=?\s*(.+)", line.lower())
        if not match:
            raise InputError(f"{where}: expected '.func NAME(ARGUMENT, ...) {{EXPRESSION}}'")
        arguments = tuple(a.strip() for a in match[2].split(",")) if match[2].strip() else ()
        self.body.functions[match[1]] = Function(arguments, _bare(match[3].strip()), where)

    def include(self, tokens: list[str], line: str, where: Where) -> None:
        words = line.split(None, 1)
        self._other(words[1].strip("\"' ") if len(words) > 1 else "", None, where)

    def lib(self, tokens: list[str], line: str, where: Where) -> None:
        match = re.fullmatch(r"""\S+\s+("[^"]*"|'[^']*'|\S+)\s+["']?([^\s"']+)["']?""", line)
        if not match:
            raise InputError(f"{where}: expected '.lib FILE SECTION'")
        self._other(match[1].strip("\"'"), match[2], where)

    def _other(self, name: str, section: str | None, where: Where) -> None:
        target = (where.path.parent / name).resolve()
        if not name or not target.is_relative_to(self.root):
            raise InputError(
                f"{where}: includes {name!r}, which lies outside the netlist's folder "
                f"{self.root.name}/; put the file beside the netlist"
            )
        if not target.is_file():
            raise InputError(f"{where}: includes {name!r}, which is no file")
        self.file(target, section)

    def option(self, tokens: list[str], line: str, where: Where) -> None:
        words, assigned = _split(tokens[1:], where)
        for name in (*words, *assigned):
            if name not in _OPTIONS:
                raise InputError(
                    f"{where}: option {name!r} is refused; rramsim sets the simulator's options "
                    f"(a netlist may set {', '.join(_OPTIONS)})"
                )
            self.deck.body.options[name] = Text(assigned.get(name, "1"), where)

    def globally(self, tokens: list[str], line: str, where: Where) -> None:
        self.deck.nodes.update(_split(tokens[1:], where)[0])

    def initial(self, tokens: list[str], line: str, where: Where) -> None:
        rest = tokens[1:]
        while rest:
            if len(rest) < 6 or [rest[k] for k in (0, 1, 3, 4)] != ["v", "(", ")", "="]:
                raise InputError(f"{where}: expected '{tokens[0]} v(NODE)=VALUE ...'")
            self.body.initial.append((tokens[0], rest[2], Text(rest[5], where)))
            rest = rest[6:]

    def measure(self, tokens: list[str], line: str, where: Where) -> None:
        if len(tokens) < 4 or tokens[1] != "tran" or not _IDENTIFIER.fullmatch(tokens[2]):
            raise InputError(f"{where}: expected '{tokens[0]} tran NAME ...'")
        if self.open:
            raise InputError(
                f"{where}: {tokens[0]} stands inside .subckt {self.open[-1].name}; measure outside "
                "of it, where the pins are nodes and inner nodes are v(xpcsa.NODE)"
            )
        if tokens[2] in self.body.measures:
            first = self.body.measures[tokens[2]][1]
            raise InputError(f"{where}: measure {tokens[2]} is defined twice (first in {first})")
        self.body.measures[tokens[2]] = tuple(tokens[3:]), where

    def nothing(self, tokens: list[str], line: str, where: Where) -> None:
        """A card without a meaning for a circuit."""

    @staticmethod
    def _once(name: str, known: "dict[str, Subcircuit] | dict[str, ModelStatement]", what: str,
              where: Where) -> None:  # fmt: skip
        if name in known:
            raise InputError(
                f"{where}: {what} {name} is defined twice (first in {known[name].where})"
            )


_HANDLERS = {
    ".subckt": _Reader.subckt, ".ends": _Reader.ends, ".param": _Reader.param,
    ".params": _Reader.param, ".model": _Reader.model, ".func": _Reader.func,
    ".include": _Reader.include, ".inc": _Reader.include, ".incl": _Reader.include,
    ".lib": _Reader.lib, ".option": _Reader.option, ".options": _Reader.option,
    ".global": _Reader.globally, ".ic": _Reader.initial, ".nodeset": _Reader.initial,
    ".measure": _Reader.measure, ".meas": _Reader.measure, ".backanno": _Reader.nothing,
}  # fmt: skip


def _bare(text: str) -> str:
    """An expression without its braces or quotes."""
    return f"({text[1:-1]})" if text[0] in _QUOTES and len(text) > 1 else text


def _split(tokens: list[str], where: Where) -> tuple[list[str], dict[str, str]]:
    """Words before and between assignments, and the assignments `name = value`."""
    words: list[str] = []
    assigned: dict[str, str] = {}
    each = iter(tokens)
    name = ""  # of the word before, if it may be one
    for token in each:
        if token == "=":
            value = next(each, "")
            if not value or value in _SIGNS or not _IDENTIFIER.fullmatch(name):
                raise InputError(f"{where}: '{name[:40]}=': expected NAME=VALUE")
            if name in assigned:
                raise InputError(f"{where}: {name} is given twice")
            assigned[words.pop()] = value
            name = ""
        elif token != ",":
            words.append(token)
            name = token
    if _NAMES.fullmatch(" ".join(words)):  # one search for the usual line
        return words, assigned
    for word in words:
        if not _NAME.fullmatch(word) and (word[0] not in _QUOTES or len(word) < 2):
            raise InputError(
                f"{where}: {word[:40]!r} is refused; a name is made of letters, digits and "
                "_ . # : - + ! [ ] / @"
            )
    return words, assigned


def _element(low: str, where: Where) -> Statement:
    tokens = _TOKEN.findall(low)
    name, letter = tokens[0], tokens[0][0]
    if letter not in _SHAPES:
        raise InputError(
            f"{where}: element {name[:40]!r} is refused; allowed are elements that begin with "
            f"{', '.join(_SHAPES).upper()} (a title line begins with '*')"
        )
    wave: tuple[str, ...] = ()
    if letter in "vi":
        tokens, wave = tokens[:3], _wave(tokens, where)
    words, assigned = _split(tokens, where)
    if letter == "x":
        words = [word for word in words if word not in ("params:", "param:")]
        if len(words) < 3:
            raise InputError(f"{where}: expected '{_SHAPES['x']}'")
        return Statement("x", name, _plain(words[1:-1], where), words[-1], (), assigned, where)
    count = _NODES[letter]
    nodes, rest = _plain(words[1 : count + 1], where), words[count + 1 :]
    model = rest.pop(0) if letter in "md" and rest else ""
    most = 0 if letter in "mvi" else 1
    if len(nodes) < count or (letter in "md" and not model) or len(rest) > most:
        extra = f"; {rest[-1][:40]!r} has no place there" if len(rest) > most else ""
        raise InputError(f"{where}: {name[:40]}: expected '{_SHAPES[letter]}'{extra}")
    for key in assigned:
        if key not in _KNOWN[letter]:
            raise InputError(
                f"{where}: {name} has no parameter {key!r}; it may have "
                f"{', '.join(sorted(_KNOWN[letter])) or 'none'}"
            )
    values = wave or tuple(rest)
    if letter in "rcl" and letter in assigned:
        values = (assigned.pop(letter),)
    if letter not in "md" and not values:
        raise InputError(f"{where}: {name}: expected '{_SHAPES[letter]}'")
    return Statement(letter, name, nodes, model, values, assigned, where)


def _plain(words: list[str], where: Where) -> tuple[str, ...]:
    """Words that must be names."""
    for word in words:
        if word[0] in _QUOTES:
            raise InputError(f"{where}: {word[:40]!r}: an expression stands where a node should")
    return tuple(words)


def _wave(tokens: list[str], where: Where) -> tuple[str, ...]:
    """What a source gives: ("dc", value) or (function, value, ...)."""
    given = [token for token in tokens[3:] if token not in "(),"]
    kind = given[0] if given and given[0] in _WAVES else "dc"
    given = given[1:] if given and given[0] in (kind, "dc") else given
    low, high = _WAVES.get(kind, (1, 1))
    if not low <= len(given) <= high or any(g in ("=", "file") for g in given):
        raise InputError(
            f"{where}: {tokens[0][:40]}: expected '{_SHAPES[tokens[0][0]]}' "
            f"({', '.join(_WAVES)}), not {' '.join(tokens[3:])[:40]!r}"
        )
    return (kind, *given)
