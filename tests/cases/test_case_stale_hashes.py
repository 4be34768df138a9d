"""Files that were replaced by others of the same size and time: no hash that is remembered may be of the old file."""

import hashlib
import os
from pathlib import Path

import pytest

from fgbench.backbones import weights
from fgbench.datasets import image_hash
from fgbench.datasets.image_hash import hash_files
from fgbench.util.hashing import SAMPLE_BLOCK, SAMPLE_BLOCKS, sample_file

WHOLE = SAMPLE_BLOCK * SAMPLE_BLOCKS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def coarse_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stamps of size and time of writing only, as on a system without inodes, or within one tick of the clock."""
    for module in (weights, image_hash):
        monkeypatch.setattr(module, "stamp_of", lambda path: f"{path.stat().st_size}:{path.stat().st_mtime_ns}")


def replace(path: Path, content: bytes, *, in_place: bool = True) -> None:
    """Replace the content of a file and keep its size and its time of writing."""
    status = path.stat()
    assert status.st_size == len(content)
    target = path if in_place else path.with_name("other")
    target.write_bytes(content)
    target.replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_replaced_weight_file_of_equal_size_and_time_has_its_own_hash(tmp_path: Path, in_place: bool) -> None:
    """A copy with `cp -p` or `rsync -t` keeps the time of another file; two editions of a file often have one size.

    Report: https://github.com/treeverse/dvc/issues/515
    """
    path = tmp_path / "net.pth"
    path.write_bytes(b"first content")
    for kind in ("sha256", "md5"):
        assert weights.cached_hash(path, kind) == hashlib.new(kind, b"first content").hexdigest()
    replace(path, b"other content", in_place=in_place)
    for kind in ("sha256", "md5"):
        assert weights.cached_hash(path, kind) == hashlib.new(kind, b"other content").hexdigest()


@pytest.mark.usefixtures("coarse_stamps")
@pytest.mark.parametrize("size", [100, WHOLE, WHOLE + 1, 3 * WHOLE])
def test_a_weight_file_whose_stamp_stays_the_same_is_found_by_a_sample(
    tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is written twice within one tick of the clock, as on NTFS, keeps its size and its time of writing.

    Report: https://github.com/Graphify-Labs/graphify/issues/2612
    """
    path = tmp_path / "net.pth"
    path.write_bytes(bytes(size))
    assert weights.cached_hash(path) == sha256(bytes(size))
    assert not capsys.readouterr().err
    other = os.urandom(size)
    replace(path, other)
    assert weights.cached_hash(path) == sha256(other)
    message = f"fgbench: {path} has other content than before, with the same size and times: its hash is computed again"
    assert capsys.readouterr().err.startswith(message)
    assert weights.cached_hash(path) == sha256(other)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 1, SAMPLE_BLOCK, WHOLE - 1, WHOLE])
def test_the_sample_of_a_small_file_is_all_of_it(tmp_path: Path, size: int) -> None:
    """A damaged byte of a small file is found wherever it is."""
    path = tmp_path / "file"
    path.write_bytes(bytes(size))
    samples = {sample_file(path)}
    places = sorted({0, size // 3, size // 2, size - 1} & set(range(size)))
    for place in places:
        content = bytearray(size)
        content[place] = 1
        path.write_bytes(content)
        samples.add(sample_file(path))
    assert len(samples) == 1 + len(places)


def test_the_sample_of_a_large_file_has_its_first_and_last_byte(tmp_path: Path) -> None:
    """Formats keep their index at the beginning or at the end."""
    path, size, samples = tmp_path / "file", 5 * WHOLE + 7, set()
    for place in (0, size - 1, size - SAMPLE_BLOCK):
        content = bytearray(size)
        content[place] = 1
        path.write_bytes(content)
        samples.add(sample_file(path))
    assert len(samples) == 3


def test_an_entry_of_an_earlier_version_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cache may have hashes without a sample, which earlier versions wrote."""
    path = tmp_path / "net.pth"
    path.write_bytes(b"content")
    stamp = f"sha256:{path.resolve()}:{weights.stamp_of(path)}"
    weights.write_checked_json(tmp_path / "cache" / "hashes" / "weight_files.json", {stamp: "0" * 64})
    assert weights.cached_hash(path) == sha256(b"content")
    assert not capsys.readouterr().err


@pytest.fixture
def images(tmp_path: Path) -> tuple[str, ...]:
    """Bitmaps of one size, as all images of VIPeR are."""
    (tmp_path / "data").mkdir()
    names = tuple(f"{number:03}.bmp" for number in range(20))
    for name in names:
        (tmp_path / "data" / name).write_bytes(name.encode() * 10)
    return names


@pytest.mark.parametrize("in_place", [True, False])
def test_a_replaced_image_of_equal_size_and_time_has_its_own_hash(
    tmp_path: Path, images: tuple[str, ...], in_place: bool
) -> None:
    """All images of VIPeR have one size; a tool that renumbers them keeps their times."""
    root = tmp_path / "data"
    hash_files(root, images)
    replace(root / "003.bmp", b"other" * 14, in_place=in_place)
    assert hash_files(root, images)["003.bmp"] == sha256(b"other" * 14)


@pytest.mark.usefixtures("coarse_stamps")
def test_images_whose_stamps_stay_the_same_are_found_by_a_sample(
    tmp_path: Path, images: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """If one image of the sample has changed unseen, no remembered hash of the data set is believed."""
    root = tmp_path / "data"
    hash_files(root, images)
    for name in images:
        replace(root / name, name.encode()[::-1] * 10)
    assert hash_files(root, images) == {name: sha256(name.encode()[::-1] * 10) for name in images}
    assert "has other content than before, with the same size and times" in capsys.readouterr().err
    hash_files(root, images)
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("coarse_stamps")
def test_every_image_is_in_the_sample_of_some_run(
    tmp_path: Path, images: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample is another one in each run, so that a single changed image is found in the end."""
    root = tmp_path / "data"
    hash_files(root, images)
    monkeypatch.setattr(image_hash, "SAMPLE", 5)
    replace(root / "007.bmp", b"other" * 14)
    found = [hash_files(root, images)["007.bmp"] == sha256(b"other" * 14) for _ in range(200)]
    assert found[-1]
    assert found == sorted(found)
