"""The examples in the docstrings say what comes out."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import rramsim

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rramsim.__path__, "rramsim.")
    if not module.ispkg and module.name != "rramsim.__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_so(name):
    assert doctest.testmod(import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(
        bool(test.examples) for name in MODULES for test in finder.find(import_module(name))
    )
    assert found > 80
