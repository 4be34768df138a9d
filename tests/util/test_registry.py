import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.registry import Registry


def test_name_stands_for_one_thing():
    things = Registry("thing")
    things("alpha")(1)
    assert things["alpha"] == 1
    assert list(things) == ["alpha"]
    with pytest.raises(FgbenchError, match="registered twice"):
        things("alpha")(2)
    with pytest.raises(FgbenchError, match="did you mean 'alpha'"):
        things["alhpa"]


class Offer:
    """An entry point of a package."""

    name, value, dist = "beta", "beta_package:beta", None

    def __init__(self, load):
        self.load = load


def offered(monkeypatch, load):
    monkeypatch.setattr(
        "fgbench.util.registry.entry_points", lambda group: [Offer(load)] if group == "fgbench.things" else []
    )
    return Registry("thing", lambda thing: isinstance(thing, int), "a number")


def test_another_package_adds_by_an_entry_point(monkeypatch):
    assert offered(monkeypatch, lambda: 7)["beta"] == 7
    things = offered(monkeypatch, lambda: things("beta")(8))  # its module uses the decorator, too
    assert list(things) == ["beta"]
    taken = offered(monkeypatch, lambda: 7)
    taken("beta")(1)
    with pytest.raises(FgbenchError, match="'beta' is registered twice"):
        taken["beta"]


def test_what_another_package_does_wrong_is_told(monkeypatch):
    with pytest.raises(FgbenchError, match=r"the thing 'beta' \(beta_package:beta, of a package\) is not a number"):
        list(offered(monkeypatch, lambda: "seven"))

    def broken():
        raise ImportError("no module named x")

    with pytest.raises(FgbenchError, match="cannot be imported: ImportError: no module named x"):
        list(offered(monkeypatch, broken))


def test_error_shows_the_next_command():
    assert str(FgbenchError("wrong", "type this")) == "wrong\n  type this"
