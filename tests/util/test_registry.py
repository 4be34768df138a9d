import os
import subprocess
import sys

import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.registry import Registry


def test_a_name_belongs_to_one_object():
    numbers = Registry("number")
    numbers("alpha")(1)
    assert numbers["alpha"] == 1
    assert list(numbers) == ["alpha"]
    with pytest.raises(FgbenchError, match="registered twice"):
        numbers("alpha")(2)
    with pytest.raises(FgbenchError, match="did you mean 'alpha'"):
        numbers["alhpa"]


def test_the_group_is_the_plural_of_the_kind_unless_it_is_passed():
    assert Registry("method").group == "fgbench.methods"
    assert Registry("weight file", group="fgbench.weights").group == "fgbench.weights"


class FakeEntryPoint:
    name, value, dist = "beta", "beta_package:beta", None

    def __init__(self, load):
        self.load = load


def registry_with_entry_point(monkeypatch, load):
    """A registry of integers for which another package offers "beta"."""
    monkeypatch.setattr(
        "fgbench.util.registry.entry_points",
        lambda group: [FakeEntryPoint(load)] if group == "fgbench.numbers" else [],
    )
    return Registry("number", lambda candidate: isinstance(candidate, int), "an integer")


def test_an_entry_point_adds_an_object(monkeypatch):
    assert registry_with_entry_point(monkeypatch, lambda: 7)["beta"] == 7
    numbers = registry_with_entry_point(monkeypatch, lambda: numbers("beta")(8))  # its module uses the decorator, too
    assert list(numbers) == ["beta"]
    taken = registry_with_entry_point(monkeypatch, lambda: 7)
    taken("beta")(1)
    with pytest.raises(FgbenchError, match="'beta' is registered twice"):
        taken["beta"]


def test_mistakes_of_another_package_are_reported(monkeypatch):
    with pytest.raises(FgbenchError, match=r"the number 'beta' \(beta_package:beta, of a package\) is not an integer"):
        list(registry_with_entry_point(monkeypatch, lambda: "seven"))

    def broken():
        raise ImportError("no module named x")

    with pytest.raises(FgbenchError, match="cannot be imported: ImportError: no module named x"):
        list(registry_with_entry_point(monkeypatch, broken))


@pytest.mark.parametrize("error", [SystemExit("bye"), SystemExit(0), GeneratorExit("x"), RecursionError("deep")])
def test_a_package_that_ends_the_program_is_reported_each_time(monkeypatch, error):
    def end():
        raise error

    numbers = registry_with_entry_point(monkeypatch, end)
    numbers("alpha")(1)
    for _ in range(2):
        with pytest.raises(FgbenchError, match=f"cannot be imported: {type(error).__name__}"):
            numbers["alpha"]


def test_an_interrupt_during_an_import_is_not_an_error_of_the_package(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    numbers = registry_with_entry_point(monkeypatch, interrupted)
    with pytest.raises(KeyboardInterrupt):
        numbers["beta"]


def test_error_shows_the_next_command():
    assert str(FgbenchError("wrong", "type this")) == "wrong\n  type this"


MODULE = """
from fgbench.backbones.spec import WeightSpec
from fgbench.datasets import Dataset
from fgbench.methods.base import Method


class Colour(Method):
    pass


leaves = Dataset(name="leaves", title="Leaves", folder="leaves", load=lambda folder: None)
tiny = WeightSpec(
    name="tiny.plants", network="tiny", files=("tiny.pth",), format="pth", input=None, taps=("conv",)
)
"""
ENTRY_POINTS = """
[fgbench.methods]
colour = plants:Colour

[fgbench.datasets]
leaves = plants:leaves

[fgbench.weights]
tiny.plants = plants:tiny
"""
CODE = """
from fgbench.backbones import weight_specs
from fgbench.datasets import datasets
from fgbench.methods import methods

import plants

assert methods["colour"] is plants.Colour
assert datasets["leaves"] is plants.leaves
assert weight_specs["tiny.plants"] is plants.tiny
assert {"colour", "bcnn"} <= set(methods)
"""


def test_an_installed_package_adds_a_method_a_data_set_and_a_weight_file(tmp_path):
    """`importlib.metadata` finds the groups in the metadata of a real distribution, as pip writes it."""
    metadata = tmp_path / "plants-1.0.dist-info"
    metadata.mkdir()
    (tmp_path / "plants.py").write_text(MODULE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plants\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
