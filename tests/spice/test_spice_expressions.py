"""Expressions: ngspice's meaning, in time that grows with the text."""

import pytest

from rramsim.engines import ngspice_version
from rramsim.engines.ngspice_library import ngspice_session
from rramsim.spice.expressions import compile_expression, evaluate

SAME = [
    "1/3", "2^3^2", "-2^2", "2**3", "7%4", "7\\2", "int(-2.7)", "nint(2.5)", "max(1,2)",
    "pow(-2,3)", "pwr(-2,3)", "1>0?5:6", "1>2?5:0>1?6:7", "2-3-4", "2/4*2", "(-2)^3", "!0",
    "1&&0", "2*-3", "2^-1", "-(2+1)*3", "max(min(1,2),pow(2,2))", "1e-8u", "1megohm", "1+2>2",
    "1>2?5:6+1", "nint(0.5)", "-3%2", "1<2==1", "log(10)", "ln(10)", "log10(10)", "sgn(-3)",
    "atan(1)", "arctan(1)", "ceil(1.2)+floor(1.7)", "sqrt(2)", "sqr(3)", "exp(1)", "1.5k+1x",
    "int((1+1)/2) * 2/1 * 0.29", "2*int((1+2)/2) * (2/1 + 0.29)", "3>=3", "1!=2", "1||0",
    "tanh(0.5)", "cosh(1)", "abs(-2)",
]  # fmt: skip


def test_every_expression_means_what_it_means_to_ngspice():
    assert ngspice_version() >= 39
    session = ngspice_session()
    lines = [f"r{k} {k + 1} 0 {{{text}}}" for k, text in enumerate(SAME)]
    session.load("\n".join(["title", *lines, "v1 1 0 1", ".op", ".end"]))
    listed = session.listing()
    for k, text in enumerate(SAME):
        theirs = float(listed[f"r{k}"].split()[3])
        ours = evaluate(compile_expression(text), {}.__getitem__)
        assert ours == pytest.approx(theirs, rel=1e-14), text


def test_atto_and_mil_mean_the_same_inside_and_outside_of_braces():
    assert evaluate(compile_expression("10000a"), {}.__getitem__) == 1e-14
    assert evaluate(compile_expression("2*1mil"), {}.__getitem__) == pytest.approx(50.8e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "operator is missing before '2'"), ("(1", "is missing"), ("1)", r"'\)' without"),
        ("1+", "value is missing"), ("max(1,2", "is missing"), ("1?2", "is missing"),
        ("1,2", "',' outside"), ("", "value is missing"), ("*2", "value is missing before"),
        ("max(1)", "max takes 2 values, not 1"), ("2 @ 3", "cannot read"), ("1:2", "':' without"),
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        compile_expression(text)


def test_random_functions_and_unknown_ones_are_refused():
    for text, message in (("agauss(0,1,1)", "draws variation itself"), ("f(1)", "no function")):
        with pytest.raises(ValueError, match=message):
            evaluate(compile_expression(text), {}.__getitem__)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000 + "1" + ")" * 100_000, "+".join(["1"] * 50_000), "-" * 100_000 + "1",
     "1?" * 20_000 + "1" + ":1" * 20_000, " " * 200_000 + "1"],
)  # fmt: skip
def test_long_texts_end_soon(text, ends_soon):
    evaluate(compile_expression(text), {}.__getitem__)
