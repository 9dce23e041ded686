"""What a foundry's random functions say of a transistor: its local and its global variation.

A PDK writes variation as `agauss(mean, spread, sigmas)` in the expressions of its parameters.
Those of a device's own subcircuit are drawn for each transistor (mismatch); those of parameters
that stand outside are drawn once for all of a die. rramsim draws every number itself: here the
expressions are evaluated at the means and one deviation away, so that each deviate becomes a
direction in which the parameters of the transistor's card move.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rramsim.exceptions import InputError
from rramsim.spice import Element, Library, Scope, elaborate, parse_deck
from rramsim.spice.scope import Draw

_NOT_BINNED = frozenset(("wl", "ww", "ll", "lw", "ln", "wn", "ku0", "kvth0", "lodku0", "lodvth"))
"""Names to which lN, wN or pN is another parameter and no binning term."""

_DRAWN = re.compile(r"gauss\s*\(")


@dataclass(frozen=True, kw_only=True)
class Move:
    """How a parameter of a card moves with a deviate z: nominal + linear z + quadratic z^2."""

    parameter: str
    nominal: float
    linear: float
    quadratic: float = 0.0

    def scaled(self, share: float) -> "Move":
        """The same move, smaller or larger."""
        return replace(self, linear=share * self.linear, quadratic=share * self.quadratic)


Direction = tuple[Move, ...]
"""All that one standard normal deviate moves in one transistor's card."""


def moved(directions: Sequence[Direction], deviates: Sequence[float]) -> dict[str, float]:
    """The values that parameters have at some deviates, one for each direction.

    >>> toxe = (Move(parameter="toxe", nominal=1.0, linear=0.1),)
    >>> moved((toxe, toxe), [1.0, 2.0])
    {'toxe': 1.3}
    """
    values: dict[str, float] = {}
    for direction, z in zip(directions, deviates, strict=True):
        for move in direction:
            before = values.get(move.parameter, move.nominal)
            values[move.parameter] = before + move.linear * z + move.quadratic * z * z
    return values


def made_of(
    library: Library, device: str, width_m: float, length_m: float, sizes: str = ""
) -> Element:
    """One transistor of a device, elaborated alone; `sizes` as on an M line."""
    line = f"m1 d g s 0 {device.lower()} w={width_m!r} l={length_m!r} {sizes}"
    deck = parse_deck("\n".join([line, *(f"r{n} {n} 0 1" for n in "dgs")]), Path(device))
    elements = elaborate(deck.body, library).elements
    return next(element for element in elements if element.kind == "m")


def local_directions(nominal: Element, make: Callable[[Draw], Element]) -> tuple[Direction, ...]:
    """The directions of a transistor's own draws; `nominal` has the card that an engine holds.

    `make` elaborates the transistor with what random functions give. A shift of the threshold
    (`delvto`) moves the card's vth0, a factor of the mobility (`mulu0`) its u0 and the terms that
    make u0 depend on the geometry: to BSIM4 that is the same, and engines need to know cards only.
    """
    sigmas: list[float] = []

    def means(scope: Scope, mean: float, sigma: float) -> float:
        if scope.prefix:
            sigmas.append(sigma)
        return mean

    at = _values(make(means))

    def one(chosen: int) -> Element:
        count = -1

        def draw(scope: Scope, mean: float, sigma: float) -> float:
            nonlocal count
            count += bool(scope.prefix)
            return mean + sigma if scope.prefix and count == chosen else mean

        return make(draw)

    found = []
    for index, sigma in enumerate(sigmas):
        beside = _values(one(index)) if sigma else at
        found.append(_direction(nominal, {n: (beside[n] - at[n], 0.0) for n in at}))
    return tuple(direction for direction in found if direction)


