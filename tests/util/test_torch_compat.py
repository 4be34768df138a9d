"""torchvision can be imported with any build of torch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fgbench.util.torch_compat as compat

CODE = """
import sys
import fgbench.torch_compat
assert "torchvision" not in sys.modules
import torchvision, torch
from torchvision.models import resnet18
from torchvision.transforms import v2
assert v2.Resize(8)(torch.zeros(3, 16, 16)).shape == (3, 8, 8)
assert hasattr(torch.ops.torchvision, "nms")
"""


def test_torchvision_can_be_imported() -> None:
    subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", CODE], check=True, timeout=120)


def test_existing_operators_are_not_declared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasattr(torch.ops.torchvision, "nms")
    monkeypatch.setattr(compat, "_library", None)
    monkeypatch.setattr(compat, "_compiled_part_loads", lambda: pytest.fail("looked for the compiled part"))
    compat.declare_operators()
    assert compat._library is None


def test_a_working_torchvision_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        """Replaces torch.ops.torchvision before torchvision is imported."""

    monkeypatch.setattr(compat, "_library", None)
    monkeypatch.setattr(torch.ops, "torchvision", Nothing())
    loaded: list[Path] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    compat.declare_operators()
    assert compat._library is None
    assert [path.name for path in loaded if path.name.startswith("_C")]
