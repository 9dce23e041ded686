"""Expressions of a netlist, with ngspice's meaning; compiled to a list for a stack machine.

No recursion and no backtracking: time and memory grow with the text. Powers bind from the left and
take the base without its sign (`2^3^2` is 64, `(-2)^3` is 8; `pow(-2, 3)` is -8), `log` is natural,
a comparison gives 1 or 0, and both sides of `a ? b : c` are evaluated. What has no value (a
division by 0) is NaN until it is used.
"""

import math
import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rramsim.numbers import spice_number

Code = tuple[tuple[str, Any, int], ...]
"""(what, number or name, count of arguments): "number", "name", "apply" or "call"."""

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?[a-z\u00b5\u03bc\u03c9]*"
_TOKEN = re.compile(
    rf"\s*(?:({_NUMBER})|([a-z_][\w.$:#]*)|(\*\*|<=|>=|==|!=|<>|&&|\|\||[-+*/%^\\<>!?:(),=&|]))",
    re.ASCII,
)
_OPEN = re.compile(r"\s*\(")
_BINARY = {
    "||": 1, "|": 1, "&&": 2, "&": 2,
    "==": 3, "=": 3, "!=": 3, "<>": 3, "<": 3, ">": 3, "<=": 3, ">=": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "\\": 5, "**": 7, "^": 7,
}  # fmt: skip
_UNARY = {"-": 6, "+": 6, "!": 8}
RANDOM = frozenset(("agauss", "gauss", "aunif", "unif", "limit", "mc", "flat"))
"""Functions that draw; what they give is decided by the scope (`Scope.draw`)."""


def _truth(compare: Callable[[float, float], Any]) -> Callable[[float, float], float]:
    return lambda a, b: float(bool(compare(a, b)))


