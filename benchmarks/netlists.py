"""Is a netlist read as ngspice reads it, and how fast? Netlists drawn at random from the grammar.

Each netlist has chains of parameters, functions, subcircuits with defaults and overrides, nested
ones, local models, global nodes, every element, m, and the text's freedoms (case, tabs, comments,
continued lines). ngspice's `listing expand` is compared with our elaboration: every element, node,
value and parameter. `python -m benchmarks netlists --count 2000 --seed 1` takes five minutes;
`--speed` times 5 MB of netlist instead.

Left out, because ngspice 39 is at fault there: `m` on an X line whose elements have an `m` of their
own or whose subcircuit holds others (it keeps the last m, and hands none on), the suffixes `a` and
`mil` inside braces, and exponents of negative numbers.
"""

import argparse
import json
import math
import random
import re
import sys
import time
from pathlib import Path

from rramsim.engines.ngspice_library import CircuitError, ngspice_session
from rramsim.spice import (
    Body,
    Circuit,
    Element,
    Library,
    Names,
    Scope,
    elaborate,
    logical_lines,
    parse_deck,
)

__all__ = ["compared", "drawn_netlist", "elaborated", "main"]

_MODELS = (
    ".model nx nmos level=54 version=4.5 vth0={vt+0.1} toxe=11.6n",
    ".model px pmos level=54 version=4.5 vth0=-0.7 toxe=11.6n u0=0.01",
    ".model dx d is=1f n=1.1",
)
_TOLERANCE = 1e-9


