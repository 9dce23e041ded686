"""Options with units: each names itself and what would be right."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sense", "--vdd", "1.2", "--r-bl", "10k", "--r-blb", "1M"), ("--r-blb", "1Meg", "1m")),
        (("sense", "--vdd", "1.2s", "--r-bl", "10k", "--r-blb", "1Meg"), ("--vdd", "in V")),
        (("costs", "sense", "--r-hrs", "1M"), ("--r-hrs", "1Meg", "1m")),
    ],
)
def test_an_option_names_itself_and_what_would_be_right(rramsim, arguments, words):
    status, out, printed = rramsim(*arguments)
    assert (status, out, printed.count("\n")) == (2, "", 1)
    for word in words:
        assert word in printed
