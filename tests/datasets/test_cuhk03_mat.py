import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from cuhk03_folder import write_folder, write_mat
from PIL import Image
from same_process import read_here

from fgbench.datasets import cuhk03, cuhk03_mat
from fgbench.datasets.cuhk03_persons import NAME_PATTERN
from fgbench.util import child_process
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


@pytest.fixture(autouse=True)
def _same_process(monkeypatch):
    read_here(monkeypatch, cuhk03_mat)
    read_here(monkeypatch)


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("cuhk03") / "cuhk03_release")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


def test_images_are_extracted_once_and_then_read_without_h5py(copy, empty_cache, monkeypatch):
    index = cuhk03.load(copy)
    monkeypatch.setitem(sys.modules, "h5py", None)
    again = cuhk03.load(copy)
    assert again.files == index.files
    assert again.fingerprint == index.fingerprint
    shutil.rmtree(cache_folder())
    with pytest.raises(FgbenchError, match=r"cuhk-03.mat needs h5py\n  pip install h5py"):
        cuhk03.load(copy)


def test_a_changed_file_is_extracted_again(copy, official, empty_cache):
    index = cuhk03.load(copy)

    def darken(file):
        image = file[np.asarray(file[file["labeled"][0, 0]])[0, 0]]
        image[...] = 0

    write_mat(copy / "cuhk-03.mat", darken)
    other = cuhk03.load(copy)
    assert other.root != index.root
    assert other.image_hash != index.image_hash
    assert not np.asarray(Image.open(other.root / other.files[0])).any()


DAMAGES = {
    "missing": Path.unlink,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "no UTF-8": lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
    "nested": lambda path: path.write_text("[" * 100_000),
    "null": lambda path: path.write_text("null"),
    "another number": lambda path: path.write_text(path.read_text().replace("3\n", "2\n", 1)),
    "no image": lambda path: next((path.parent / "detected").iterdir()).unlink(),
    "no images": lambda path: shutil.rmtree(path.parent / "labeled"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_in_the_cache_is_set_aside_and_extracted_again(copy, empty_cache, capsys, damage):
    index = cuhk03.load(copy)
    path = index.root / "content.json"
    before = path.read_bytes()
    damage(path)
    again = cuhk03.load(copy)
    assert again.fingerprint == index.fingerprint
    assert path.read_bytes() == before
    assert f"{index.root} is damaged" in capsys.readouterr().err
    assert Path(f"{index.root}.damaged").is_dir()
    assert cuhk03.load(copy).files == index.files
    assert capsys.readouterr().err == ""


def end_process(path, folder):
    signal.raise_signal(signal.SIGSEGV)


def test_a_crash_of_h5py_is_an_error(copy, empty_cache, monkeypatch):
    monkeypatch.setattr(cuhk03_mat, "read_in_child", child_process.read_in_child)
    assert len(cuhk03.load(copy)) > 0
    shutil.rmtree(cache_folder())
    monkeypatch.setattr(cuhk03_mat, "_write_images", end_process)
    with pytest.raises(FgbenchError, match=r"cuhk-03.mat is damaged: reading it ended the process with signal 11"):
        cuhk03.load(copy)
    assert [p for p in (cache_folder() / "data").iterdir() if p.is_dir()] == []


def test_a_failed_extraction_leaves_no_folder(copy, empty_cache, monkeypatch):
    saved = []

    def stop(self, path, *args, **kwargs):
        saved.append(path)
        if len(saved) == 9:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(Image.Image, "save", stop)
    with pytest.raises(FgbenchError, match=r"cannot extract .*cuhk-03.mat into .*: No space left on device"):
        cuhk03.load(copy)
    assert [p for p in (cache_folder() / "data").iterdir() if p.is_dir()] == []
    monkeypatch.undo()


def test_an_error_names_a_missing_or_damaged_file(copy, empty_cache):
    path = copy / "cuhk-03.mat"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(FgbenchError, match=r"cannot read .*cuhk-03.mat"):
        cuhk03.load(copy)
    random = np.random.default_rng(0)
    for length in [0, 100, *random.integers(0, len(whole) - 1, 12)]:
        path.write_bytes(whole[:length])
        with pytest.raises(FgbenchError, match=r"cuhk-03.mat"):
            cuhk03.load(copy)
    path.write_bytes(b"<html>" * 500)
    with pytest.raises(FgbenchError, match=r"cuhk-03.mat is damaged or not a MATLAB 7.3 file"):
        cuhk03.load(copy)
    assert [p for p in (cache_folder() / "data").iterdir() if p.is_dir()] == []


def replace_cell(file, array):
    table = file[file["labeled"][0, 1]]
    table[2, 1] = file["#refs#"].create_dataset("other", data=array).ref


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("testsets"), "testsets is damaged"),
        (lambda f: f.__delitem__("detected"), "detected is damaged"),
        (lambda f: replace_cell(f, np.zeros((3, 9, 9))), "labeled is damaged .* 2_002_1_03.png has type float64"),
        (lambda f: replace_cell(f, np.zeros((4, 9, 9), np.uint8)), "2_002_1_03.png has type uint8 and shape"),
        (lambda f: f["testsets"].__setitem__((0, 0), f["labeled"][0, 0]), "testsets is damaged"),
        (
            lambda f: f[f["testsets"][0, 1]].__setitem__((1, 0), 5),
            "person 5 of camera pair 1, who has no image",
        ),
        (lambda f: f[f["testsets"][0, 0]].__setitem__((1, 1), 1), "test set 1 contains a person twice"),
        (lambda f: f["labeled"].__setitem__((0, 0), f["testsets"][0, 0]), "labeled is damaged"),
        (lambda f: f["labeled"].__setitem__((0, 0), f[f["labeled"][0, 1]][0, 0]), "labeled is damaged"),
    ],
)
def test_an_error_names_a_variable_with_another_structure(copy, empty_cache, change, message):
    write_mat(copy / "cuhk-03.mat", change)
    with pytest.raises(FgbenchError, match=f"cuhk-03.mat: .*({message})"):
        cuhk03.load(copy)


def test_the_index_can_parse_the_names_of_extracted_images(official):
    _, content = cuhk03_mat.extract_images(official / cuhk03_mat.MAT)
    assert all(NAME_PATTERN.fullmatch(name) for names in content.files.values() for name in names)
    assert NAME_PATTERN.fullmatch("1_843_2_10.png")
