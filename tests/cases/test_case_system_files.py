"""Files that macOS and Windows write beside those of the user, and text files as their editors save them."""

import codecs
import shutil
from pathlib import Path

import pytest
from aircraft_folder import write_aircraft
from cars_folder import write_cars
from command_line import run as fgbench
from few_birds import few_birds
from own_folders import fill, write_split
from reid_folders import market, viper

from fgbench.backbones.weights import weight_folders
from fgbench.datasets import datasets, find, reid_datasets
from fgbench.datasets.check import check
from fgbench.datasets.dataset_base import data_roots
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder

pytestmark = pytest.mark.usefixtures("root")
MAKERS = {
    "cub": lambda root: few_birds(root) / "CUB_200_2011",
    "aircraft": lambda root: write_aircraft(root / "fgvc-aircraft-2013b"),
    "cars": lambda root: write_cars(root / "stanford_cars"),
    "market1501": lambda root: market(root / "Market-1501-v15.09.15"),
    "viper": lambda root: viper(root / "VIPeR"),
    "own": lambda root: fill(root / "own"),
}


def index_of(name, folder):
    if name == "own":
        return find(f"imagefolder:{folder}").index()
    return (datasets if name in datasets else reid_datasets)[name].index()


def add_system_files(folder):
    """Write what macOS and Windows write, into each folder and for each file."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._.DS_Store"):
                (path / name).write_bytes(b"\0\0\0\1Bud1")
        else:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    copies = folder.parent / "copies"
    shutil.copytree(folder, copies)
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        shutil.copytree(copies, path / "__MACOSX" / folder.name)
    shutil.rmtree(copies)


@pytest.mark.parametrize("name", MAKERS)
def test_files_of_other_systems_are_ignored(name, root):
    """`._photo.jpg`, `.DS_Store`, `Thumbs.db`, `desktop.ini` and `__MACOSX` are in every folder of a data set.

    One `._0001.jpg` made Market-1501 unreadable. https://github.com/msight-tech/research-ms-loss/issues/7 leaves them
    out of CUB-200-2011 by hand, and https://github.com/pytorch/vision/issues/109 out of the classes of a folder.
    """
    folder = MAKERS[name](root)
    before = index_of(name, folder)
    fingerprint = before.fingerprint
    add_system_files(folder)
    index = index_of(name, folder)
    assert index.files == before.files
    assert index.fingerprint == fingerprint
    result = check(index)
    assert result.problems == []
    assert not [note for note in result.notes if "._" in note.file or "MACOSX" in note.file]


def test_files_of_other_systems_in_a_list_of_the_user(root):
    """A program lists every file in `split.csv`, also `._1.jpg`: its line is ignored."""
    rows = [("a/1.jpg", "x", "train"), ("a/._1.jpg", "x", "train"), ("b/2.jpg", "y", "train"), ("b/3.jpg", "y", "test")]
    index = find(f"imagefolder:{write_split(root / 'own', rows)}").index()
    assert index.files == ("a/1.jpg", "b/2.jpg", "b/3.jpg")


TEXTS = {
    "cub": ["images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt",
            "parts/parts.txt", "parts/part_locs.txt"],
    "aircraft": ["data/variants.txt", "data/images_box.txt", "data/images_variant_trainval.txt",
                 "data/images_variant_test.txt", "data/images_variant_train.txt", "data/images_variant_val.txt"],
}  # fmt: skip
WAYS = {
    "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "mark and CRLF": lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.replace("\n", "\r\n").encode("utf-16-be"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", TEXTS)
def test_text_files_as_other_editors_save_them(name, way, root):
    """Notepad saves a text file with a byte order mark, CRLF or in UTF-16: it is read.

    A mark in `variants.txt` was told as a mistake of another file. https://github.com/sony/nnabla/pull/829 reads it in
    lists of a data set.
    """
    folder = MAKERS[name](root)
    before = index_of(name, folder).annotation_hashes
    for file in TEXTS[name]:
        (folder / file).write_bytes(WAYS[way]((folder / file).read_text()))
        assert index_of(name, folder).annotation_hashes == before, file


@pytest.mark.parametrize("way", WAYS)
def test_a_list_of_the_user_as_other_editors_save_it(way, root):
    """The same for `split.csv`."""
    rows = [("a/1.jpg", "x", "train"), ("b/2.jpg", "Öl", "train"), ("b/3.jpg", "Öl", "test")]
    folder = write_split(root / "own", rows)
    before = index_of("own", folder).annotation_hashes
    (folder / "split.csv").write_bytes(WAYS[way]((folder / "split.csv").read_text()))
    assert index_of("own", folder).annotation_hashes == before


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("how", ["UTF-16 without a mark", "a zero byte", "Latin-1"])
def test_text_that_cannot_be_read_is_named(name, how, root):
    """UTF-16 without a mark, a zero byte or Latin-1: the error names the right file, its line and the next step."""
    folder = MAKERS[name](root)
    for file in TEXTS[name]:
        content = (folder / file).read_bytes()
        start = content.index(b"\n") + 3
        changed = {
            "UTF-16 without a mark": content.decode().encode("utf-16-le"),
            "a zero byte": content[:start] + b"\0" + content[start:],
            "Latin-1": content[:start] + "ö".encode("latin-1") + content[start:],
        }[how]
        (folder / file).write_bytes(changed)
        line = 1 if how.startswith("UTF-16") else 2
        with pytest.raises(FgbenchError, match=f"{folder / file} is not a text file in UTF-8: .* line {line}\n  save"):
            index_of(name, folder)
        (folder / file).write_bytes(content)


@pytest.mark.parametrize("file", ["data/variants.txt", "data/images_variant_train.txt"])
def test_the_end_of_a_line_alone_divides_lines(file, root):
    """A form feed or a next-line character in a name does not divide the line."""
    folder = MAKERS["aircraft"](root)
    text = (folder / file).read_text()
    (folder / file).write_text(text.replace("737-200", "737\x0c200").replace("F-16A/B", "F-16\u2028B"))
    with pytest.raises(FgbenchError, match=r"is not in data/variants\.txt|has no image"):
        index_of("aircraft", folder)


def test_the_home_folder_in_environment_variables(root, monkeypatch):
    """`~` in FGBENCH_DATA, FGBENCH_WEIGHTS and FGBENCH_CACHE is the home folder, also where no shell expands it."""
    monkeypatch.setenv("HOME", str(root))
    few_birds(root / "data")
    monkeypatch.setenv("FGBENCH_DATA", "~/data")
    assert datasets["cub"].find() == root / "data/CUB_200_2011"
    assert data_roots()[0] == root / "data"
    monkeypatch.setenv("FGBENCH_DATA", "~/data/CUB_200_2011/")
    assert datasets["cub"].find() == root / "data/CUB_200_2011"
    monkeypatch.setenv("FGBENCH_WEIGHTS", "~/weights")
    assert weight_folders()[0] == root / "weights"
    monkeypatch.setenv("FGBENCH_CACHE", "~/cache")
    assert cache_folder() == root / "cache"


@pytest.mark.parametrize("variable", ["FGBENCH_DATA", "FGBENCH_WEIGHTS", "FGBENCH_CACHE"])
def test_the_home_folder_of_nobody(variable, monkeypatch):
    """The home folder of an unknown user ends in a sentence and not in `RuntimeError`."""
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    for call in {"FGBENCH_DATA": [data_roots], "FGBENCH_WEIGHTS": [weight_folders]}.get(variable, [cache_folder]):
        with pytest.raises(FgbenchError, match="home folder of ~nobody-of-this-name is not known"):
            call()
    assert "Traceback" not in fgbench("list", "data")[1]


def test_the_folder_of_a_copy_on_macos(root):
    """`__MACOSX/CUB_200_2011` beside the data set, from an archive of macOS, is no data set."""
    folder = MAKERS["cub"](root)
    shutil.copytree(folder, root / "__MACOSX" / folder.name)
    shutil.copytree(folder, folder / "__MACOSX" / folder.name)
    assert datasets["cub"].find() == folder
    shutil.rmtree(folder / "images")
    assert not Path(str(datasets["cub"].incomplete_error(folder).hint)).name.startswith("__MACOSX")
    assert "__MACOSX" not in datasets["cub"].incomplete_error(folder).hint
