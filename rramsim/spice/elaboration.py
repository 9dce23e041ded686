"""From statements to elements: hierarchy expanded, expressions evaluated, models chosen.

What a PDK wraps into subcircuits becomes transistors as well; each carries its own card, its whole
geometry in metre and how many stand in parallel. Nodes and elements inside an instance `x1` are
called `x1.NAME`, after the user's own names.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from rramsim.exceptions import InputError
from rramsim.spice.lines import Where
from rramsim.spice.parser import MOS_PARAMETERS, Body, Statement, Subcircuit, Text
from rramsim.spice.scope import ModelCard, Scope, is_number, names_in

_MAX_ELEMENTS, _MAX_DEPTH = 200_000, 64
_CONDUCTS = {"r": (0, 1), "l": (0, 1), "v": (0, 1), "e": (0, 1), "d": (0, 1), "m": (0, 2)}
_LENGTHS = frozenset(("w", "l", "pd", "ps", "sa", "sb", "sd"))
_AREAS = frozenset(("ad", "as"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Element:
    """One element, without hierarchy.

    `kind` is its letter; `value` that of R, C, L (parallel ones counted), E, G and a diode's area;
    `wave` what V and I give, ("dc", value) or (function, value, ...). `parameters` are those of M
    and D, in SI units. `parallel` multiplies a transistor's area beyond its own `m` where variation
    is concerned (`mult` of a PDK's subcircuits).
    """

    kind: str
    name: str
    nodes: tuple[str, ...]
    where: Where
    value: float = math.nan
    wave: tuple[str, tuple[float, ...]] = ("dc", (0.0,))
    card: ModelCard | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    parallel: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Circuit:
    """Elements in the order in which ngspice meets them; `initial` and `guesses` by node, volt."""

    elements: tuple[Element, ...]
    initial: dict[str, float]
    guesses: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Library:
    """What a process gives: its names at a corner.

    `aliases` are other names of its devices. `unit_m` is the unit of sizes on X lines that name a
    plain model; None where the process does not say. `finger_bins`: a card is chosen by W/NF,
    where a netlist's `.option wnflag` does not say otherwise.
    """

    scope: Scope
    aliases: Mapping[str, str] = field(default_factory=dict)
    unit_m: float | None = None
    finger_bins: bool = False


def elaborate(
    body: Body,
    library: Library,
    *,
    values: Mapping[str, float] | None = None,
    global_nodes: Mapping[str, str] | None = None,
    inside: Mapping[str, Body] | None = None,
    sizes_only: bool = False,
) -> Circuit:
    """Elaborate a body with the models of a library.

    `values` are parameters known everywhere. `global_nodes` maps nodes to what they are called
    everywhere. `inside` gives, for an instance of the top, the file in which its subcircuit
    stands: names are looked for there first. With `sizes_only` sources, R, C and L have no value,
    and nothing that a transistor is made of may depend on `values`.

    Raises `InputError`, naming file, line and word, for what is not known, and for a node to which
    one terminal alone is connected.
    """
    top = Scope(body, library.scope, None if sizes_only else values).opened()
    build = _Elaboration(library, {"0": "0", **(global_nodes or {})}, inside or {}, sizes_only)
    build.walk(body, top, {}, 1.0)
    build.refuse_floating()
    return Circuit(elements=tuple(build.elements), initial=build.initial, guesses=build.guesses)


class _Elaboration:
    """The elements that are found while the hierarchy is walked."""

    def __init__(
        self, library: Library, nodes: Mapping[str, str], inside: Mapping[str, Body], sizes: bool
    ) -> None:
        self.library, self.nodes, self.inside, self.sizes_only = library, nodes, inside, sizes
        self.elements: list[Element] = []
        self.initial: dict[str, float] = {}
        self.guesses: dict[str, float] = {}
        self.depth = 0
        self.levels: dict[int, dict[str, int]] = {}

    def walk(
        self, body: Body, scope: Scope, pins: Mapping[str, str], m: float,
        drawn: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Add a body's elements; `drawn` are sizes given from outside to its one transistor."""
        names: dict[str, Where] = {}
        for statement in body.elements:
            if statement.name in names:
                raise InputError(
                    f"{statement.where}: element {scope.prefix}{statement.name} is defined twice "
                    f"(first in {names[statement.name]})"
                )
            names[statement.name] = statement.where
            nodes = tuple(self.node(name, scope, pins) for name in statement.nodes)
            if statement.letter == "x":
                self.instance(statement, nodes, scope, m)
            elif statement.letter == "m":
                self.transistor(statement, nodes, scope, m, drawn)
            else:
                self.other(statement, nodes, scope, m)
        if self.sizes_only:
            return
        for what, name, (text, where) in body.initial:
            held = self.initial if what == ".ic" else self.guesses
            held[self.node(name, scope, pins)] = scope.number(text, where)

    def node(self, name: str, scope: Scope, pins: Mapping[str, str]) -> str:
        if name in pins:
            return pins[name]
        if name in self.nodes:
            return self.nodes[name]
        return "0" if name == "gnd" else scope.prefix + name

    def add(self, element: Element) -> None:
        self.elements.append(element)
        if len(self.elements) > _MAX_ELEMENTS:
            raise InputError(
                f"{element.where}: the circuit has more than {_MAX_ELEMENTS} elements when its "
                "subcircuits are expanded"
            )

    # Elements

    def other(self, s: Statement, nodes: tuple[str, ...], scope: Scope, m: float) -> None:
        if s.letter == "d":
            self.diode(s, nodes, scope, m)
            return
        name = scope.prefix + s.name
        if self.sizes_only:
            self.add(Element(kind=s.letter, name=name, nodes=nodes, where=s.where))
            return
        if s.letter in "vi":
            kind, *texts = s.values
            numbers = tuple(scope.number(text, s.where) for text in texts)
            own = m * self.multiplier(s, scope) if s.letter == "i" else 1.0
            if own != 1.0:
                levels = slice(0, None) if kind == "dc" else slice(1, None, 2)
                if kind not in ("dc", "pwl"):
                    levels = slice(0, 2)
                scaled = list(numbers)
                scaled[levels] = [own * value for value in scaled[levels]]
                numbers = tuple(scaled)
            self.add(
                Element(kind=s.letter, name=name, nodes=nodes, where=s.where, wave=(kind, numbers))
            )
            return
        value = scope.number(s.values[0], s.where)
        own = m * self.multiplier(s, scope)
        if s.letter == "r" and not value > 0:
            raise InputError(f"{s.where}: {name} = {value:g}: a resistance is above 0 ohm")
        if s.letter in "cl" and value < 0:
            raise InputError(f"{s.where}: {name} = {value:g}: must not be below 0")
        if own != 1.0 and s.letter != "e":
            value = value * own if s.letter in "cg" else value / own
        self.add(Element(kind=s.letter, name=name, nodes=nodes, where=s.where, value=value))

    def multiplier(self, s: Statement, scope: Scope) -> float:
        """How many stand in parallel by the statement's own `m`."""
        if "m" not in s.assigned:
            return 1.0
        value = scope.number(s.assigned["m"], s.where)
        if not value > 0:
            raise InputError(f"{s.where}: {scope.prefix}{s.name}: m = {value:g}: must be above 0")
        return value

    def diode(self, s: Statement, nodes: tuple[str, ...], scope: Scope, m: float) -> None:
        name = scope.prefix + s.name
        found = scope.models(s.model)
        if found is None or found[1][0].kind != "d":
            raise InputError(f"{s.where}: {name}: no diode model {s.model!r}")
        given = {k: scope.number(v, s.where) for k, v in s.assigned.items() if k != "m"}
        if s.values:
            given["area"] = scope.number(s.values[0], s.where)
        own = m * self.multiplier(s, scope)
        if own != 1.0:
            given["m"] = own
        self.add(
            Element(
                kind="d", name=name, nodes=nodes, where=s.where, card=found[0].card(found[1][0]),
                parameters=tuple(given.items()),
            )
        )  # fmt: skip

    # Transistors

    def scale(self, body: Body, scope: Scope) -> float:
        """The unit of sizes in a body's file."""
        text = body.options.get("scale")
        return scope.number(*text) if text else 1.0

    def transistor(
        self, s: Statement, nodes: tuple[str, ...], scope: Scope, m: float,
        drawn: Mapping[str, float] | None,
    ) -> None:  # fmt: skip
        unit_m = self.scale(scope.body, scope)
        sizes = {k: _si(k, scope.number(v, s.where), unit_m) for k, v in s.assigned.items()}
        # A PDK's `mult` counts for variation; where it sets `m` as well it has counted already.
        parallel = sizes.pop("mult", 1.0)
        if drawn is not None:
            parallel *= drawn.get("mult", 1.0)
            sizes = {k: v for k, v in drawn.items() if k not in ("mult", "m")} | sizes
        elif "mult" in scope.values and "mult" not in s.assigned.get("m", ""):
            parallel *= scope.values["mult"]
        device = self.library.aliases.get(s.model, s.model)
        wrapped = scope.subcircuit(device)
        # GF180MCU's models have the names of the subcircuits around them, which hold the mismatch.
        inside = wrapped is not None and any(one.body is wrapped.body for one in scope.chain())
        if wrapped is not None and not inside:
            self.wrapped(s, wrapped, nodes, scope, sizes | {"mult": parallel}, m)
            return
        self.mosfet(s, device, nodes, scope, sizes, m, parallel)

    def mosfet(
        self, s: Statement, device: str, nodes: tuple[str, ...], scope: Scope,
        sizes: dict[str, float], m: float, parallel: float,
    ) -> None:  # fmt: skip
        name = scope.prefix + s.name
        found = scope.models(s.model) or scope.models(device)
        if found is None:
            there = [*sorted(self.library.aliases), *_known(scope)]
            raise InputError(f"{s.where}: {name}: no model {s.model!r}; there are {_list(there)}")
        for key in ("w", "l"):
            if key not in sizes:
                raise InputError(f"{s.where}: {name}: {key.upper()} is missing")
            if not sizes[key] > 0:
                raise InputError(
                    f"{s.where}: {name}: {key.upper()} = {sizes[key]:g}: must be above 0 m"
                )
        width_m, length_m, fingers = sizes["w"], sizes["l"], sizes.get("nf", 1.0)
        own = m * sizes.pop("m", 1.0)
        if not (own > 0 and parallel > 0 and fingers >= 1):
            raise InputError(f"{s.where}: {name}: m and mult must be above 0, nf from 1 up")
        owner, statements = found
        flag = scope.body.options.get("wnflag")
        by_finger = self.library.finger_bins if flag is None else scope.number(*flag) != 0
        bin_m = width_m / fingers if by_finger else width_m
        chosen = next((one for one in statements if owner.covers(one, bin_m, length_m)), None)
        if chosen is None:
            cards = [owner.card(statement) for statement in statements[:8]]
            raise InputError(f"{s.where}: {name}: {_no_bin(device, bin_m, length_m, cards)}")
        card = owner.card(chosen)
        if card.kind not in ("nmos", "pmos"):
            raise InputError(f"{s.where}: {name}: {device} is a model of type {card.kind}")
        if own != 1.0:
            sizes["m"] = own
        self.add(
            Element(
                kind="m", name=name, nodes=nodes, where=s.where, card=card,
                parameters=tuple(sizes.items()), parallel=parallel,
            )
        )  # fmt: skip

    # Instances

    def instance(self, s: Statement, nodes: tuple[str, ...], scope: Scope, m: float) -> None:
        device = self.library.aliases.get(s.model, s.model)
        around = scope
        if not scope.prefix and s.name in self.inside:
            around = Scope(self.inside[s.name], scope).opened()
        found = around.subcircuit(s.model) or around.subcircuit(device)
        if found is None:
            if around.models(s.model) is None and around.models(device) is None:
                known = sorted({n for one in around.chain() for n in one.body.subcircuits})
                raise InputError(
                    f"{s.where}: {scope.prefix}{s.name}: no .subckt {s.model!r} and no such "
                    f"device; there are {_list([*known, *_known(scope)])}"
                )
            self.device(s, device, nodes, scope, m)
            return
        own = m * (self.multiplier(s, scope) if "m" not in found.defaults else 1.0)
        inner = Scope(found.body, around, prefix=f"{scope.prefix}{s.name}.")
        # As in ngspice, a `.param` inside of a subcircuit is one of its parameters as well.
        own_parameters = found.body.parameters
        for name in s.assigned:
            if name not in found.defaults and name not in own_parameters and name != "m":
                raise InputError(
                    f"{s.where}: {scope.prefix}{s.name}: subcircuit {found.name} has no parameter "
                    f"{name!r}; it has {', '.join({**found.defaults, **own_parameters}) or 'none'}"
                )
        texts = {name: Text(text, found.where) for name, text in found.defaults.items()}
        texts |= {n: Text(t, s.where) for n, t in s.assigned.items() if n in texts or n != "m"}
        for name, text in s.assigned.items():
            for twice in sorted(names_in(text) & own_parameters.keys() - texts.keys()):
                raise InputError(
                    f"{s.where}: {scope.prefix}{s.name}: {name} = {text[:60]}: {twice!r} is a "
                    f"parameter inside of {found.name} as well; call one of them otherwise"
                )
        inner.opened(texts)
        level = self.levels.get(id(found))
        if level is None:
            level = self.levels[id(found)] = _levels(found.defaults)
        for name in sorted(texts, key=lambda n: (not is_number(texts[n].text), level.get(n, 0))):
            inner.values[name] = inner.number(*texts[name])
        self.enter(s, found, nodes, inner, own)

    def enter(
        self, s: Statement, found: Subcircuit, nodes: tuple[str, ...], inner: Scope, m: float,
        drawn: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        if len(nodes) != len(found.pins):
            raise InputError(
                f"{s.where}: {inner.prefix[:-1]} gives {len(nodes)} nodes; {found.name} has "
                f"{len(found.pins)} pins"
            )
        if self.depth >= _MAX_DEPTH:
            raise InputError(f"{s.where}: subcircuits are used more than {_MAX_DEPTH} deep")
        self.depth += 1
        pins = dict(zip(found.pins, nodes, strict=True))
        self.walk(found.body, inner.opened(inner.values), pins, m, drawn)
        self.depth -= 1

    def device(
        self, s: Statement, device: str, nodes: tuple[str, ...], scope: Scope, m: float
    ) -> None:
        """An X line that names a model: a PDK's transistor, its sizes in the PDK's unit."""
        name = scope.prefix + s.name
        given = scope.body.options.get("scale")
        unit_m = scope.number(*given) if given else self.library.unit_m
        if unit_m is None:
            raise InputError(
                f"{s.where}: {name}: the process does not say in which unit an X line of "
                f"{s.model} gives its sizes; write an M line, or set size_unit_m in process.toml"
            )
        for key in s.assigned:
            if key not in MOS_PARAMETERS:
                raise InputError(f"{s.where}: {name}: {device} has no parameter {key!r}")
        if len(nodes) != 4:
            raise InputError(f"{s.where}: {name} gives {len(nodes)} nodes; {device} has 4")
        own = Scope(Body(parameters={k: Text(v, s.where) for k, v in s.assigned.items()}), scope)
        own.opened()
        sizes = {k: _si(k, own.number(k, s.where), unit_m) for k in s.assigned}
        parallel = sizes.pop("mult", 1.0)
        self.mosfet(s, device, nodes, scope, sizes, m, parallel)

    def wrapped(
        self, s: Statement, found: Subcircuit, nodes: tuple[str, ...], scope: Scope,
        sizes: dict[str, float], m: float,
    ) -> None:  # fmt: skip
        """An M line whose device is a subcircuit around one transistor."""
        inner = Scope(found.body, scope, prefix=f"{scope.prefix}{s.name}.")
        unit_m = self.scale(found.body, inner)
        own = m * sizes.pop("m", 1.0)
        for name, text in found.defaults.items():
            if name in sizes and name != "mult":
                inner.values[name] = sizes.pop(name) / _si(name, 1.0, unit_m)
            else:
                inner.values[name] = inner.number(text, found.where)
        for name in found.body.parameters:
            if name in sizes and name != "mult":
                inner.values[name] = sizes.pop(name) / _si(name, 1.0, unit_m)
        if sum(e.letter in "mx" for e in found.body.elements) != 1:
            raise InputError(f"{found.where}: subcircuit {found.name} holds not one transistor")
        self.enter(s, found, nodes, inner, own, sizes)

    def refuse_floating(self) -> None:
        """Refuse nodes of one terminal, and nodes from which no current finds a way to ground.

        A source of the top may drive what nothing uses.
        """
        terminals: dict[str, int] = {}
        seen: dict[str, Element] = {}
        root: dict[str, str] = {"0": "0"}

        def find(node: str) -> str:
            while root[node] != node:
                root[node] = root[root[node]]
                node = root[node]
            return node

        for element in self.elements:
            for node in element.nodes:
                terminals[node] = terminals.get(node, 0) + 1
                seen[node] = element
                root.setdefault(node, node)
            if ends := _CONDUCTS.get(element.kind):
                one, other = (find(element.nodes[k]) for k in ends)
                root[one] = other
        for node, count in terminals.items():
            element = seen[node]
            if node == "0" or (element.kind == "v" and "." not in element.name):
                continue
            if count == 1:
                raise InputError(
                    f"{element.where}: node {node} has one terminal, that of {element.name}; "
                    "nothing else is connected to it"
                )
            if find(node) != find("0"):
                raise InputError(
                    f"{element.where}: node {node} floats: no resistor, source or transistor "
                    "channel leads from it to ground"
                )


def _levels(defaults: Mapping[str, str]) -> dict[str, int]:
    """In which order a subcircuit's parameters are evaluated, as ngspice does it.

    Numbers come first; then those whose default needs no other, those whose default needs these,
    and so on, each seeing those before it and else what its names mean outside.
    """
    waiting = {name: (names_in(text) & defaults.keys()) - {name} for name, text in defaults.items()}
    levels: dict[str, int] = {}
    while waiting:
        free = [name for name, needs in waiting.items() if needs <= levels.keys()] or list(waiting)
        level = max(levels.values(), default=-1) + 1
        for name in free:
            levels[name] = level
            del waiting[name]
    return levels


def _si(name: str, value: float, unit_m: float) -> float:
    if name in _LENGTHS:
        return value * unit_m
    return value * unit_m**2 if name in _AREAS else value


def _known(scope: Scope) -> list[str]:
    return sorted({name for one in scope.chain() for name in one._bins})


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _no_bin(device: str, width_m: float, length_m: float, cards: list[ModelCard]) -> str:
    return (
        f"no card of {device} covers W = {width_m * 1e6:g} um, L = {length_m * 1e6:g} um; it has "
        + "; ".join(
            f"W {c.limits_m[2] * 1e6:g} to {c.limits_m[3] * 1e6:g} um, "
            f"L {c.limits_m[0] * 1e6:g} to {c.limits_m[1] * 1e6:g} um"
            for c in cards[:8]
            if c.limits_m
        )
    )
