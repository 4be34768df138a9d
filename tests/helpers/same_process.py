"""Reading of files in this process, in tests that are not about the child process: each start of one takes a second."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fgbench.util import matlab_files


def read_here(monkeypatch: pytest.MonkeyPatch, module: object = matlab_files) -> None:
    def call(
        path: Path, limit_s: float, hint: str, function: Callable[..., object], *arguments: object, **limits: int
    ) -> object:
        return function(*arguments)

    monkeypatch.setattr(module, "read_in_child", call)
