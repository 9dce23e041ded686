"""Names and their values where an instance stands: parameters, functions and models.

A name is looked for in the instance, then in the one around it, and so on outwards, as ngspice
does. Parameters are evaluated when they are asked for, so that their order does not matter.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from rramsim.exceptions import InputError
from rramsim.numbers import spice_number
from rramsim.spice.expressions import RANDOM, Code, compile_expression, evaluate
from rramsim.spice.lines import Where
from rramsim.spice.parser import Body, Function, ModelStatement, Subcircuit, Text

BIN_KEYS = ("lmin", "lmax", "wmin", "wmax")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model's parameters, evaluated.

    `name` is the device's name without its bin's number, `bin_name` the name in the file;
    `values` holds (parameter, number as text) without the bin's limits; `limits_m` those limits as
    (lmin, lmax, wmin, wmax), or None for a card that is not binned; `where` it stands.
    """

    name: str
    bin_name: str
    kind: str
    values: tuple[tuple[str, str], ...]
    limits_m: tuple[float, float, float, float] | None = None
    where: Where | None = None

    def covers(self, width_m: float, length_m: float) -> bool:
        """Tell whether the card is valid for a geometry (ngspice's rule: min <= x < max)."""
        if self.limits_m is None:
            return True
        lmin, lmax, wmin, wmax = self.limits_m
        return lmin <= length_m < lmax and wmin <= width_m < wmax

    def parameter(self, name: str) -> float | None:
        """The value of a parameter, or None if the card does not set it."""
        text = dict(self.values).get(name.lower())
        return None if text is None or text.count(".") > 1 else float(text)

    def with_values(self, values: dict[str, str]) -> "ModelCard":
        """The card with some parameters set to other values, as texts."""
        return replace(self, values=tuple((dict(self.values) | values).items()))

    @property
    def body(self) -> str:
        """The parameters as SPICE text."""
        return " ".join(f"{name} = {text}" for name, text in self.values)

    def renamed(self, name: str) -> str:
        """The card as SPICE text under another name, so that it can be altered alone."""
        pairs = [f"{key} = {text}" for key, text in self.values]
        lines = [f".model {name} {self.kind}"]
        # ngspice's lines are bounded; eight parameters a line stay well below that.
        lines += ["+ " + " ".join(pairs[i : i + 8]) for i in range(0, len(pairs), 8)]
        return "\n".join(lines)


_DEEPEST = 100
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.ASCII)
_number = lru_cache(maxsize=65536)(spice_number)


Draw = Callable[["Scope", float, float], float]
"""What a random function gives: called with its scope, its mean and its standard deviation."""


