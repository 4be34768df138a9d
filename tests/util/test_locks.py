import pytest
from filelock import FileLock, Timeout

from fgbench.util.errors import FgbenchError
from fgbench.util.locks import locked


def test_the_lock_is_held_inside_the_block_only(tmp_path):
    path = tmp_path / "folder" / "file"
    with locked(path), pytest.raises(Timeout):
        FileLock(f"{path}.lock").acquire(timeout=0)
    with FileLock(f"{path}.lock").acquire(timeout=0):
        assert path.parent.is_dir()


def test_a_lock_that_cannot_be_written_is_an_error_with_the_next_step(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FgbenchError, match="is a file, not a folder") as caught, locked(tmp_path / "file" / "a", "try"):
        pass
    assert caught.value.hint == "try"
    (tmp_path / "a.lock").mkdir()
    with pytest.raises(FgbenchError, match=r"a\.lock"), locked(tmp_path / "a"):
        pass
