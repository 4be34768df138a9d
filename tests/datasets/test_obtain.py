import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from data_program import PERSONS, write_archive
from kill_at_write import WarmProgram, endings

from fgbench.datasets import dataset_base, obtain, reid_datasets
from fgbench.datasets import datasets as known_datasets
from fgbench.util import download
from fgbench.util.errors import FgbenchError, MissingError


@pytest.fixture
def site(tmp_path, monkeypatch, serve):
    """A server with the archive of a small VIPeR; gives the MD5 of the archive."""
    folder = tmp_path / "site"
    folder.mkdir()
    md5 = write_archive(folder / "VIPeR.zip")
    known = reid_datasets["viper"]
    monkeypatch.setitem(reid_datasets._objects, "viper", replace(known, archive=replace(known.archive, md5=md5)))
    monkeypatch.setenv("FGBENCH_URL_VIPER", f"{serve(folder)}/VIPeR.zip")
    monkeypatch.setenv("MD5_VIPER", md5)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "data"))
    return md5


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_three_calls_at_once_download_once_and_all_return_the_folder(site, tmp_path, monkeypatch):
    fetched = []

    def fetch(url, *arguments, **options):
        fetched.append(url)
        return download.fetch(url, *arguments, **options)

    monkeypatch.setattr(obtain, "fetch", fetch)
    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(obtain.get_data, ["viper"] * 3))
    assert folders == [tmp_path / "data/VIPeR"] * 3
    assert len(fetched) == 1
    assert names(tmp_path / "data") == ["VIPeR"]


@pytest.mark.parametrize(("how", "step"), [("kill", 3), ("torn", 7), ("full", 7)])
def test_the_same_command_continues_after_a_kill_or_a_full_disk(site, tmp_path, how, step):
    data = tmp_path / "data"

    def make():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        return data

    tried = 0
    with WarmProgram("data_program:get", ["fgbench.datasets.obtain"]) as program:
        for ended, _ in endings(program, lambda folder: ["data", "get", "viper"], make, how, step):
            assert "Traceback" not in ended.output
            again = program.run(["data", "get", "viper"], data)
            assert again.code == 0, (ended.last, again.output)
            assert names(data) == ["VIPeR"], ended.last
            assert len(reid_datasets["viper"].index()) == 2 * PERSONS
            tried += 1
    assert tried > 3


def test_a_folder_with_a_stray_file_is_not_the_data_set(site, tmp_path, monkeypatch):
    folder = tmp_path / "data/VIPeR"
    folder.mkdir(parents=True)
    assert obtain.get_data("viper") == folder  # an empty folder is filled
    shutil.rmtree(folder / "cam_b")
    assert not obtain.is_here("viper")
    message = (
        r"VIPeR is not VIPeR, or not all of it: it has no cam_b\n  move it elsewhere, then: fgbench data get viper"
    )
    monkeypatch.setattr(obtain, "fetch", None)  # nothing is downloaded
    for call in (reid_datasets["viper"].find, reid_datasets["viper"].index, lambda: obtain.get_data("viper")):
        with pytest.raises(MissingError, match=message):
            call()
    assert (folder / "cam_a").is_dir()
    # A whole data set in another folder is used.
    shutil.copytree(folder, tmp_path / "other/VIPeR")
    shutil.copytree(folder / "cam_a", tmp_path / "other/VIPeR/cam_b")
    monkeypatch.setenv("FGBENCH_DATA", f"{tmp_path / 'data'}:{tmp_path / 'other'}")
    assert obtain.get_data("viper") == tmp_path / "other/VIPeR"


def test_a_file_in_the_place_of_the_folder_is_an_error(site, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/VIPeR").write_text("mine")
    with pytest.raises(FgbenchError, match=r"data/VIPeR is not VIPeR.*\n  move it elsewhere"):
        obtain.get_data("viper")
    assert (tmp_path / "data/VIPeR").read_text() == "mine"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "is not a folder"),
        (lambda path: path.write_text("mine"), "is not a folder"),
        (lambda path: path.symlink_to(path.parent), "is a symbolic link"),
    ],
    ids=["fifo", "file", "link"],
)
def test_only_a_folder_is_removed_as_unpacked_files(site, tmp_path, monkeypatch, make, message):
    folder = tmp_path / "data"
    folder.mkdir()
    make(folder / ".VIPeR.unpacked")
    with monkeypatch.context() as patch:
        patch.setattr(obtain, "fetch", None)  # nothing is downloaded
        with pytest.raises(FgbenchError, match=f"unpacked {message}"):
            obtain.get_data("viper")
    assert names(folder) == [".VIPeR.unpacked"]
    (folder / ".VIPeR.unpacked").unlink()
    assert obtain.get_data("viper") == folder / "VIPeR"
    make(folder / ".VIPeR.unpacked")
    assert obtain.get_data("viper") == folder / "VIPeR"  # it does not matter where the data set is whole


@pytest.mark.parametrize("name", [*known_datasets, *reid_datasets])
def test_every_data_set_says_what_it_needs(name, tmp_path, monkeypatch):
    dataset = obtain.find(name)
    assert dataset.needed
    if dataset.synthetic:
        return
    (tmp_path / dataset.folder).mkdir()
    (tmp_path / dataset.folder / "stray.txt").write_text("")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    with pytest.raises(MissingError, match=f"it has no {dataset.needed[0]}"):
        dataset.find()
    with pytest.raises(FgbenchError, match=f"it has no {dataset.needed[0]}"):
        obtain.get_data(name)


def test_an_incomplete_synthetic_data_set_is_generated_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dataset_base, "cache_folder", lambda: tmp_path)

    def make(folder):
        folder.mkdir()
        (folder / "images").mkdir()
        (folder / "images.txt").write_text("made")

    dataset = replace(known_datasets["synthetic_birds"], make=make)
    folder = dataset.find()
    (folder / "images.txt").unlink()
    assert dataset.find() == folder
    assert (folder / "images.txt").read_text() == "made"
    assert f"{folder.name}.damaged" in names(folder.parent)
    assert "it has no images.txt" in capsys.readouterr().err
