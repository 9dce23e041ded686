"""From a circuit to compiled code: written as a module into the cache, imported from there.

numba keeps its compiled form beside the module, so that only the first use of a circuit compiles.

The node equations are written out as Python for numba, one straight line of code. For every unknown
node: charge Q and conductive current I that leave it. An implicit step solves c Q(v) + I(v) + rhs =
0; the Jacobian c dQ/dv + dI/dv is factored by an LU decomposition whose zeros are left out when the
code is written. Nothing is specific to one circuit.
"""

import hashlib
import importlib.util
import inspect
import os
import sys
from collections import defaultdict
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from rramsim.engines.batch import (
    contractions,
    layout,
    stepping,
    transistor,
)
from rramsim.engines.batch.elements import Topology
from rramsim.engines.batch.layout import GROUP, MODEL, Frame
from rramsim.files import atomic_path, cache_folder
from rramsim.spice import Element

ARGUMENTS = "v, u, c, rhs, hold, held, model, q, i, qs, is_, dv"
_HEADER = '''
@njit(forceinline=True, error_model="numpy", fastmath={"contract", "nsz"})
def system({arguments}):
    """Newton's step `dv` at `v`, and charges and currents at v + dv (to first order)."""
'''


def system_source(topology: Topology) -> str:
    """Source text of `system`, which evaluates the node equations and solves one Newton step."""
    writer = _Writer(topology)
    writer.linear()
    writer.transistors()
    place = len(writer.lines)
    for number, mosfet in enumerate(topology.circuit.mosfets):
        writer.mosfet(number, mosfet)
    writer.lines[place:place] = writer.junctions()
    writer.solve()
    writer.results()
    body = "\n".join(f"    {line}" for line in writer.lines)
    return _HEADER.replace("{arguments}", ARGUMENTS) + body + "\n"


