"""The examples in docstrings: every public function of layers, metrics and statistics has one, and it is right."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

ROOMS = ("fgbench.layers", "fgbench.metrics", "fgbench.statistics")
MODULES = [
    module.name for room in ROOMS for module in pkgutil.iter_modules(importlib.import_module(room).__path__, f"{room}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    module = importlib.import_module(name)
    examples = {test.name for test in doctest.DocTestFinder().find(module, name) if test.examples}
    functions = {
        f"{name}.{function}"
        for function, value in inspect.getmembers(module, inspect.isfunction)
        if value.__module__ == name and not function.startswith("_")
    }
    assert functions - examples == set()
