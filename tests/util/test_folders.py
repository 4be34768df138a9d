import os
import signal
import subprocess
import sys

import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.folders import new_folder, remove_folder, remove_leftover_folders

PROGRAM = """
import sys, time
from pathlib import Path
from fgbench.util.folders import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "inner").mkdir()
    (folder / "inner/file").write_text("half")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def running(tmp_path):
    """A program that fills a folder; the program and its temporary folder."""
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "root")]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    yield program, tmp_path / program.stdout.readline().strip()
    program.kill()
    program.wait()
    program.stdout.close()


def test_a_folder_is_complete_or_absent(tmp_path):
    root = tmp_path / "made/root"
    with pytest.raises(IsADirectoryError), new_folder(root) as folder:
        folder.write_text("content")
    assert list(root.parent.iterdir()) == []
    root.mkdir()  # an empty folder is replaced
    with new_folder(root) as folder:
        (folder / "file").write_text("content")
        assert list(root.iterdir()) == []
    assert list(root.parent.iterdir()) == [root]
    assert (root / "file").read_text() == "content"


def test_a_folder_with_files_is_not_replaced(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/mine").write_text("mine")
    with pytest.raises(OSError, match="not empty"), new_folder(tmp_path / "root"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["root", "mine"]


def test_the_folder_of_a_killed_program_is_removed_and_that_of_a_running_one_stays(running, tmp_path):
    program, folder = running
    names = (
        "other.abcdefgh.fgbench-part",
        "root.short.fgbench-part",
        "root.abcdefgh.part",
        "root.abcdefgh.fgbench-part.txt",
    )
    others = [tmp_path / f".{name}" for name in names]
    for path in others:
        path.mkdir()
    remove_leftover_folders(tmp_path / "root")
    assert (folder / "inner/file").exists()
    program.send_signal(signal.SIGKILL)
    program.wait()
    with new_folder(tmp_path / "root"):
        assert not folder.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is not a folder"),
        (lambda path: path.write_text("mine"), "is not a folder"),
        (lambda path: path.symlink_to(path.parent), "is a symbolic link"),
        (lambda path: path.symlink_to(path), "is a symbolic link"),
    ],
    ids=["fifo", "file", "link", "loop"],
)
def test_only_a_folder_is_removed(tmp_path, make, message):
    path = tmp_path / "leftover"
    remove_folder(path)
    make(path)
    with pytest.raises(FgbenchError, match=f"leftover {message}"):
        remove_folder(path)
    path.unlink()
    (path / "inner").mkdir(parents=True)
    os.mkfifo(path / "inner/fifo")
    remove_folder(path)
    assert not path.exists()
