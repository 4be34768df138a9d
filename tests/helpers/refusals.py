"""Calls that are refused."""

from collections.abc import Callable

import pytest

from fgbench.util.errors import FgbenchError


def refused(load: Callable[[], object], *parts: str) -> None:
    """Check that a call is refused in a sentence with these parts and with a next step."""
    with pytest.raises(FgbenchError) as error:
        load()
    for part in parts:
        assert part in error.value.args[0]
    assert error.value.hint
