import errno
import os
from pathlib import Path

import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.files import (
    make_folder,
    remove_leftovers,
    storage_error,
    write_atomic,
    write_bytes,
    write_json,
    write_text,
)


def test_files_are_written_in_new_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "text.txt", "é\n")
    write_bytes(tmp_path / "bytes", b"\xff")
    write_json(tmp_path / "value.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a/b/text.txt").read_bytes() == "é\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\xff"
    assert (tmp_path / "value.json").read_text(encoding="utf-8") == '{\n "b": 1,\n "a": "é"\n}\n'


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(FgbenchError, match=f"the disk of {tmp_path} is full") as caught:
        write_atomic(path, fail)
    assert caught.value.hint
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "value.json", float("nan"))
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file")
    with pytest.raises(FgbenchError, match=f"cannot write .*: {tmp_path}/file is a file, not a folder"):
        write_text(tmp_path / "file" / "deep" / "text.txt", "text")


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.txt").mkdir()
    with pytest.raises(FgbenchError, match="it is a folder"):
        write_text(tmp_path / "text.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "is full"), (errno.EFBIG, "is full"), (errno.EROFS, "cannot write .*Read-only"),
        (errno.EACCES, "cannot write .*Permission denied"), (errno.EIO, "cannot write"),
    ],
)  # fmt: skip
def test_each_storage_error_has_a_sentence_and_a_hint(tmp_path: Path, code: int, words: str) -> None:
    error = storage_error(OSError(code, os.strerror(code)), tmp_path / "text.txt")
    with pytest.raises(FgbenchError, match=words):
        raise error
    assert "\n" not in error.args[0]
    assert error.hint


def test_a_disk_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "stat", stale)
    error = storage_error(OSError(errno.ESTALE, "Stale file handle"), Path("/mnt/data/x"))
    assert error.args[0] == "cannot write /mnt/data/x: Stale file handle"


def test_a_folder_is_made_unless_a_file_is_in_its_place(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b")
    make_folder(tmp_path / "a/b")
    (tmp_path / "file").touch()
    with pytest.raises(FgbenchError, match="file is a file, not a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(FgbenchError, match="file is a file, not a folder"):
        make_folder(tmp_path / "file/below")


@pytest.mark.parametrize("loop", [{"a": "a"}, {"a": "b", "b": "a"}], ids=["one", "two"])
def test_a_loop_of_links_is_an_error_and_stays(tmp_path: Path, loop: dict[str, str]) -> None:
    for name, other in loop.items():
        (tmp_path / name).symlink_to(other)
    with pytest.raises(FgbenchError, match=r"cannot write .*/a: it is a symbolic link that leads to itself"):
        write_text(tmp_path / "a", "text")
    assert {path.name for path in tmp_path.iterdir()} == set(loop)


def test_leftovers_of_killed_programs_are_removed_and_no_other_file(tmp_path: Path) -> None:
    written: list[Path] = []

    def look(temporary: Path) -> None:
        temporary.write_text("half")
        assert remove_leftovers(tmp_path) == []  # this program is writing it
        written.append(temporary)

    write_atomic(tmp_path / "text.txt", look)
    written[0].write_text("left by a killed program")
    mine = [
        tmp_path / name for name in (".notes.abcdefgh.part", "text.abcdefgh.fgbench-part", ".text.fgbench-part.txt")
    ]
    for path in mine:
        path.write_text("mine")
    (tmp_path / ".folder.abcdefgh.fgbench-part").mkdir()
    assert remove_leftovers(tmp_path) == written
    assert all(path.read_text() == "mine" for path in mine)
    assert (tmp_path / ".folder.abcdefgh.fgbench-part").is_dir()
    assert remove_leftovers(tmp_path / "none") == []
