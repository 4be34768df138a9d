"""Folders of records with files that operating systems and programs that synchronise folders put beside the records."""

import codecs
import shutil
from pathlib import Path

import pytest
from command_line import answer_of, run
from stored_records import edit, write_record

import fgbench
from fgbench.cli.completion import runs as completed_runs
from fgbench.judge.nightly.night_folders import MARKER, check_night, check_replaceable, replace
from fgbench.records.store import Store, results_folders
from fgbench.util.errors import FgbenchError

ID = "a" * 16
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        \xb0"
"""The beginning of a file that macOS writes beside a file on a drive without its attributes; no UTF-8."""
SYSTEM_FILES = {
    f"._{ID}.json": APPLE_DOUBLE, f"._{ID}.npz": APPLE_DOUBLE, f"._{ID}-1 attention.jpg": APPLE_DOUBLE,
    ".DS_Store": b"\0\0\0\1Bud1", "Thumbs.db": b"\xd0\xcf\x11\xe0", "desktop.ini": b"[.ShellClassInfo]\r\n",
}  # fmt: skip
COPIES = (
    "{} (1)", "{} - Copy", "{} copy", "{} 2", "Copy of {}", "{}.sync-conflict-20260101-120000-ABCDEFG",
    "{} (conflicted copy 2026-01-01)", "{}_conflict-20260101-120000",
)  # fmt: skip
"""Names that Chrome, Windows, macOS, iCloud, Google Drive, Syncthing, Dropbox and ownCloud give a copy."""
VERBS = (
    ("report",), ("verify",), ("export", "runs", "--format", "csv"), ("list", "runs"), ("show", ID), ("show", ID[:6]),
    ("export", "curves", "--format", "csv"), ("export", "verdicts", "--format", "csv"),
)  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one run."""
    write_record(tmp_path / "results" / "records")
    return tmp_path / "results"


def add(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def copy(folder: Path, name: str) -> list[Path]:
    """Copy the record and its arrays under a name of another program."""
    return [Path(shutil.copy(folder / f"{ID}{end}", folder / f"{name.format(ID)}{end}")) for end in (".json", ".npz")]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_verb_reads_the_files_of_an_operating_system(results: Path, verb: tuple[str, ...]) -> None:
    """A results folder on an exFAT or network drive gets a file `._<run id>.json` for each record.

    Reports of the kind: https://github.com/bids-standard/pybids/issues/1069,
    https://github.com/letta-ai/letta-code/issues/3506, https://github.com/jundot/omlx/issues/3679
    """
    before = run(*verb, "--results", str(results))
    assert before[0] == 0
    shutil.rmtree(results / "report", ignore_errors=True)
    for folder in (results, results / "records"):
        add(folder, SYSTEM_FILES)
    assert run(*verb, "--results", str(results)) == before


def test_the_python_interface_does_not_read_them_either(results: Path) -> None:
    """The same for `fgbench.load`, and for the pictures, networks and names of a folder."""
    store = Store(results / "records")
    add(results / "records", SYSTEM_FILES)
    assert set(fgbench.load(results)["run_id"]) == {ID}
    assert store.run_ids() == [ID]
    assert store.all_pictures() == {}
    assert store.without_record() == []


def test_a_folder_of_system_files_alone_is_no_results_folder(tmp_path: Path) -> None:
    """macOS also writes `._` files into folders whose records were moved elsewhere."""
    (tmp_path / "old" / "records").mkdir(parents=True)
    add(tmp_path / "old" / "records", SYSTEM_FILES)
    write_record(tmp_path / "new" / "records")
    assert results_folders(tmp_path) == [tmp_path / "new"]


def test_names_are_not_completed_to_system_files(results: Path) -> None:
    """The shell offers the ids of runs."""
    add(results / "records", SYSTEM_FILES)

    class Context:
        params = {"results": str(results)}

    assert completed_runs(Context(), "") == [ID]


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_a_record_is_no_second_run(results: Path, name: str) -> None:
    """A second download or a folder that is synchronised has the same record under another name.

    Report of the kind: https://github.com/syncthing/syncthing/issues/8276
    """
    record, _ = copy(results / "records", name)
    assert Store(results / "records").run_ids() == [ID]
    assert set(fgbench.load(results)["run_id"]) == {ID}
    for verb in VERBS:
        code, text = run(*verb, "--results", str(results))
        assert code == 0, text
        assert ("is a copy of another file and is not used" in text) == (verb == ("verify",))
    code, answer = answer_of("verify", "--results", str(results), "--json")
    assert code == 0
    (facts,) = answer["folders"]
    assert facts["copies"] == sorted(f"{record.stem}{end}" for end in (".json", ".npz"))
    assert (facts["records"], facts["without_record"]) == (1, [])


@pytest.mark.parametrize("name", ["{} (1)", "{}.sync-conflict-20260101-120000-ABCDEFG", "{}_conflict-20260101-120000"])
def test_a_removed_run_takes_its_copies_with_it(results: Path, name: str) -> None:
    """Else the copy would be taken for the record the next time, under a wrong name."""
    copy(results / "records", name)
    assert run("rm", ID, "--yes", "--results", str(results))[0] == 0
    assert list((results / "records").iterdir()) == []


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_other_content_is_left_out_and_named(results: Path, name: str) -> None:
    """Two machines wrote the same run: one of the two records is in conflict, and neither is dropped silently."""
    record, _ = copy(results / "records", name)
    edit(record, lambda fields: fields["cost"].update(wall_s=2.0), seal=True)
    code, text = run("verify", "--results", str(results))
    assert code == 1
    assert f"{record.name} has the record of run {ID}" in text
    code, text = run("show", ID, "--results", str(results))  # the whole id names one run
    assert code == 0
    code, text = run("export", "runs", "--format", "csv", "--results", str(results))
    assert code == 1
    assert f"{ID}.json is there, too: keep one of the two under this name" in text


def test_a_copy_without_the_run_id_in_its_name_is_not_said_to_differ(results: Path) -> None:
    """`backup.json` with the content of the record: the message said that the two differ."""
    record, _ = copy(results / "records", "backup")
    code, text = run("export", "runs", "--format", "csv", "--results", str(results))
    assert code == 1
    assert f"{record.name} has the record of run {ID}" in text
    assert "differs" not in text


def test_a_copy_that_may_not_be_read_blocks_no_verb(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user: the verbs ended with the advice to get the permission to write."""

    def denied(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    copy(results / "records", "{} (1)")
    monkeypatch.setattr("fgbench.records.copied_files.filecmp.cmp", denied)
    code, text = run("list", "runs", "--results", str(results))
    assert code == 0, text
    assert ID in text


def test_a_record_under_another_name_alone_is_named(results: Path) -> None:
    """If only the copy was kept, its name is wrong; the message says the right one."""
    path = results / "records" / f"{ID}.json"
    path.rename(path.with_name(f"{ID} (1).json"))
    code, text = run("export", "runs", "--format", "csv", "--results", str(results))
    assert code == 1
    assert f"name it {ID}.json" in text


def test_a_copy_of_a_picture_is_shown_once(results: Path) -> None:
    """Pictures are named by their kind; a copy would be another kind."""
    folder = results / "records"
    for name, content in (("1 attention", b"a"), ("2 search", b"b"), ("1 attention (1)", b"a"), ("3 search b", b"c")):
        (folder / f"{ID}-{name}.jpg").write_bytes(content)
    expected = ["attention", "search", "search b"]
    store = Store(folder)
    assert sorted(store.pictures(ID)) == expected
    assert {run_id: sorted(kinds) for run_id, kinds in store.all_pictures().items()} == {ID: expected}


def test_a_night_is_kept_although_the_system_added_files(tmp_path: Path) -> None:
    """A folder that Finder or Explorer has shown has `.DS_Store`, `Thumbs.db` or `desktop.ini`.

    Report of the kind: https://github.com/BGmi/BGmi/issues/8
    """
    night, baseline = tmp_path / "tonight", tmp_path / "baseline"
    for folder in (night, baseline):
        write_record(folder / "records")
        for inside in (folder, folder / "records"):
            add(inside, SYSTEM_FILES)
    (baseline / MARKER).touch()
    check_night(night)
    check_replaceable(baseline)
    replace(night, baseline)
    assert sorted(path.name for path in (baseline / "records").iterdir()) == [f"{ID}.json", f"{ID}.npz"]
    assert sorted(path.name for path in baseline.iterdir()) == [MARKER, "records"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "tonight"]


def test_a_byte_order_mark_before_a_record_is_skipped(tmp_path: Path) -> None:
    """Notepad of Windows saves JSON with a mark."""
    written = write_record(tmp_path)
    path = tmp_path / f"{written.run_id}.json"
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert [record.run_id for record in Store(tmp_path).records()] == [written.run_id]


@pytest.mark.parametrize("verb", [*VERBS, ("compare", "RESULTS"), ("log", ID)], ids=" ".join)
def test_records_without_a_folder_of_their_own_are_read(results: Path, verb: tuple[str, ...]) -> None:
    """The files of a folder `records` were copied, and not the folder itself."""
    flat = results.with_name("flat")
    shutil.copytree(results / "records", flat)
    answers = [
        run(*(str(folder) if word == "RESULTS" else word for word in verb), "--results", str(folder))
        for folder in (results, flat)
    ]
    code, text = answers[0]
    assert answers[1] == (code, text.replace(str(results), str(flat)))
    assert results_folders(flat) == [flat]


def test_records_beside_the_folder_of_records_are_named(results: Path) -> None:
    """A part of the records was copied into the folder above; an empty folder `records` hides none."""
    for path in (results / "records").glob(f"{ID}*"):
        shutil.copy(path, results)
    code, text = run("verify", "--results", str(results))
    assert code == 1
    assert f"1 record in {results} itself and not in its folder records" in text
    shutil.rmtree(results / "records")
    (results / "records").mkdir()
    code, text = run("verify", "--results", str(results))
    assert code == 0
    assert "1 of 1 record verified" in text


def test_folders_of_results_without_a_folder_of_records_are_found(results: Path) -> None:
    flat = results.parent / "other"
    shutil.copytree(results / "records", flat)
    assert results_folders(results.parent) == [flat, results]
    for path in flat.glob(f"{ID}*"):
        shutil.copy(path, results.parent)
    assert results_folders(results.parent) == [results.parent, flat, results]


def test_an_array_file_of_another_name_and_content_is_named(results: Path) -> None:
    """A download of other content has the name of the file that was there: `<run id> (1).npz`."""
    other = results / "records" / f"{ID} (1).npz"
    other.write_bytes((results / "records" / f"{ID}.npz").read_bytes() + b"0")
    text = run("verify", "--results", str(results))[1]
    assert f"{other.name} is of no record" in text
    assert "or the file was renamed" in text


def test_a_value_of_the_wrong_type_in_a_record_is_quoted(results: Path) -> None:
    path = results / "records" / f"{ID}.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 0', '"seed": "zero"'), encoding="utf-8")
    with pytest.raises(FgbenchError, match=r"schema 1 or 2: 'seed': .*\(got 'zero'\)") as caught:
        Store(path.parent).read(ID)
    assert caught.value.hint == "move its files elsewhere and run the recipe again"