class _Draw:
    """One netlist; `lines` grow."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.pins: dict[str, list[str]] = {}
        self.formals: dict[str, list[str]] = {}
        self.plain: set[str] = set()
        # ngspice expands functions in element lines, and there not every combination.
        self.in_element = False

    def number(self) -> str:
        r = self.r
        digits = r.choice(
            [f"{r.uniform(0.1, 9.9):.3g}", str(r.randint(1, 99)), ".5", "1e-1", "2.5e+1", "3."]
        )
        suffixes = ["", "", "k", "K", "m", "u", "MEG", "n", "mOhm", "uF", "Ohm", "kohm", "p", "meg"]
        return digits + r.choice(suffixes)

    def expression(self, names: list[str], depth: int = 0) -> str:
        r = self.r
        kind = r.randint(0, 13 if depth < 3 else 1)
        if kind <= 1 or not names:
            return r.choice([*names, self.number()]) if names else self.number()
        one, other = (self.expression(names, depth + 1) for _ in range(2))
        if kind <= 5:
            return f"{one} {r.choice('+-*')} {other}"
        if kind == 6:
            return f"({one})/(abs({other})+1)"
        if kind == 7:
            return f"{r.choice(['max', 'min'])}({one},{other})"
        if kind == 8:
            return f"({one} {r.choice(['>', '<', '>=', '<='])} {other} ? {other} : {one})"
        if kind == 9:
            power = r.choice(["pow({},{})", "({})^({})", "({})**({})", "pwr({},{})"])
            return power.format(
                f"tanh(abs({one}))+0.3", r.choice(["2", "0.5", "3", f"tanh({other})"])
            )
        if kind == 10:
            return f"({r.choice('-+')}({one}))"
        if kind == 11:
            both = f"({one} > {other}) {r.choice(['&&', '||'])} ({other} != 0)"
            return f"({both} ? {one} : {other})"
        if kind == 12:
            bounded = f"tanh({one})"
            return f"{r.choice(['exp', 'sgn', 'sin', 'cos', 'atan', 'arctan', 'sqr'])}({bounded})"
        # Off the whole numbers: ngspice reads 4.1MEG a rounding error below 4,100,000.
        inner = f"abs({one})+0.3"
        functions = ["sqrt", "int", "tanh", "ceil", "floor", "nint", "abs", "ln", "log", "log10"]
        return f"{r.choice(functions)}({inner})"

    def quoted(self, names: list[str], positive: str = "") -> str:
        """A value: a number, a name, or an expression in braces or quotes."""
        r = self.r
        if not positive and names and r.random() < 0.2:
            return r.choice(names)
        if r.random() < 0.3:
            return self.number()
        if self.in_element and names and r.random() < 0.1:
            return f"{{{positive or 0}+abs(ours({r.choice(names)},{self.number()}))}}"
        text = self.expression(names)
        text = f"abs({text})*{positive}+{positive}" if positive else text
        return f"{{{text}}}" if r.random() < 0.6 else f"'{text}'"

    def element(self, k: int, nodes: list[str], names: list[str], may_m: bool) -> str:
        r = self.r
        letter = r.choice("rrccmmmdvilegx" if self.pins else "rrccmmmdvileg")
        a, b, c, d = (r.choice(nodes) for _ in range(4))
        m = f" m={r.choice(['2', '{1+1}', '3'])}" if may_m and r.random() < 0.3 else ""
        if letter == "r":
            return f"r{k} {a} {b} {self.quoted(names, '1')}{m}"
        if letter == "c":
            return f"c{k} {a} {b} {self.quoted(names, '1f')}{m}"
        if letter == "l":
            return f"l{k} {a} {b} {self.quoted(names, '1n')}"
        if letter == "d":
            return f"d{k} {a} {b} {r.choice(['dx', 'dx', 'DX'])}{m}"
        if letter == "v":
            return f"v{k} {a} {b} {r.choice(['dc ', ''])}{self.quoted(names)}"
        if letter == "i":
            return (
                f"i{k} {a} {b} pulse(0 {self.quoted(names)} 1n 1n, 1n {self.quoted(names, '1n')} 1)"
            )
        if letter in "eg":
            return f"{letter}{k} {a} {b} {c} {d} {self.quoted(names)}"
        if letter == "m":
            model = r.choice(["nx", "px"])
            sizes = [f"w={self.quoted(names, '1u')}", f"L = {self.quoted(names, '1u')}"]
            sizes += [f"ad={self.quoted(names, '1p')}"] * r.randint(0, 1)
            sizes += [f"nf={r.randint(1, 4)}"] * r.randint(0, 1)
            r.shuffle(sizes)
            return f"m{k} {a} {b} {c} {d} {model} {' '.join(sizes)}{m}"
        name = r.choice(list(self.pins))
        given = [n for n in self.formals[name] if r.random() < 0.6]
        r.shuffle(given)
        values = " ".join(f"{n}={self.quoted(names)}" for n in given)
        word = "params: " if given and r.random() < 0.2 else ""
        m = f" m={r.randint(2, 4)}" if name in self.plain and may_m and r.random() < 0.5 else ""
        return f"x{k} {' '.join(r.choice(nodes) for _ in self.pins[name])} {name} {word}{values}{m}"

    def body(self, pins: list[str], names: list[str], may_m: bool) -> list[str]:
        inner = [f"n{k}" for k in range(self.r.randint(1, 3))]
        nodes = [*pins, *inner, "0", "gg"]
        self.in_element = True
        lines = [self.element(k, nodes, names, may_m) for k in range(self.r.randint(2, 6))]
        self.in_element = False
        # Every node has a way to ground and two terminals, as ours must.
        ground = [f"r{c}{n} {n} 0 1meg" for n in (inner if pins else [*inner, "gg"]) for c in "yz"]
        return [*lines, *ground]

    def subcircuit(self, name: str, globals_: list[str]) -> list[str]:
        r = self.r
        pins = [f"p{k}" for k in range(r.randint(2, 4))]
        formals: list[str] = []
        defaults = []
        for k in range(r.randint(0, 3)):
            value = self.quoted([*globals_, *formals])
            defaults.append(f"f{k}={value}")
            formals.append(f"f{k}")
        names = [*globals_, *formals]
        plain = r.random() < 0.4
        # A name of its own: on an X line it must not be one of the inner subcircuit's.
        own = f"own{name}"
        local = [f".param {own}={{{self.expression(names)}}}"] if r.random() < 0.5 else []
        body = self.body(pins, [*names, *([own] if local else [])], may_m=not plain)
        if plain and not any(line[0] in "xX" for line in body):
            # An `m` on its X line is as if each element had it.
            body = [line for line in body if line[0] in "rcmd"] or ["r1 p0 p1 1k"]
            self.plain.add(name)
        if name not in self.plain and r.random() < 0.3:
            # One that is defined inside, which nothing outside sees.
            of_q = self.expression([*globals_, "q"])
            body += [
                f".subckt in{name} a b q={r.randint(1, 9)}",
                f"rq a b {{abs({of_q})+1}}",
            ]
            body += [".ends", f"xin p0 p1 in{name} q={self.quoted(names)}", f"xother p1 0 in{name}"]
        self.pins[name], self.formals[name] = pins, formals
        head = f".subckt {name} {' '.join(pins)} {' '.join(defaults)}"
        return [head, *local, *body, r.choice([f".ends {name}", ".ends"])]

    def netlist(self) -> str:
        r = self.r
        names = ["vt"]
        params = [".param vt=0.5"]
        for k in range(r.randint(1, 5)):
            value = self.quoted(list(names)) if r.random() < 0.8 else self.number()
            params.append(f".param g{k}={value}")
            names.append(f"g{k}")
        r.shuffle(params)
        lines = [*_MODELS, ".func ours(x,y) {x*2-y}", ".global gg", *params]
        for k in range(r.randint(1, 4)):
            lines += self.subcircuit(f"s{k}", names)
        lines += self.body([], names, may_m=True)
        return "\n".join(["* drawn", *(self.dressed(line) for line in lines), ".end"])

    def dressed(self, line: str) -> str:
        """The same line in another writing."""
        r = self.r
        if r.random() < 0.2:
            line = line.upper()
        if r.random() < 0.2 and line[0] != ".":
            line = line.replace(" ", "\t ", 2)
        if r.random() < 0.2 and " W=" in line.upper() and "{" not in line and "'" not in line:
            at = line.upper().index(" W=")
            line = f"{line[:at]}\n* between\n+{line[at:]}"
        if r.random() < 0.15 and line[0] != ".":
            line += r.choice([" ; a comment", " $ a comment"])
        return line


def drawn_netlist(seed: int) -> str:
    """The netlist of a seed."""
    return _Draw(seed).netlist()


def elaborated(text: str) -> Circuit:
    """What we make of a netlist that stands alone."""
    return elaborate(
        parse_deck(text, Path("drawn")).body,
        Library(scope=Scope(Body())),
        global_nodes={"gg": "gg"},
    )


def compared(text: str, ours: Circuit) -> list[str]:
    """Where ngspice's listing of a netlist and an elaboration differ; empty if nowhere."""
    names = Names.users(ours)
    session = ngspice_session()
    plain = "\n".join(line for _, line in logical_lines(text, Path("drawn")) if line != ".end")
    try:
        session.load(f"title\n{plain}\nvzzz gg 0 1\n.op\n.end")
    except CircuitError as error:
        return [str(error)]
    theirs = {k: v for k, v in session.listing().items() if k[0] not in ".*+t" and k != "vzzz"}
    # Of a subcircuit defined inside another ngspice says the letter twice: r.x1.r.xin.rq.
    theirs = {re.sub(r"(?<=\.)[a-z]\.", "", k): v for k, v in theirs.items() if k[0] in "rclviegmd"}
    found = []
    mine = {names.elements[e.name]: e for e in ours.elements}
    for missing in set(mine) ^ set(theirs):
        found.append(f"{missing}: only {'ours' if missing in mine else 'ngspice'} has it")
    for name in set(mine) & set(theirs):
        found += [f"{name}: {what}" for what in _differences(mine[name], theirs[name])]
    return found


