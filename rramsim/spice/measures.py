"""`.measure` lines: scalars of one's own, found in the waveforms of every engine alike.

Of ngspice's syntax what a read has a use for: `trig ... targ ...`, `when`, `find ... when` and
`find ... at`, `max`, `min`, `pp`, `avg`, `rms`, `integ`, and `param`. Signals are voltages,
`v(NODE)` or `v(NODE, NODE)`. Times count from the middle of the SEN edge. No simulator is given
such a line.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.spice.expressions import compile_expression, evaluate
from rramsim.spice.lines import Where

Floats = NDArray[np.float64]
Signal = tuple[str, ...]
"""One node, or two whose difference counts."""

_OVER = ("max", "min", "pp", "avg", "rms", "integ")
_EDGES = {"rise": 1, "fall": -1, "cross": 0}
_SYNTAX = (
    "'.measure tran NAME' goes on with one of: trig EVENT targ EVENT; when V=VALUE; find V when "
    f"V=VALUE; find V at=TIME; {', '.join(_OVER)} V [from=TIME] [to=TIME]; param='EXPRESSION'. V "
    "is v(NODE) or v(NODE, NODE); an EVENT is at=TIME or V val=VALUE; a crossing may have td=TIME "
    "and one of rise, fall, cross = NUMBER or last"
)


@dataclass(frozen=True, kw_only=True)
class _Event:
    """A time, or the moment at which a signal crosses a level (or another signal)."""

    at_s: float | None = None
    signal: Signal = ()
    other: Signal = ()
    level_v: float = 0.0
    after_s: float = -math.inf
    edge: int = 0
    number: float = 1

    def time_s(self, time_s: Floats, volt: Callable[[Signal], Floats]) -> float:
        """When it happens; NaN for never."""
        if self.at_s is not None:
            return self.at_s
        away = volt(self.signal) - (volt(self.other) if self.other else self.level_v)
        above = away >= 0
        found = np.flatnonzero(above[1:] != above[:-1])
        share = away[found] / (away[found] - away[found + 1])
        times = time_s[found] + share * (time_s[found + 1] - time_s[found])
        rising = above[found + 1]
        wanted = (rising if self.edge > 0 else ~rising) | (self.edge == 0)
        times = times[wanted & (times >= self.after_s)]
        place = len(times) if self.number == math.inf else int(self.number)
        return float(times[place - 1]) if 0 < place <= len(times) else math.nan


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One `.measure` line; `kind` is its first word behind the name."""

    name: str
    kind: str
    signal: Signal = ()
    events: tuple[_Event, ...] = ()
    from_s: float = -math.inf
    to_s: float = math.inf
    expression: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it looks at."""
        return (*self.signal, *(n for e in self.events for n in (*e.signal, *e.other)))

    def value(
        self, time_s: Floats, voltages_v: Mapping[str, Floats], others: Mapping[str, float]
    ) -> float:
        """The scalar of one sense: seconds, volts, or V s for `integ`; NaN where there is none.

        `others` are the measures before it, which `param` may name.
        """

        def volt(signal: Signal) -> Floats:
            one, *rest = (voltages_v.get(node, np.zeros_like(time_s)) for node in signal)
            return one - rest[0] if rest else one

        if self.kind == "param":
            return evaluate(compile_expression(self.expression), others.__getitem__)
        times = [event.time_s(time_s, volt) for event in self.events]
        if self.kind == "trig":
            return times[1] - times[0]
        if self.kind == "when":
            return times[0]
        line = volt(self.signal)
        if self.kind == "find":
            inside = time_s[0] <= times[0] <= time_s[-1]
            return float(np.interp(times[0], time_s, line)) if inside else math.nan
        start_s, stop_s = max(self.from_s, time_s[0]), min(self.to_s, time_s[-1])
        if not start_s < stop_s:
            return math.nan
        inside = (time_s > start_s) & (time_s < stop_s)
        time = np.concatenate(([start_s], time_s[inside], [stop_s]))
        line = np.interp(time, time_s, line)
        length_s = stop_s - start_s
        return float(
            {
                "max": lambda: line.max(), "min": lambda: line.min(), "pp": lambda: np.ptp(line),
                "avg": lambda: np.trapezoid(line, time) / length_s,
                "rms": lambda: math.sqrt(np.trapezoid(line**2, time) / length_s),
                "integ": lambda: np.trapezoid(line, time),
            }[self.kind]()
        )  # fmt: skip


def measure(
    name: str, words: tuple[str, ...], where: Where, *, number: Callable[[str, Where], float],
    known: Collection[str],
) -> Measure:  # fmt: skip
    """Understand the words that follow the name of a `.measure tran` line.

    `number` evaluates a value, `known` are the measures before it. Raises `InputError`, naming file
    and line, for what is no such line.
    """
    return _Reader(words, where, number).measure(name, known)


class _Reader:
    """Takes the words of a line from left to right."""

    def __init__(
        self, words: tuple[str, ...], where: Where, number: Callable[[str, Where], float]
    ) -> None:
        self.words, self.where, self._number, self.place = words, where, number, 0

    def refused(self) -> InputError:
        word = self.words[self.place] if self.place < len(self.words) else "the end of the line"
        return InputError(f"{self.where}: .measure: cannot read {word[:40]!r} here; {_SYNTAX}")

    def take(self, *wanted: str) -> str:
        """The next word, which must be one of these, if any are named."""
        word = self.words[self.place] if self.place < len(self.words) else ""
        if not word or (wanted and word not in wanted):
            raise self.refused()
        self.place += 1
        return word

    def at(self, *wanted: str) -> bool:
        return self.place < len(self.words) and self.words[self.place] in wanted

    def number(self) -> float:
        return self._number(self.take(), self.where)

    def signal(self) -> Signal:
        self.take("v")
        self.take("(")
        nodes = [self.take()]
        if self.take(",", ")") == ",":
            nodes.append(self.take())
            self.take(")")
        return tuple(nodes)

    def given(self, *keys: str) -> dict[str, float]:
        """`KEY=VALUE` in any order; `rise`, `fall` and `cross` may be `last`."""
        found: dict[str, float] = {}
        while self.at(*keys):
            key = self.take()
            self.take("=")
            if key in found or (key in _EDGES and found.keys() & _EDGES.keys()):
                raise InputError(f"{self.where}: .measure: {key} is given twice")
            last = key in _EDGES and self.at("last")
            if last:
                self.take()
            value = math.inf if last else self.number()
            if key in _EDGES and not (value == math.inf or (value >= 1 and value == int(value))):
                raise InputError(f"{self.where}: .measure: {key} = {value:g}: a number from 1 up")
            found[key] = value
        return found

    def crossing(self, *, val: bool) -> _Event:
        """`v(a)=VALUE` or `v(a)=v(b)`, in a trig or targ `v(a) val=VALUE`; then its options."""
        signal = self.signal()
        other: Signal = ()
        level_v = 0.0
        if not val:
            self.take("=")
            if self.at("v"):
                other = self.signal()
            else:
                level_v = self.number()
        given = self.given(*_EDGES, "td", *(("val",) if val else ()))
        if val and "val" not in given:
            raise self.refused()
        edge = next((key for key in _EDGES if key in given), "cross")
        return _Event(
            signal=signal, other=other, level_v=given.get("val", level_v),
            after_s=given.get("td", -math.inf), edge=_EDGES[edge], number=given.get(edge, 1.0),
        )  # fmt: skip

    def event(self) -> _Event:
        if self.at("at"):
            return _Event(at_s=self.given("at")["at"])
        return self.crossing(val=True)

    def measure(self, name: str, known: Collection[str]) -> Measure:
        kind = self.take("trig", "when", "find", "param", *_OVER)
        made = Measure(name=name, kind=kind)
        if kind == "param":
            self.take("=")
            text = self.take()
            text = text[1:-1] if text[0] in "{'\"" else text
            try:
                needed = {item for what, item, _ in compile_expression(text) if what == "name"}
            except ValueError as error:
                raise InputError(f"{self.where}: .measure {name}: {error}") from error
            if missing := needed - set(known):
                raise InputError(
                    f"{self.where}: .measure {name}: no measure {min(missing)!r} stands before it"
                )
            made = Measure(name=name, kind=kind, expression=text)
        elif kind == "trig":
            first = self.event()
            self.take("targ")
            made = Measure(name=name, kind=kind, events=(first, self.event()))
        elif kind == "when":
            made = Measure(name=name, kind=kind, events=(self.crossing(val=False),))
        else:
            signal = self.signal()
            if kind == "find" and self.at("at"):
                made = Measure(name=name, kind=kind, signal=signal, events=(self.event(),))
            elif kind == "find":
                self.take("when")
                found = self.crossing(val=False)
                made = Measure(name=name, kind=kind, signal=signal, events=(found,))
            else:
                given = self.given("from", "to")
                made = Measure(
                    name=name, kind=kind, signal=signal, from_s=given.get("from", -math.inf),
                    to_s=given.get("to", math.inf),
                )  # fmt: skip
        if self.place < len(self.words):
            raise self.refused()
        return made
