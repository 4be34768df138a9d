import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from fgbench.datasets import image_hash
from fgbench.datasets.image_hash import hash_files
from fgbench.util.errors import FgbenchError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "data"
    root.mkdir()
    for name in ("a", "b"):
        (root / name).write_bytes(name.encode())
    return root


def expected(root):
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in ("a", "b")}


def store(root):
    (path,) = (root.parent / "cache" / "hashes").glob("*.npz")
    return path


def test_unchanged_files_are_not_read_again(root, monkeypatch):
    digests = hash_files(root, ("a", "b"))
    assert digests == expected(root)
    monkeypatch.setattr(image_hash, "SAMPLE", 0)
    monkeypatch.setattr(image_hash, "hash_file", None)
    assert hash_files(root, ("a", "b")) == digests


@pytest.mark.parametrize("rewrite", [
    lambda path: path.write_bytes(b"c"),
    lambda path: (path.with_name("new").write_bytes(b"c"), path.with_name("new").replace(path)),
])  # fmt: skip
def test_a_file_that_is_written_again_with_the_same_size_and_time_is_read_again(root, rewrite):
    before, time_ns = hash_files(root, ("a", "b")), (root / "a").stat().st_mtime_ns
    rewrite(root / "a")
    os.utime(root / "a", ns=(time_ns, time_ns))
    after = hash_files(root, ("a", "b"))
    assert after == expected(root)
    assert after != before


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(b""), lambda path: path.write_bytes(path.read_bytes()[:-30]),
    lambda path: np.savez_compressed(path, files=np.array(["a"])), lambda path: path.write_bytes(b"PK" * 99),
    lambda path: np.savez_compressed(path, files=np.array(3), stamps=np.array(3), digests=np.array(3)),
    lambda path: np.savez_compressed(path, files=np.array(["a"]), stamps=np.array([]), digests=np.array([])),
])  # fmt: skip
def test_damaged_hashes_are_named_and_computed_again(root, damage, capsys):
    digests = hash_files(root, ("a", "b"))
    path = store(root)
    damage(path)
    assert hash_files(root, ("a", "b")) == digests
    assert f"{path} is damaged" in capsys.readouterr().err
    assert path.with_name(f"{path.name}.damaged").is_file()
    assert hash_files(root, ("a", "b")) == digests
    assert not capsys.readouterr().err


def test_hashes_are_computed_if_the_cache_cannot_be_written(root, monkeypatch):
    def refuse(path: Path, write):
        raise FgbenchError("the disk is full")

    monkeypatch.setattr(image_hash, "write_atomic", refuse)
    assert hash_files(root, ("a", "b")) == expected(root)
    assert not list((root.parent / "cache").rglob("*.npz"))