class _Writer:
    """Collects terms per node, then writes sums, factorisation and results."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.n = len(topology.unknown)
        self.lines = [f"{', '.join(MODEL)} = model"]
        self.lines += [f"v{k} = v[{k}]" for k in range(self.n)]
        self.lines += [f"u{k} = u[{k}]" for k in range(1, len(topology.driven))]
        self.diffusions: list[tuple[str, str]] = []
        # Node keys: ("v", k) unknown, ("u", k) driven, ground is None.
        self.charge: dict[tuple[str, int], list[str]] = defaultdict(list)
        self.current: dict[tuple[str, int], list[str]] = defaultdict(list)
        self.c_terms: dict[tuple[tuple[str, int], int], list[str]] = defaultdict(list)
        self.g_terms: dict[tuple[tuple[str, int], int], list[str]] = defaultdict(list)

    def node(self, name: str) -> tuple[str, int] | None:
        unknown, k = self.topology.index[name]
        if unknown:
            return ("v", k)
        return ("u", k) if k else None

    @staticmethod
    def voltage(node: tuple[str, int] | None) -> str:
        return f"{node[0]}{node[1]}" if node else "0.0"

    def stamp(
        self,
        terms: dict[tuple[tuple[str, int], int], list[str]],
        row: tuple[str, int] | None,
        column: tuple[str, int] | None,
        text: str,
    ) -> None:
        if row and column and column[0] == "v":
            terms[row, column[1]].append(text)

    def linear(self) -> None:
        circuit = self.topology.circuit
        for parts, array, flow, terms in (
            (circuit.resistors, "gr", self.current, self.g_terms),
            (circuit.capacitors, "cc", self.charge, self.c_terms),
        ):
            for k, part in enumerate(parts):
                a, b = (self.node(name) for name in part.nodes)
                if a == b:
                    continue
                name = f"{array}{k}"
                self.lines.append(f"{name} = {array}[{k}]")
                self.lines.append(f"f{name} = {name} * ({self.voltage(a)} - {self.voltage(b)})")
                for row, other, sign in ((a, b, ""), (b, a, "-")):
                    if row:
                        flow[row].append(f"{sign}f{name}")
                    self.stamp(terms, row, row, name)
                    self.stamp(terms, row, other, f"-{name}")

    def transistors(self) -> None:
        """Evaluate all transistors, groups of the same kind side by side; see `transistor.py`."""
        stages: dict[str, list[str]] = {"outer": [], "inner": [], "values": []}
        for kind in ("free", "tied"):
            alike = [
                k
                for k, mosfet in enumerate(self.topology.circuit.mosfets)
                if (mosfet.nodes[2] == mosfet.nodes[3]) == (kind == "tied")
            ]
            while alike:
                size = GROUP
                while size > len(alike):
                    size //= 2
                group, alike = alike[:size], alike[size:]
                slot = len(stages["outer"])
                numbers = "".join(f"{k}, " for k in group)
                voltages = ", ".join(x for k in group for x in self.differences(k))
                for stage, lines in stages.items():
                    at = voltages if stage == "outer" else ""
                    lines.append(f"{kind}_{stage}(model, {slot}, ({numbers}), ({at}))")
        for lines in stages.values():
            self.lines += lines

    def differences(self, k: int) -> tuple[str, str, str]:
        """A transistor's (vgs, vds, vsb), as of an n-channel one."""
        mosfet = self.topology.circuit.mosfets[k]
        vd, vg, vs, vb = (self.voltage(self.node(name)) for name in mosfet.nodes)
        if mosfet.card and mosfet.card.kind == "pmos":
            return f"{vs} - {vg}", f"{vs} - {vd}", f"{vb} - {vs}"
        return f"{vg} - {vs}", f"{vd} - {vs}", f"{vs} - {vb}"

    def mosfet(self, k: int, mosfet: Element) -> None:
        drain, gate, source, bulk = (self.node(name) for name in mosfet.nodes)
        kind = mosfet.card.kind if mosfet.card else ""
        tied = mosfet.nodes[2] == mosfet.nodes[3]
        vd, vb = self.voltage(drain), self.voltage(bulk)
        names = [(0, [f"i{k}{x}" for x in ("", "_g", "_d", "_s")])]
        names += [
            (place, [f"q{k}{t}{x}" for t in "gds"])
            for place, x in enumerate(("", "_g", "_d", "_s"), start=1)
        ]
        for place, four in names:
            self.lines += [
                f"{name} = found[{k}, {4 * place + lane}]"
                for lane, name in enumerate(four)
                if not (tied and name.endswith("_s"))
            ]
        sign = "-" if kind == "pmos" else ""
        other = "" if sign else "-"
        # The bulk holds minus the other charges: (function, sign) pairs per terminal.
        rows: list[tuple[tuple[str, int] | None, list[tuple[str, bool]]]] = [
            (gate, [(f"q{k}g", False)]),
            (drain, [(f"q{k}d", False)]),
            (source, [(f"q{k}s", False)]),
            (bulk, [(f"q{k}{t}", True) for t in "gds"]),
        ]
        if tied:
            rows = [*rows[:2], (source, [(f"q{k}g", True), (f"q{k}d", True)])]
        for row, functions in rows:
            if row is None:
                continue
            for name, minus in functions:
                self.charge[row].append(f"{other if minus else sign}{name}")
                self._columns(self.c_terms, row, name, minus, (gate, drain, source, bulk), tied)
        for row, minus in ((drain, False), (source, True)):
            if row is None:
                continue
            self.current[row].append(f"{other if minus else sign}i{k}")
            self._columns(self.g_terms, row, f"i{k}", minus, (gate, drain, source, bulk), tied)
        over_bulk = f"{vb} - {vd}" if kind == "pmos" else f"{vd} - {vb}"
        self._junction(f"j{k}d", drain, bulk, f"off[{k}, 2]", over_bulk, (sign, other))
        if not tied:
            self._junction(
                f"j{k}s", source, bulk, f"off[{k}, 3]", self.differences(k)[2], (sign, other)
            )

    def _junction(
        self,
        name: str,
        node: tuple[str, int] | None,
        bulk: tuple[str, int] | None,
        table: str,
        voltage: str,
        signs: tuple[str, str],
    ) -> None:
        """Current from a drain or source into the bulk."""
        if node == bulk:
            return
        self.lines += [
            f"{name} = leaks[{1 + 2 * len(self.diffusions)}]",
            f"{name}_v = leaks[{2 + 2 * len(self.diffusions)}]",
        ]
        self.diffusions.append((voltage, table))
        for row, column, sign in ((node, bulk, signs[0]), (bulk, node, signs[1])):
            if row:
                self.current[row].append(f"{sign}{name}")
                self.stamp(self.g_terms, row, row, f"{name}_v")
                self.stamp(self.g_terms, row, column, f"-{name}_v")

    def junctions(self) -> list[str]:
        """Currents of all diffusions into the bulk, behind one branch: hardly ever do any flow."""
        if not self.diffusions:
            return []
        closed = f"frame[{Frame.JUNCTION:d}, 2]"
        lowest = closed
        for voltage, _ in self.diffusions:
            lowest = f"min({lowest}, {voltage})"
        lines = [f"if {lowest} < {closed}:", "    leaks[0] = 1.0"]
        for k, (voltage, table) in enumerate(self.diffusions):
            both = f"leaks[{2 * k + 1}], leaks[{2 * k + 2}]"
            lines.append(f"    {both} = junction({voltage}, tab, {table}, frame)")
        last = 2 * len(self.diffusions)
        return [
            *lines,
            "elif leaks[0] != 0.0:",
            f"    for k in range({last + 1}):",
            "        leaks[k] = 0.0",
        ]

    def _columns(
        self,
        terms: dict[tuple[tuple[str, int], int], list[str]],
        row: tuple[str, int],
        name: str,
        minus: bool,
        nodes: tuple[tuple[str, int] | None, ...],
        tied: bool,
    ) -> None:
        """Derivatives of a function of (vgs, vds, vsb) by its nodes; alike for both channels."""
        plus, less = ("-", "") if minus else ("", "-")
        gate, drain, source, bulk = nodes
        self.stamp(terms, row, gate, f"{plus}{name}_g")
        self.stamp(terms, row, drain, f"{plus}{name}_d")
        self.stamp(terms, row, source, f"{less}{name}_g")
        self.stamp(terms, row, source, f"{less}{name}_d")
        if not tied:
            self.stamp(terms, row, source, f"{plus}{name}_s")
            self.stamp(terms, row, bulk, f"{less}{name}_s")

    @staticmethod
    def total(terms: list[str]) -> str:
        """A sum as text; `a` and `-a` cancel."""
        count: dict[str, int] = defaultdict(int)
        for term in terms:
            count[term.lstrip("-")] += -1 if term.startswith("-") else 1
        text = ""
        for name, times in count.items():
            if times:
                factor = "" if abs(times) == 1 else f"{abs(times)} * "
                text += f" {'-' if times < 0 else '+'} {factor}{name}"
        text = text.strip()
        return text[2:] if text.startswith("+ ") else text or "0.0"

    def solve(self) -> None:
        n = self.n
        pattern: set[tuple[int, int]] = {(k, k) for k in range(n)}
        for k in range(n):
            node = ("v", k)
            self.lines += [
                f"q_{k} = {self.total(self.charge[node])}",
                f"i_{k} = {self.total(self.current[node])}",
                f"f{k} = c * q_{k} + i_{k} + rhs[{k}] + hold[{k}] * (v{k} - held[{k}])",
            ]
            for m in range(n):
                parts = []
                if self.c_terms[node, m]:
                    self.lines.append(f"c_{k}_{m} = {self.total(self.c_terms[node, m])}")
                    parts.append(f"c * c_{k}_{m}")
                if self.g_terms[node, m]:
                    self.lines.append(f"g_{k}_{m} = {self.total(self.g_terms[node, m])}")
                    parts.append(f"g_{k}_{m}")
                if k == m:
                    parts.append(f"hold[{k}]")
                if parts:
                    pattern.add((k, m))
                    self.lines.append(f"a{k}_{m} = {' + '.join(parts)}")
        order = _minimum_degree(n, pattern)
        left = list(order)
        for pivot in order:
            left.remove(pivot)
            self.lines.append(f"p{pivot} = 1.0 / a{pivot}_{pivot}")
            for row in left:
                if (row, pivot) not in pattern:
                    continue
                self.lines.append(f"m = a{row}_{pivot} * p{pivot}")
                for column in left:
                    if (pivot, column) in pattern:
                        target = f"a{row}_{column}"
                        before = target if (row, column) in pattern else "0.0"
                        pattern.add((row, column))
                        self.lines.append(f"{target} = {before} - m * a{pivot}_{column}")
                self.lines.append(f"f{row} = f{row} - m * f{pivot}")
        done: list[int] = []
        for pivot in reversed(order):
            terms = "".join(f" + a{pivot}_{m} * d{m}" for m in done if (pivot, m) in pattern)
            self.lines.append(f"d{pivot} = -(f{pivot}{terms}) * p{pivot}")
            done.append(pivot)

    def results(self) -> None:
        for k in range(self.n):
            self.lines.append(f"dv[{k}] = d{k}")
            self._linearised(("v", k), f"q[{k}]", f"i[{k}]", f"q_{k}", f"i_{k}")
        for k in range(1, len(self.topology.driven)):
            row = ("u", k)
            for m in range(self.n):
                for terms, letter in ((self.c_terms, "c"), (self.g_terms, "g")):
                    if terms[row, m]:
                        self.lines.append(f"{letter}s_{k}_{m} = {self.total(terms[row, m])}")
            self._linearised(
                row,
                f"qs[{k}]",
                f"is_[{k}]",
                self.total(self.charge[row]),
                self.total(self.current[row]),
            )

    def _linearised(
        self, row: tuple[str, int], q_out: str, i_out: str, q_text: str, i_text: str
    ) -> None:
        s = "s" if row[0] == "u" else ""
        for out, text, terms, letter in (
            (q_out, q_text, self.c_terms, "c"),
            (i_out, i_text, self.g_terms, "g"),
        ):
            more = "".join(
                f" + {letter}{s}_{row[1]}_{m} * d{m}" for m in range(self.n) if terms[row, m]
            )
            self.lines.append(f"{out} = {text}{more}")


