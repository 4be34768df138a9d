"""Places to which a night cannot be written: one sentence, and nothing of the night is decided."""

import os
from pathlib import Path

import pytest
from command_line import run
from night_folders import content, kept_night, tonight

from fgbench.judge.nightly import night_comparison, night_storage
from fgbench.judge.nightly.night_folders import check_writable
from fgbench.util.errors import FgbenchError


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """A results folder with a night to judge, as the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(night_comparison, "hash_code", lambda: "code")
    tonight(tmp_path / "n")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    return tmp_path / "n"


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        pytest.param(
            "/proc/x", "cannot write /proc/x", marks=pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc")
        ),
        ("file/x", "file is a file, not a folder"),
        ("file/deep/x", "file is a file, not a folder"),
        ("file", "file is not a folder"),
        ("x" * 253, "File name too long"),
        ("loop", "loop is not a folder"),
        ("loop/x", "loop/x: Too many levels of symbolic links"),
        ("there", "there is not a folder"),
        ("/", "/ has no name and cannot be replaced"),
        ("n/tonight", "is in the night to judge"),
        ("n/.judged/x", "is in the night to judge"),
        ("n/.judged-removed", "is in the night to judge"),
    ],
)
def test_a_fixed_baseline_that_cannot_be_written_leaves_the_night_to_be_judged(nights, fixed, message):
    before = content(nights)
    code, text = run("nightly", "--results", "n", "--fixed", fixed, "--accept")
    assert code != 0
    assert message in text
    assert content(nights) == before
    assert run("nightly", "--results", "n", "--fixed", "good")[0] == 0


@pytest.mark.parametrize("name", ["baseline", "fixed"])
def test_a_loop_of_links_in_the_place_of_a_baseline_is_named(nights, name):
    (nights / name).symlink_to(name)
    before = content(nights)
    code, text = run("nightly", "--results", "n", "--accept")
    assert code != 0
    assert f"n/{name} is not a folder" in text
    assert content(nights) == before


@pytest.mark.parametrize("name", ["summary.md", "comparison.json", "junit.xml", "report/index.html"])
def test_a_loop_of_links_in_the_place_of_a_page_is_named(nights, name):
    (nights / "report").mkdir()
    (nights / name).symlink_to((nights / name).name)
    code, text = run("nightly", "--results", "n")
    assert code != 0
    assert f"cannot write n/{name}: it is a symbolic link that leads to itself" in text
    (nights / name).unlink()
    assert run("nightly", "--results", "n")[0] == 0
    assert (nights / name).is_file()


def test_a_mount_point_is_not_replaced(tmp_path, monkeypatch):
    target = kept_night(tmp_path / "baseline")
    check_writable(target)
    monkeypatch.setattr(os.path, "ismount", lambda path: path == target)
    with pytest.raises(FgbenchError, match="baseline is a mount point and cannot be replaced"):
        check_writable(target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (os.mkfifo, "it is a FIFO, not a file"),
        (lambda path: path.write_text("{"), "it is not JSON"),
        (lambda path: path.write_bytes(b"\xff"), "it is not JSON"),
        (lambda path: path.write_text('{"accept": 3}'), "'result': missing"),
    ],
    ids=["none", "fifo", "half", "bytes", "fields"],
)
def test_a_decision_that_cannot_be_read_has_a_way_out(nights, make, reason):
    (nights / "tonight").rename(nights / ".judged")
    make(nights / ".judged/decision.json")
    sentence = f"n/.judged/decision.json cannot be read: {reason}\n  "
    code, text = run("nightly", "--results", "n")
    assert code != 0
    assert f"{sentence}judge the night again: mv n/.judged n/tonight" in text
    tonight(nights)
    code, text = run("nightly", "--results", "n")
    assert code != 0
    assert f"{sentence}move n/.judged elsewhere" in text
    assert (nights / "tonight").is_dir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is not a folder"),
        (lambda path: path.write_text("mine"), "is not a folder"),
        (lambda path: path.symlink_to("tonight"), "is a symbolic link"),
    ],
    ids=["fifo", "file", "link"],
)
def test_something_else_in_the_place_of_the_judged_night_is_named(nights, make, message):
    make(nights / ".judged")
    before = content(nights)
    code, text = run("nightly", "--results", "n")
    assert code != 0
    assert f"n/.judged {message}" in text
    assert content(nights) == before


@pytest.mark.parametrize(
    ("results", "message"),
    [("missing", "there is no folder missing"), ("file", "file is not a folder"), ("loop", "loop is not a folder")],
)
@pytest.mark.parametrize(
    "verb",
    [("nightly", "--results"), ("verify", "--results"), ("compare", "n/tonight", "--results")],
    ids=lambda verb: verb[0],
)
def test_a_results_folder_that_is_none_is_named(nights, verb, results, message):
    code, text = run(*verb, results)
    assert code != 0
    assert message in text


def test_an_interrupted_night_that_cannot_be_kept_has_a_way_out(nights, monkeypatch):
    assert run("nightly", "--results", "n")[0] == 0
    tonight(nights)
    with monkeypatch.context() as patch:
        patch.setattr(night_storage, "check_writable", lambda target: None)
        assert "cannot write" in run("nightly", "--results", "n", "--fixed", "file/x", "--accept")[1]
    tonight(nights)
    code, text = run("nightly", "--results", "n")
    assert code != 0
    assert "cannot write" in text
    assert "or give up the interrupted night: move n/.judged elsewhere" in text
    (nights / ".judged").rename(nights.parent / "elsewhere")
    assert run("nightly", "--results", "n")[0] == 0