_APPLY: dict[str, Callable[..., float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "%": math.fmod, "\\": lambda a, b: float(int(a / b)),
    "^": lambda a, b: abs(a) ** b, "**": lambda a, b: abs(a) ** b,
    "<": _truth(operator.lt), ">": _truth(operator.gt), "<=": _truth(operator.le),
    ">=": _truth(operator.ge), "==": _truth(operator.eq), "=": _truth(operator.eq),
    "!=": _truth(operator.ne), "<>": _truth(operator.ne),
    "&&": _truth(lambda a, b: a and b), "&": _truth(lambda a, b: a and b),
    "||": _truth(lambda a, b: a or b), "|": _truth(lambda a, b: a or b),
    "u-": operator.neg, "u+": operator.pos, "u!": lambda a: float(not a),
    "?": lambda a, b, c: b if a else c,
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "sqr": (1, lambda x: x * x), "sqrt": (1, math.sqrt), "sin": (1, math.sin),
    "cos": (1, math.cos), "tan": (1, math.tan), "exp": (1, math.exp), "ln": (1, math.log),
    "log": (1, math.log), "log10": (1, math.log10), "abs": (1, abs), "arctan": (1, math.atan),
    "atan": (1, math.atan), "asin": (1, math.asin), "acos": (1, math.acos),
    "sinh": (1, math.sinh), "cosh": (1, math.cosh), "tanh": (1, math.tanh),
    "asinh": (1, math.asinh), "acosh": (1, math.acosh), "atanh": (1, math.atanh),
    "int": (1, lambda x: float(math.trunc(x))), "nint": (1, lambda x: float(round(x))),
    "floor": (1, lambda x: float(math.floor(x))), "ceil": (1, lambda x: float(math.ceil(x))),
    "sgn": (1, lambda x: float((x > 0) - (x < 0))), "max": (2, max), "min": (2, min),
    "pow": (2, lambda a, b: a**b), "pwr": (2, lambda a, b: abs(a) ** b),
    "ternary_fcn": (3, _APPLY["?"]),
}  # fmt: skip


@lru_cache(maxsize=65536)
def compile_expression(text: str) -> Code:
    """Compile an expression in lower case; raises `ValueError` for what it cannot read.

    >>> evaluate(compile_expression("2 * half + 1k"), {"half": 0.5}.__getitem__)
    1001.0
    """
    out: list[tuple[str, Any, int]] = []
    stack: list[str] = []  # operators, "(" and "name(" of a call
    arguments: list[int] = []  # of the calls on the stack
    operand = False  # whether a value stands to the left
    place = 0
    text = text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if not match:
            raise ValueError(f"cannot read {text[place : place + 20]!r}")
        place = match.end()
        number, name, sign = match.groups()
        if sign is None:
            if operand:
                raise ValueError(f"an operator is missing before {number or name!r}")
            if name and (opened := _OPEN.match(text, place)):
                place = opened.end()
                stack.append(f"{name}(")
                arguments.append(1)
                continue
            out.append(("number", spice_number(number), 0) if number else ("name", name, 0))
            operand = True
        elif not operand:
            if sign == "(":
                stack.append("(")
            elif sign in _UNARY:
                stack.append(f"u{sign}")
            else:
                raise ValueError(f"a value is missing before {sign!r}")
        elif sign in _BINARY:
            _reduce(out, stack, _BINARY[sign])
            stack.append(sign)
            operand = False
        elif sign == "?":
            _reduce(out, stack, 1)
            stack.append("?")
            operand = False
        elif sign == ":":
            _reduce(out, stack, 0)
            if not stack or stack[-1] != "?":
                raise ValueError("':' without '?'")
            stack[-1] = "?:"
            operand = False
        elif sign == ",":
            _reduce(out, stack, 0)
            if not stack or not stack[-1].endswith("(") or stack[-1] == "(":
                raise ValueError("',' outside a function's arguments")
            arguments[-1] += 1
            operand = False
        elif sign == ")":
            _reduce(out, stack, 0)
            if not stack or not stack[-1].endswith("("):
                raise ValueError("')' without '('")
            called = stack.pop()[:-1]
            if called:
                out.append(_call(called, arguments.pop()))
        else:
            raise ValueError(f"an operator is missing before {sign!r}")
    if not operand:
        raise ValueError("a value is missing at the end")
    _reduce(out, stack, 0)
    if stack:
        raise ValueError("')' or ':' is missing")
    return tuple(out)


def _reduce(out: list[tuple[str, Any, int]], stack: list[str], level: int) -> None:
    """Move operators that bind as tightly or more tightly from the stack to the output."""
    while stack:
        top = stack[-1]
        if top == "?:":
            if level > 0:
                return
            out.append(("apply", _APPLY["?"], 3))
        elif top[0] == "u" and top[1:] in _UNARY:
            if _UNARY[top[1:]] < level:
                return
            out.append(("apply", _APPLY[top], 1))
        elif top in _BINARY:
            if _BINARY[top] < level:
                return
            out.append(("apply", _APPLY[top], 2))
        else:
            return
        stack.pop()


def _call(name: str, count: int) -> tuple[str, Any, int]:
    if name in _FUNCTIONS:
        wanted, function = _FUNCTIONS[name]
        if count != wanted:
            raise ValueError(f"{name} takes {wanted} values, not {count}")
        return ("apply", function, count)
    return ("call", name, count)


def evaluate(
    code: Code,
    value_of: Callable[[str], float],
    call: Callable[[str, list[float]], float] | None = None,
) -> float:
    """The value of an expression; NaN for what has none.

    `value_of` gives the value of a name, `call` that of a function the netlist defines.
    """
    stack: list[float] = []
    for what, item, count in code:
        if what == "number":
            stack.append(item)
        elif what == "name":
            stack.append(value_of(item))
        else:
            values = stack[len(stack) - count :]
            del stack[len(stack) - count :]
            if what == "call":
                if call is None:
                    drawn = "draws a number; rramsim draws variation itself"
                    raise ValueError(
                        f"{item}(...) {drawn}" if item in RANDOM else f"no function {item!r}"
                    )
                stack.append(call(item, values))
                continue
            try:
                found = item(*values)
                stack.append(math.nan if isinstance(found, complex) else float(found))
            except (ZeroDivisionError, OverflowError, ValueError):
                stack.append(math.nan)
    return stack[0]