def _minimum_degree(n: int, pattern: set[tuple[int, int]]) -> list[int]:
    """An elimination order that keeps few new entries: always the node with fewest neighbours."""
    neighbours = {
        k: {m for m in range(n) if m != k and ((k, m) in pattern or (m, k) in pattern)}
        for k in range(n)
    }
    order = []
    while neighbours:
        pivot = min(neighbours, key=lambda k: (len(neighbours[k]), k))
        around = neighbours.pop(pivot)
        for k in around:
            neighbours[k] |= around - {k}
            neighbours[k].discard(pivot)
        order.append(pivot)
    return order


Kernel = Any

_TEMPLATE = '''"""Written by rramsim for one circuit; do not edit."""
import math

import numpy as np
from numba import njit as _njit

from rramsim.compiled import compiled as njit
from rramsim.engines.batch.transistor import mismatch
from rramsim.engines.batch.transistor import (
    free_inner, free_outer, free_values, junction, tied_inner, tied_outer, tied_values,
)

N, DRIVEN, Q, QB = {n}, {driven}, {q}, {qb}
READ, RESOLVE, MARGIN, CONVERGED, STEPS, SOLVES = range(6)


{body}
'''


@cache
def _marching() -> str:
    """The text of the functions that march in time, the same for every circuit."""
    functions = (stepping.source, stepping.crossing, stepping.march, stepping.run)
    return "\n\n".join(inspect.getsource(function) for function in functions)


