import json
import os

import numpy as np
import pytest

from fgbench.util.damaged import (
    is_present,
    make_work_folder,
    read_checked_json,
    read_npz,
    set_aside,
    write_checked_json,
)
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS


def test_a_damaged_file_is_named_on_one_line_and_renamed(tmp_path, capsys):
    path = tmp_path / "file.npy"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        set_aside(path, "its length is wrong")
        assert not path.exists()
        assert (tmp_path / "file.npy.damaged").read_bytes() == content
    lines = capsys.readouterr().err.splitlines()
    assert (
        lines
        == [
            f"fgbench: {path} is damaged (its length is wrong). It is now file.npy.damaged and is computed again.",
        ]
        * 2
    )
    set_aside(path, "another process has set it aside")
    assert not capsys.readouterr().err


def test_a_folder_is_set_aside_without_replacing_anything(tmp_path):
    path = tmp_path / "file"
    for number in range(3):
        path.mkdir()
        (path / f"{number}").touch()
        set_aside(path, "it is a folder")
    path.touch()
    set_aside(path, "it is empty")
    names = ["file.damaged", "file.damaged-2", "file.damaged-3", "file.damaged-4"]
    assert sorted(found.name for found in tmp_path.iterdir()) == names
    assert [found.name for name in names[:3] for found in (tmp_path / name).iterdir()] == ["0", "1", "2"]


def test_a_file_that_cannot_be_renamed_is_an_error_with_the_next_step(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(FgbenchError, match=r"is damaged \(why\) and cannot be set aside: Read-only") as caught:
        set_aside(path, "why")
    assert f"delete {path}" in caught.value.hint


def test_only_regular_files_are_present(tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    names = ("file", "folder", "fifo", "link", "missing")
    assert [is_present(tmp_path / name) for name in names] == [True, False, False, False, False]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    assert "it is a FIFO, not a file" in told[1]


def test_a_file_in_the_place_of_a_work_folder_is_set_aside(tmp_path):
    folder = tmp_path / "work" / "id"
    make_work_folder(folder)
    (folder / "kept").touch()
    make_work_folder(folder)
    assert (folder / "kept").is_file()
    (tmp_path / "other").touch()
    make_work_folder(tmp_path / "other")
    assert (tmp_path / "other").is_dir()
    with pytest.raises(FgbenchError, match="is a file, not a folder"):
        make_work_folder(folder / "kept" / "id")


def test_checked_json_is_read_as_written_and_any_other_content_is_set_aside(tmp_path):
    path, value = tmp_path / "a.json", {"seconds": 7.25, "names": ["ä"], "none": None}
    assert read_checked_json(path) is None
    write_checked_json(path, value)
    written = path.read_bytes()
    assert read_checked_json(path) == value
    changed = [written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :] for place in range(len(written))]
    for content in (*changed, b"", b"[]", b"{}", b"[" * 100_000, written[:-9], b'{"crc32": NaN}'):
        path.write_bytes(content)
        assert read_checked_json(path) in (None, value), content
    write_checked_json(path, value)
    path.rename(tmp_path / "b.json")
    assert read_checked_json(tmp_path / "b.json") is None  # a file of other work
    assert (tmp_path / "b.json.damaged").is_file()


def test_every_array_of_an_npz_file_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(40_000, dtype=np.float32))
    assert np.array_equal(read_npz(path)["a"], np.arange(40_000))
    content = path.read_bytes()
    shorter = content.replace(b"(40000,)", b"(10000,)")
    assert shorter != content
    path.write_bytes(shorter)
    with np.load(path) as file:
        assert file["a"].shape == (10_000,)  # numpy reads less, and verifies nothing
    with pytest.raises(DAMAGED_ARRAYS):
        read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "missing.npz")


def test_the_checksum_of_json_is_part_of_the_file(tmp_path):
    write_checked_json(tmp_path / "a.json", {"one": 1})
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"one", "crc32"}