def _differences(element: Element, line: str) -> list[str]:
    words = line.replace("=", " = ").replace("(", " ").replace(")", " ").replace(",", " ").split()
    count = len(element.nodes)
    if list(element.nodes) != words[1 : count + 1]:
        return [f"nodes {element.nodes} for {words[1 : count + 1]}"]
    rest = words[count + 1 :]
    given = {}
    while "=" in rest:
        at = rest.index("=")
        given[rest[at - 1]] = _value(rest[at + 1])
        del rest[at - 1 : at + 2]
    ours = dict(element.parameters)
    if element.card:
        given.setdefault("m", 1.0)
        ours.setdefault("m", 1.0)
        if rest[0].split(":")[-1] != element.card.bin_name:
            return [f"model {element.card.bin_name} for {rest[0]}"]
    elif element.kind in "vi":
        rest = rest[1:] if rest[0] in ("dc", "pulse") else rest
        given = {str(k): _value(word) for k, word in enumerate(rest)}
        ours = {str(k): value for k, value in enumerate(element.wave[1])}
    else:
        m = given.pop("m", 1.0)
        value = _value(rest[0])
        given = {"value": value / m if element.kind == "r" else value * m}
        ours = {"value": element.value}
    if set(ours) != set(given):
        return [f"parameters {sorted(ours)} for {sorted(given)}"]
    return [
        f"{name} = {ours[name]!r} for {given[name]!r}"
        for name in ours
        if not math.isclose(ours[name], given[name], rel_tol=_TOLERANCE, abs_tol=1e-30)
    ]


