"""One flipped bit in a weight file, a record or a benchmark file: no traceback, and no changed value without a word.

All 2,000 flips of each file: `FGBENCH_FLIPS=2000 pytest tests/cases/test_case_flips_in_files.py`.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_file import content, cuda, everything, frames, hot, write
from matconvnet_files import conv, write_matconvnet
from safetensors.torch import save_file
from stored_records import write_record

from fgbench.backbones import WeightSpec, weight_specs
from fgbench.backbones.matconvnet import read_matconvnet
from fgbench.backbones.state_dict import _tell_once, read_state
from fgbench.judge.nightly.benchmark_times import read_benchmark_times
from fgbench.records.store import Store
from fgbench.runs.streams import resolve_stream
from fgbench.speed.bench_rows import read_session
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file

FLIPS = int(os.environ.get("FGBENCH_FLIPS", "60"))
ID = "a" * 16


def flips(path: Path) -> Iterator[int]:
    """Flip one bit of a file at a time, and yield its number; the file is whole again at the end."""
    whole, generator = path.read_bytes(), random.Random(0)
    for _ in range(FLIPS):
        bit = generator.randrange(8 * len(whole))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        yield bit
    path.write_bytes(whole)


def outcome(read: Callable[[], Any], path: Path) -> Any:
    """Return what is read, or None if it is refused in one sentence that names the file; any other error is a fault."""
    try:
        return read()
    except FgbenchError as error:
        assert path.name in str(error)  # noqa: PT017
        assert len(str(error)) < 3000  # noqa: PT017
        return None


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_flip_in_a_published_weight_file_is_refused(
    folders: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of a published file is known: no flip gets into a run."""
    state = {"features.0.weight": torch.randn(8, 3, 3, 3), "features.0.bias": torch.randn(8)}
    path = folders / f"net{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    spec = WeightSpec("vgg16.known", "vgg16", (path.name,), "pth", None, ("relu5_3",), sha256=hash_file(path))
    monkeypatch.setitem(weight_specs._objects, spec.name, spec)
    assert resolve_stream("vgg16:relu5_3", (spec.name,)).official
    for bit in flips(path):
        assert outcome(lambda: resolve_stream("vgg16:relu5_3", (spec.name,)), path) is None, bit


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_flip_in_another_weight_file_is_refused_or_is_a_deviation(folders: Path, suffix: str) -> None:
    """A file whose hash is not published may hold any values: the record says so for each of its runs."""
    import timm

    state = timm.create_model("test_resnet").state_dict()
    path = folders / f"test_resnet{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    before = read_state(path)
    hashes = {resolve_stream("timm/test_resnet:pool", ()).sha256}
    for bit in flips(path):
        _tell_once.cache_clear()
        stream = resolve_stream("timm/test_resnet:pool", ())
        assert not stream.official
        assert stream.sha256 not in hashes, bit
        hashes.add(stream.sha256)
        read = outcome(lambda: read_state(path), path)
        if suffix == ".pth":  # the format has checksums
            assert read is None or same(read, before), bit


def test_a_flip_in_a_matconvnet_file_is_refused_or_changes_nothing(folders: Path) -> None:
    """Compressed variables of MATLAB have a checksum."""
    path = write_matconvnet(folders / "net.mat", [conv("conv1", (3, 3, 3, 4)), conv("conv2", (3, 3, 4, 4))])
    layers, spec, _ = read_matconvnet(path)
    before = dict(layers.state_dict())
    for number, bit in enumerate(flips(path)):
        if number >= max(20, FLIPS // 10):  # each is read in a process of its own
            break
        read = outcome(lambda: read_matconvnet(path), path)
        assert read is None or (same(dict(read[0].state_dict()), before) and read[1] == spec), bit


@pytest.mark.parametrize("end", [".json", ".npz"])
def test_a_flip_in_a_record_is_refused_or_changes_nothing(folders: Path, end: str) -> None:
    """A record is sealed, and names the hash of its arrays."""
    written, store = write_record(folders / "records"), Store(folders / "records")
    path = folders / "records" / f"{ID}{end}"
    for bit in flips(path):
        errors: list[FgbenchError] = []
        records = store.records(errors.append)
        assert len(records) + len(errors) == 1, bit
        assert not records or records[0] == written, bit
        assert all(ID in str(error) for error in errors)


@pytest.mark.parametrize(
    "whole", [everything(), content(hot(rounds_of_reference=[1.0, 2.0]), frames(), cuda())], ids=["all", "session"]
)
def test_a_flip_in_a_benchmark_file_is_no_traceback(folders: Path, whole: dict[str, Any]) -> None:
    """A benchmark file has no checksum: a number or a name in it may change, but the program goes on."""
    path = write(folders / "b.json", whole)
    rows = len(whole["benchmarks"])
    for bit in flips(path):
        session = outcome(lambda: read_session(path), path)
        if session:
            assert 0 < len(session.rows) + session.others <= rows, bit
            assert session.sha256 == hash_file(path)
        times = outcome(lambda: read_benchmark_times([path]), path)
        assert times is None or len(times) <= rows, bit