class GlobalVariation:
    """What a foundry draws once for a die, from the section of its library that draws it.

    `factors` are its parameters that are drawn, each by a standard normal deviate. `centre` are
    the models around which another section, the process's corner `tt`, is drawn as well.
    """

    def __init__(self, library: Library) -> None:
        self._library, self._body = library, library.scope.body
        self.factors = tuple(
            name for name, (text, _) in self._body.parameters.items() if _DRAWN.search(text)
        )

    def library(self, deviates: Mapping[str, float]) -> Library:
        """The models at some deviates; factors left out are at their means."""
        for name in deviates:
            if name not in self.factors:
                raise InputError(f"no global factor {name!r}; there are {', '.join(self.factors)}")
        return self._drawn(lambda name: deviates.get(name, 0.0))

    def _drawn(self, deviate: Callable[[str], float]) -> Library:
        scope = Scope(self._body).opened()

        def draw(inner: Scope, mean: float, sigma: float) -> float:
            # The innermost parameter that is being evaluated is the one that is drawn.
            return mean if inner.prefix else mean + sigma * deviate(scope.settling[-1])

        scope.draw = draw
        return replace(self._library, scope=scope)

    def directions(self, device: str, nominal: Element, sizes: str = "") -> dict[str, Direction]:
        """For each factor that moves a transistor, how; `nominal` is it in the corner tt.

        Where the foundry's section has models of measured widths alone (SKY130), moves between two
        of them are interpolated over 1/W, as the foundry's own bins of tt do.
        """
        given = dict(nominal.parameters)
        width_m, length_m = given["w"], given["l"]
        found: dict[str, dict[str, tuple[float, float]]] = {}
        for share, at_m in self._widths(device, width_m, length_m):

            def made(deviates: dict[str, float], at_m: float = at_m) -> dict[str, float]:
                return _values(made_of(self.library(deviates), device, at_m, length_m, sizes))

            asked: dict[str, None] = {}
            noting = self._drawn(_noting(asked))
            at = _values(made_of(noting, device, at_m, length_m, sizes))
            for factor in asked:
                up, down = made({factor: 1.0}), made({factor: -1.0})
                moves = found.setdefault(factor, {})
                for name in at:
                    if up[name] != at[name] or down[name] != at[name]:
                        linear, quadratic = moves.get(name, (0.0, 0.0))
                        linear += share * (up[name] - down[name]) / 2
                        quadratic += share * ((up[name] + down[name]) / 2 - at[name])
                        moves[name] = linear, quadratic
        made_moves = {factor: _direction(nominal, moves) for factor, moves in found.items()}
        return {factor: moves for factor, moves in made_moves.items() if moves}

    def _widths(self, device: str, width_m: float, length_m: float) -> list[tuple[float, float]]:
        """(share, width) of the models between which a width lies; one if its own is there."""
        centres = self._measured(device, length_m)
        if centres is None:
            return [(1.0, width_m)]
        if not centres:
            raise InputError(
                f"{device}: the foundry's global variation has no models of L = "
                f"{length_m * 1e6:g} um"
            )
        below = max((c for c in centres if c <= width_m * 1.006), default=centres[0])
        above = min((c for c in centres if c >= width_m * 0.994), default=centres[-1])
        if below == above:
            return [(1.0, below)]
        share = (1 / below - 1 / width_m) / (1 / below - 1 / above)
        return [(1.0 - share, below), (share, above)]

    def _measured(self, device: str, length_m: float) -> list[float] | None:
        """The widths of narrow bins that hold a length, ascending; None for bins that meet."""
        wrapper = self._body.subcircuits.get(device)
        if wrapper is None or not wrapper.body.models:
            return None
        edges = []
        for statement in wrapper.body.models.values():
            given = (statement.assigned.get(k) for k in ("lmin", "lmax", "wmin", "wmax"))
            numbers = [float(text) for text in given if text is not None]
            if len(numbers) < 4 or numbers[3] > 1.1 * numbers[2]:
                return None
            edges.append(numbers)
        return sorted((e[2] + e[3]) / 2 for e in edges if e[0] <= length_m < e[1])


def flat(element: Element) -> Element:
    """The same transistor with a card whose parameters no longer depend on its size.

    BSIM4 adds to a binned parameter P what lP, wP and pP give at the effective length and width.
    SKY130's global variation is given for models without such terms; where it moves the length,
    terms that stayed would move P once more.
    """
    card, given = element.card, dict(element.parameters)
    assert card is not None
    values = _values(element)
    get = values.get
    length_m = given["l"] + get("xl", 0.0)
    width_m = given["w"] / given.get("nf", 1.0) + get("xw", 0.0)

    def offset(a: str, fixed: str) -> float:
        """lint or wint and its dependence on the drawn size."""
        one = length_m ** get(f"{a}ln", 1.0)
        other = width_m ** get(f"{a}wn", 1.0)
        return get(fixed, 0.0) + sum(
            get(name, 0.0) / by
            for name, by in ((f"{a}l", one), (f"{a}w", other), (f"{a}wl", one * other))
        )

    unit = 1e-6 if get("binunit", 1.0) == 1 else 1.0
    by_length = unit / (length_m - 2 * offset("l", "lint"))
    by_width = unit / (width_m - 2 * offset("w", "wint"))
    terms = {"l": by_length, "w": by_width, "p": by_length * by_width}
    settled, gone = {}, set()
    for name, _ in card.values:
        ours = [t for t in terms if t + name in values and name not in _NOT_BINNED]
        if ours:
            settled[name] = repr(
                (card.parameter(name) or 0.0) + sum(values[t + name] * terms[t] for t in ours)
            )
            gone |= {t + name for t in ours}
    kept = tuple((n, settled.get(n, text)) for n, text in card.values if n not in gone)
    return replace(element, card=replace(card, values=kept))


def _noting(asked: dict[str, None]) -> Callable[[str], float]:
    """Every factor at its mean; which of them are asked for is written down."""

    def deviate(name: str) -> float:
        asked.setdefault(name)
        return 0.0

    return deviate


def _values(element: Element) -> dict[str, float]:
    """A transistor's card as numbers, with what the instance adds to threshold and mobility."""
    assert element.card is not None
    values = {name: float(text) for name, text in element.card.values if name != "version"}
    given = dict(element.parameters)
    values["vth0"] = values.get("vth0", 0.0) + given.get("delvto", 0.0)
    for name in ("u0", "lu0", "wu0", "pu0"):
        if name in values:
            values[name] *= given.get("mulu0", 1.0)
    return values


def _direction(nominal: Element, moves: Mapping[str, tuple[float, float]]) -> Direction:
    """Moves (linear, quadratic) added to the values that the nominal card has in an engine."""
    assert nominal.card is not None
    return tuple(
        Move(parameter=n, nominal=nominal.card.parameter(n) or 0.0, linear=a, quadratic=b)
        for n, (a, b) in moves.items()
        if a or b
    )
