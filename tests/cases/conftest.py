"""Folders of data and weights that hold nothing but what a test writes."""

from pathlib import Path

import pytest
from same_process import read_here

from fgbench.backbones.state_dict import _tell_once


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that FGBENCH_DATA names."""
    read_here(monkeypatch)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / ".cache"))
    return tmp_path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that FGBENCH_WEIGHTS names."""
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    _tell_once.cache_clear()
    return tmp_path
