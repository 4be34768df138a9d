"""Folders that a night replaces: nothing that no night wrote is removed, and nothing in their place makes it wait."""

import os
import shutil

import pytest
from command_line import run
from night_folders import RECORD, content, kept_night, part, tonight

from fgbench.judge.nightly import night_comparison
from fgbench.judge.nightly.night_folders import MARKER, check_replaceable, replace, restore
from fgbench.util.errors import FgbenchError


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A results folder with one judged night."""
    folder = tmp_path_factory.mktemp("nights") / "n"
    tonight(folder)
    assert run("nightly", "--results", str(folder))[0] == 0
    return folder


@pytest.fixture
def nights(judged, tmp_path, monkeypatch):
    """A results folder with one judged night, and one to judge."""
    monkeypatch.setattr(night_comparison, "hash_code", lambda: "code")
    folder = shutil.copytree(judged, tmp_path / "n")
    tonight(folder)
    return folder


def user_files(path):
    (path / "records").mkdir(parents=True)
    (path / "records/user-backup.json").write_text("ten months")


def test_everything_that_fgbench_writes_into_records_may_be_replaced(tmp_path):
    night = kept_night(tmp_path / "baseline")
    for name in (".npz", "-1 attention.jpg", "-9 searches.jpg"):
        (night / f"records/{RECORD}{name}").touch()
    (night / f"records/.{RECORD}.json.a1b2c3d4.fgbench-part.json").touch()
    (night / f"records/.{RECORD}-9 searches.jpg.a1b2c3d4.fgbench-part.jpg").touch()
    check_replaceable(night)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        f"{RECORD}.txt",
        f"{RECORD}-copy.json",
        f"{RECORD}-notes.jpg",
        "backup.json",
        ".notes",
        ".x.fgbench-part.txt",
    ],
)
@pytest.mark.parametrize("folder", ["baseline", "fixed", "tonight"])
def test_a_foreign_file_among_the_records_is_kept(nights, folder, name):
    (nights / folder / "records" / name).write_text("ten months")
    before = part(content(nights), folder)
    code, text = run("nightly", "--results", str(nights), "--accept")
    assert code != 0
    assert name in text
    assert part(content(nights), folder) == before


def test_the_foreign_file_is_named(nights):
    (nights / "baseline/records/notes.txt").touch()
    before = content(nights)
    _, text = run("nightly", "--results", str(nights))
    assert "baseline/records contains notes.txt, which no night wrote" in text
    assert content(nights) == before


def test_a_folder_in_the_place_of_a_record_is_kept(tmp_path):
    night = kept_night(tmp_path / "baseline")
    (night / f"records/{RECORD}.npz").mkdir()
    with pytest.raises(FgbenchError, match=r"npz is not a file"):
        check_replaceable(night)


def test_linked_records_are_kept(tmp_path):
    night = kept_night(tmp_path / "baseline")
    (night / "records").rename(tmp_path / "mine")
    (night / "records").symlink_to(tmp_path / "mine")
    with pytest.raises(FgbenchError, match="records is a symbolic link"):
        check_replaceable(night)


@pytest.mark.parametrize("name", [".baseline.old", ".baseline.new", ".fixed.old", ".refused.new"])
def test_a_folder_of_a_user_beside_a_baseline_is_kept(nights, name):
    user_files(nights / name)
    before = content(nights)
    code, text = run("nightly", "--results", str(nights), "--accept")
    assert code != 0
    assert f"{name} was not written by fgbench nightly: it has no file {MARKER}" in text
    assert content(nights) == before


def test_a_folder_of_a_user_does_not_become_the_baseline(nights):
    user_files(nights / ".res.old")
    before = content(nights)
    code, text = run("nightly", "--results", str(nights), "--fixed", str(nights / "res"))
    assert code != 0
    assert ".res.old was not written by fgbench nightly" in text
    assert content(nights) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.symlink_to(kept_night(path.parent / "mine")), "old is a symbolic link"),
        (os.mkfifo, "old is not a folder"),
        (lambda path: path.write_text("mine"), "old is not a folder"),
    ],
    ids=["link", "fifo", "file"],
)
def test_something_else_beside_a_baseline_is_kept(tmp_path, make, message):
    make(tmp_path / ".baseline.old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FgbenchError, match=message):
        restore(tmp_path / "baseline")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_last_whole_state_is_restored(tmp_path):
    kept_night(tmp_path / ".baseline.old")
    (kept_night(tmp_path / ".baseline.new") / "records" / f"{RECORD}.json").write_text("{")
    restore(tmp_path / "baseline")
    assert [path.name for path in tmp_path.iterdir()] == ["baseline"]
    assert (tmp_path / f"baseline/records/{RECORD}.json").read_text() == "{}"
    restore(tmp_path / "baseline")
    assert (tmp_path / "baseline/records").is_dir()


def test_a_folder_of_an_earlier_version_gets_the_marker_before_it_is_renamed(tmp_path, monkeypatch):
    night, target = kept_night(tmp_path / "night"), kept_night(tmp_path / "baseline")
    (target / MARKER).unlink()
    rename = type(target).rename

    def fail_after(path, new):
        rename(path, new)
        raise OSError("the disk fails")

    with monkeypatch.context() as patch:
        patch.setattr(type(target), "rename", fail_after)
        with pytest.raises(FgbenchError, match="the disk fails"):
            replace(night, target)
    restore(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "night"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is not a folder"),
        (lambda path: path.write_text("mine"), "is not a folder"),
        (lambda path: path.symlink_to(path.parent / "fixed"), "is a symbolic link"),
    ],
    ids=["fifo", "file", "link"],
)
def test_nothing_but_a_folder_is_removed_as_a_judged_night(nights, make, message):
    make(nights / ".judged-removed")
    before = content(nights)
    code, text = run("nightly", "--results", str(nights))
    assert code != 0
    assert f".judged-removed {message}" in text
    assert content(nights) == before


def test_a_foreign_file_in_the_night_is_not_removed_with_it(nights):
    notes = nights / "tonight/notes.txt"
    notes.write_text("mine")
    before = content(nights)
    code, text = run("nightly", "--results", str(nights))
    assert code != 0
    assert "tonight contains notes.txt, which no night wrote" in text
    assert content(nights) == before
    notes.unlink()
    for name in ("work", "failures", "report"):
        (nights / "tonight" / name).mkdir()
    assert run("nightly", "--results", str(nights))[0] == 0


def test_the_new_arrays_of_an_interrupted_replacement_belong_to_the_night(tmp_path):
    night = kept_night(tmp_path / "baseline")
    (night / f"records/{RECORD}-{'0a' * 8}.npz").write_bytes(b"")
    check_replaceable(night)
    (night / f"records/{RECORD}-0a.npz").write_bytes(b"")
    with pytest.raises(FgbenchError, match="which no night wrote"):
        check_replaceable(night)