def kernel_source(topology: Topology, *, q: str, qb: str) -> str:
    """The module's text for a circuit whose outputs are the nodes `q` and `qb`."""
    text = system_source(topology).replace("@njit(", "@_njit(")
    body = f"{text}\n\n{_marching()}"
    return _TEMPLATE.format(
        n=len(topology.unknown),
        driven=len(topology.driven),
        q=topology.unknown.index(q),
        qb=topology.unknown.index(qb),
        body=body,
    )


@lru_cache(maxsize=64)
def load_kernel(topology: Topology, *, q: str, qb: str) -> Kernel:
    """The compiled `run` for a circuit; compiles for about ten seconds the first time."""
    return _load(kernel_source(topology, q=q, qb=qb))


@cache
def _load(source: str) -> Kernel:
    # numba's cache asks whether this file changed, but not those that it inlines.
    digest = hashlib.sha256(source.encode())
    for module in (layout, transistor, contractions):
        digest.update(inspect.getsource(module).encode())
    name = f"rramsim_kernel_{digest.hexdigest()[:24]}"
    path = cache_folder() / f"{name}.py"
    if not _same(path, source):
        with atomic_path(path) as temporary:
            temporary.write_text(source, encoding="utf-8")
        # A fixed time keeps numba's index of a rewritten file valid: the name is its content.
    os.utime(path, (0, 0))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.run


def _same(path: Path, source: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == source
    except OSError:
        return False
