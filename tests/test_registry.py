import pytest

from fgbench.errors import FgbenchError
from fgbench.registry import Registry


def test_name_stands_for_one_thing():
    things = Registry("thing")
    things("alpha")(1)
    assert things["alpha"] == 1
    assert list(things) == ["alpha"]
    with pytest.raises(FgbenchError, match="registered twice"):
        things("alpha")(2)
    with pytest.raises(FgbenchError, match="did you mean 'alpha'"):
        things["alhpa"]


def test_error_shows_the_next_command():
    assert str(FgbenchError("wrong", "type this")) == "wrong\n  type this"