class Scope:
    """A body's names around an instance.

    `values` are parameters that are known already: an instance's own, or what a caller gives.
    `draw` decides what random functions give; without it they are refused, since rramsim draws
    variation itself. `settling` are the parameters that are being evaluated, the innermost last.
    """

    def __init__(
        self,
        body: Body,
        outer: "Scope | None" = None,
        values: Mapping[str, float] | None = None,
        prefix: str = "",
    ) -> None:
        self.body, self.outer, self.prefix = body, outer, prefix
        self.values: dict[str, float] = dict(values or {})
        self._pending: dict[str, Text] = {}
        self.draw: Draw | None = outer.draw if outer else None
        self.settling: list[str] = []
        self._depth = 0
        self._cards: dict[str, ModelCard] = {}
        self._bins: dict[str, list[ModelStatement]] = {}
        for statement in body.models.values():
            self._bins.setdefault(_stem(statement), []).append(statement)

    def opened(self, given: Collection[str] = ()) -> "Scope":
        """The scope, with the body's own parameters known from now on, but for those `given`."""
        self._pending = {k: v for k, v in self.body.parameters.items() if k not in given}
        return self

    def chain(self) -> "Iterator[Scope]":
        """This scope, then those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def number(self, text: str, where: Where) -> float:
        """The value of a number, a parameter's name or an expression in braces or quotes.

        Raises `InputError`, naming the place, if there is none or it is not finite.
        """
        try:
            value = self._value(text)
        except InputError:
            raise  # of a parameter that this one needs: its place says more
        except (ValueError, OverflowError) as error:
            reason = str(error)[:120]
            raise InputError(f"{where}: cannot evaluate {text[:60]!r} ({reason})") from error
        if not math.isfinite(value):
            raise InputError(f"{where}: {text[:60]!r} has no finite value")
        return value

    def _value(self, text: str) -> float:
        if text[0] in "{'\"":
            return evaluate(compile_expression(text[1:-1]), self.parameter, self._call)
        if text[0].isalpha() or text[0] == "_":
            return self.parameter(text)
        return _number(text)

    def parameter(self, name: str) -> float:
        """The value of a parameter by name; raises `ValueError` if there is none."""
        for scope in self.chain():
            if name in scope._pending:
                return scope._settled(name)
            if name in scope.values:
                return scope.values[name]
        if any(name in scope.settling for scope in self.chain()):
            raise ValueError(f"parameter {name!r} needs itself")
        raise ValueError(f"no parameter {name!r}")

    def _settled(self, name: str) -> float:
        text, where = self._pending.pop(name)
        self._depth += 1
        self.settling.append(name)
        try:
            if self._depth > _DEEPEST:
                raise InputError(
                    f"{where}: parameters lead on to others more than {_DEEPEST} deep at {name!r}"
                )
            value = self.number(text, where)
        except InputError:
            self._pending[name] = Text(text, where)
            raise
        finally:
            self._depth -= 1
            self.settling.pop()
        self.values[name] = value
        return value

    def _random(self, name: str, values: list[float]) -> float:
        if self.draw is None:
            raise ValueError(f"{name}(...) draws a number; rramsim draws variation itself")
        if name not in ("gauss", "agauss") or len(values) != 3 or not values[2] > 0:
            raise ValueError(f"{name} of {len(values)} values is not known; agauss and gauss are")
        mean, spread, sigmas = values
        share = abs(mean) if name == "gauss" else 1.0
        return self.draw(self, mean, share * spread / sigmas)

    def _call(self, name: str, values: list[float]) -> float:
        if name in RANDOM:
            return self._random(name, values)
        found: Function | None = None
        for scope in self.chain():
            if found := scope.body.functions.get(name):
                break
        if found is None:
            raise ValueError(f"no function {name!r}")
        if len(values) != len(found.arguments):
            raise ValueError(f"{name} takes {len(found.arguments)} values, not {len(values)}")
        given = dict(zip(found.arguments, values, strict=True))
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise ValueError(f"{name} calls itself")

            def value_of(argument: str) -> float:
                return given[argument] if argument in given else self.parameter(argument)

            return evaluate(compile_expression(found.text), value_of, self._call)
        finally:
            self._depth -= 1

    # Subcircuits and models

    def subcircuit(self, name: str) -> Subcircuit | None:
        """The subcircuit of that name, the innermost one."""
        return next(
            (s.body.subcircuits[name] for s in self.chain() if name in s.body.subcircuits), None
        )

    def models(self, name: str) -> "tuple[Scope, list[ModelStatement]] | None":
        """The models of that name (all its bins), with the scope in which they stand."""
        for scope in self.chain():
            if name in scope._bins:
                return scope, scope._bins[name]
            if name in scope.body.models:
                return scope, [scope.body.models[name]]
        return None

    def covers(self, statement: ModelStatement, width_m: float, length_m: float) -> bool:
        """Tell whether a model is valid for a geometry, without evaluating all of it."""
        limits = [statement.assigned.get(key) for key in BIN_KEYS]
        if None in limits:
            return True
        lmin, lmax, wmin, wmax = (self.number(str(text), statement.where) for text in limits)
        return lmin <= length_m < lmax and wmin <= width_m < wmax

    def card(self, statement: ModelStatement) -> ModelCard:
        """The model evaluated here, where it stands; kept, so that it is evaluated once."""
        if statement.name not in self._cards:
            self._cards[statement.name] = self._evaluated(statement)
        return self._cards[statement.name]

    def _evaluated(self, statement: ModelStatement) -> ModelCard:
        where, assigned = statement.where, statement.assigned
        binned = all(key in assigned for key in BIN_KEYS)
        limits: list[float] = []
        if binned:
            limits = [self.number(assigned[key], where) for key in BIN_KEYS]
        values = []
        for name, text in assigned.items():
            if binned and name in BIN_KEYS:
                continue
            values.append((name, self._card_text(name, text, where)))
        return ModelCard(
            name=_stem(statement),
            bin_name=statement.name,
            kind=statement.kind,
            values=tuple(values),
            limits_m=(limits[0], limits[1], limits[2], limits[3]) if binned else None,
            where=where,
        )

    def _card_text(self, name: str, text: str, where: Where) -> str:
        if name == "version" and all(part.isdigit() for part in text.split(".")):
            return text
        # ngspice computes a value from its digits: other digits may differ in the last bit.
        return text if _PLAIN.fullmatch(text) else repr(self.number(text, where))


def names_in(text: str) -> set[str]:
    """The parameters that a value needs; none for what is no expression."""
    return {item for what, item, _ in _code(text) if what == "name"}


def is_number(text: str) -> bool:
    """Whether a value is a number, in braces or not."""
    return [what for what, _, _ in _code(text)] == ["number"]


def _code(text: str) -> Code:
    try:
        return compile_expression(text[1:-1] if text[0] in "{'\"" else text)
    except ValueError:
        return ()


def _stem(statement: ModelStatement) -> str:
    """The name without its bin's number."""
    stem, dot, index = statement.name.rpartition(".")
    binned = all(key in statement.assigned for key in BIN_KEYS)
    return stem if binned and dot and index.isdigit() else statement.name
