import os
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import run
from filelock import FileLock
from kill_at_write import WarmProgram, endings
from night_folders import content, fewer, part, tonight

from fgbench.judge.nightly.history import read_history
from fgbench.judge.nightly.night_folders import MARKER

CASES = {"passes": (0, ()), "fails": (60, ()), "is accepted": (60, ("--accept",))}
"""Number of images that are lost in the second night, and options."""


@pytest.fixture(scope="module")
def program():
    with WarmProgram("night_program:judge", ["torch"]) as warm:
        yield warm


@pytest.fixture(scope="module")
def first_night(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nights") / "nightly"
    tonight(folder)
    assert program.run(["nightly", "--results", str(folder)]).code == 0
    return folder


@pytest.fixture
def second_night(request, first_night, tmp_path):
    """Options, and a function that makes the results folder anew: the first night is kept, the second one is judged."""
    lost, options = request.param
    folder = tmp_path / "nightly"
    tonight(tmp_path / "made", fewer(lost))

    def make():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(first_night, folder)
        shutil.copytree(tmp_path / "made/tonight", folder / "tonight")
        return folder

    return options, make


def arguments(options):
    return lambda folder: ["nightly", "--results", str(folder), *options]


@pytest.mark.parametrize(
    ("second_night", "how", "step"),
    [
        (CASES["is accepted"], "kill", 1),
        (CASES["is accepted"], "torn", 2),
        (CASES["is accepted"], "full", 3),
        (CASES["passes"], "kill", 4),
        (CASES["fails"], "kill", 4),
    ],
    ids=["kill", "torn", "full", "kill a night that passes", "kill a night that fails"],
    indirect=["second_night"],
)
def test_the_same_command_finishes_a_night_that_ended_at_any_write(program, second_night, how, step):
    options, make = second_night
    before = content(make())
    folder = make()
    whole = program.run(arguments(options)(folder), folder)
    assert whole.code in {0, 1}
    expected = content(folder)
    names = {path.partition("/")[0] for path in expected}
    assert names >= {"baseline", "fixed", "history.jsonl", "summary.md"}
    tried = 0
    for ended, left in endings(program, arguments(options), make, how, step):
        now = content(left)
        for name in ("baseline", "fixed"):
            kept = part(now, name) or part(now, f".{name}.old")
            assert kept in (part(before, name), part(expected, name)), ended.last
        assert part(now, "tonight") or part(now, ".judged") or part(now, ".judged-removed") or now == expected
        again = program.run(arguments(options)(left), left)
        assert content(left) == expected, (ended.last, again.output)
        assert again.code == whole.code or "no folder" in again.output, (ended.last, again.output)
        assert "Traceback" not in ended.output + again.output
        tried += 1
    assert tried > 40 // step


@pytest.mark.parametrize("second_night", [CASES["passes"]], ids=["passes"], indirect=True)
def test_a_new_night_after_an_interrupted_one_is_judged_after_it(program, second_night, tmp_path):
    _, make = second_night
    folder = make()
    ended = program.run(arguments(())(folder), folder, at=12)
    assert ended.died
    assert not (folder / "tonight").exists()
    shutil.copytree(tmp_path / "made/tonight", folder / "tonight")
    assert program.run(arguments(())(folder)).code == 0
    assert len(read_history(folder)) == 3
    assert not list(folder.glob(".judged*"))


@pytest.mark.parametrize("second_night", [CASES["fails"]], ids=["fails"], indirect=True)
def test_an_interrupted_night_cannot_be_accepted_afterwards(program, second_night):
    _, make = second_night
    folder = make()
    assert program.run(arguments(())(folder), folder, at=12).died
    accepted = program.run(arguments(("--accept",))(folder))
    assert accepted.code == 2
    assert "was judged without --accept, and interrupted" in accepted.output
    assert program.run(arguments(())(folder)).code == 1


def user_folder(path):
    path.mkdir()
    (path / "thesis.tex").write_text("ten months")


def other_results(path):
    tonight(path.parent / "other")
    (path.parent / "other/tonight").rename(path)


def marked_with_notes(path):
    user_folder(path)
    (path / MARKER).touch()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (user_folder, f"has no file {MARKER}"),
        (other_results, f"has no file {MARKER}"),
        (marked_with_notes, "contains thesis.tex, which no night wrote"),
        (lambda path: path.write_text("x"), "is not a folder"),
        (os.mkfifo, "is not a folder"),
    ],
    ids=["a user's folder", "results", "marked", "file", "fifo"],
)
def test_a_folder_that_no_night_wrote_is_not_replaced(tmp_path, make, message):
    fixed = tmp_path / "mine"
    make(fixed)
    tonight(tmp_path / "nightly")
    before = sorted(tmp_path.rglob("*"))
    code, text = run("nightly", "--results", str(tmp_path / "nightly"), "--fixed", str(fixed), "--accept")
    assert code != 0
    assert message in text
    assert sorted(path for path in tmp_path.rglob("*") if path.name != ".nightly.lock") == before


def test_the_fixed_baseline_cannot_be_in_the_night(tmp_path):
    tonight(tmp_path)
    code, text = run("nightly", "--results", str(tmp_path), "--fixed", str(tmp_path / "tonight/records"))
    assert code != 0
    assert "is in the night to judge" in text


def test_folders_of_earlier_versions_without_marker_are_replaced(program, first_night, tmp_path):
    folder = shutil.copytree(first_night, tmp_path / "nightly")
    for name in ("baseline", "fixed"):
        (folder / name / MARKER).unlink()
    tonight(folder)
    assert program.run(arguments(("--accept",))(folder)).code == 0
    assert (folder / "fixed" / MARKER).is_file()


def test_a_linked_baseline_stays_a_link(program, first_night, tmp_path):
    folder = shutil.copytree(first_night, tmp_path / "nightly")
    (folder / "fixed").rename(tmp_path / "elsewhere")
    (folder / "fixed").symlink_to(tmp_path / "elsewhere")
    tonight(folder, fewer(60))
    assert program.run(arguments(("--accept",))(folder)).code == 0
    assert (folder / "fixed").is_symlink()
    assert content(tmp_path / "elsewhere") == part(content(folder), "baseline")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "nightly"]


def test_two_programs_do_not_judge_the_same_night(first_night, tmp_path):
    tonight(tmp_path)
    with FileLock(tmp_path / ".nightly.lock"):
        code, text = run("nightly", "--results", str(tmp_path))
    assert code != 0
    assert "another fgbench judges the night" in text
    assert not (tmp_path / "history.jsonl").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_full_and_then_freed_ends_in_the_same_state(program, first_night, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine forbids mounts")
    try:
        folder, tried = disk / "nightly", 0
        for room in (0, 8, 60):  # KiB
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(first_night, folder)
            tonight(folder)
            expected = content(folder)
            fill(disk / "filler", room)
            full = program.run(arguments(())(folder))
            assert "Traceback" not in full.output
            tried += full.code == 2 and "is full" in full.output
            (disk / "filler").unlink()
            again = program.run(arguments(())(folder))
            assert again.code == 0 or "no folder" in again.output
            now = content(folder)
            for name in ("baseline", "fixed"):
                assert part(now, name) == part(expected, name)
            assert len(read_history(folder)) == 2
        assert tried >= 2
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def fill(path: Path, room: int) -> None:
    """Fill the disk of a file, and leave some KiB free."""
    with path.open("wb") as file:
        free = os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize
        file.write(b"x" * max(0, free - room * 1024))