def _value(word: str) -> float:
    return Scope(Body()).number(word, None)  # type: ignore[arg-type]


def speed(folder: Path, *, megabytes: float = 5) -> dict[str, float]:
    """Seconds of processor time to read a netlist, and to elaborate it."""
    lines, size = [".subckt amp a b vdd"], 0
    while size < 1e6 * megabytes:
        k = len(lines)
        line = (
            f"m{k} n{k % 100} a b vdd px w=1u l=0.5u ad=0.29p as=0.29p pd=2.58u ps=2.58u"
            if k % 2
            else f"c{k} a n{k % 100} {{2f*{k % 100}+1f}}"
            if k % 3 == 0
            else f"xr{k} a n{k % 100} vdd cell w={{1u*{1 + k % 3}}} l=0.5u"
        )
        lines.append(line)
        size += len(line) + 1
    lines += [".ends", ".subckt cell a b c w=1u l=1u", "r1 a b {w*1e9}", "r2 b c 1k", ".ends"]
    lines += [*_MODELS, ".param vt=0.5", "xa a b vdd amp", "r1 a 0 1", "r2 b 0 1", "r3 vdd 0 1"]
    text = "\n".join(lines)
    start = time.process_time()
    deck = parse_deck(text, folder / "large.spice")
    read_s = time.process_time() - start
    start = time.process_time()
    circuit = elaborate(deck.body, Library(scope=Scope(Body())))
    return {
        "megabytes": len(text) / 1e6,
        "lines": len(lines),
        "read_s": read_s,
        "elaborate_s": time.process_time() - start,
        "elements": len(circuit.elements),
    }


def main(argv: list[str]) -> int:
    """Print what differs; returns 1 if anything does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks netlists")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="time 5 MB of netlist instead")
    options = parser.parse_args(argv)
    if options.speed:
        print(json.dumps(speed(Path())))
        return 0
    differ = elements = 0
    for seed in range(options.seed, options.seed + options.count):
        text = drawn_netlist(seed)
        ours = elaborated(text)
        elements += len(ours.elements)
        found = compared(text, ours)
        differ += bool(found)
        for line in found[:3]:
            print(f"seed {seed}: {line}", file=sys.stderr)
    print(f"{options.count} netlists, {elements} elements: {differ} netlists differ")
    return int(differ > 0)
