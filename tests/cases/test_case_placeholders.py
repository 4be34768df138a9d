"""Small files in the place of the real ones: pointers of Git LFS and git-annex, and web pages."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from few_birds import few_birds
from stored_records import write_record

from fgbench.backbones.state_dict import read_state
from fgbench.backbones.weight_files import weight_specs
from fgbench.backbones.weights import find_weights
from fgbench.datasets import datasets
from fgbench.datasets.check import check
from fgbench.records.store import Store
from fgbench.runs.outside_network import read_checkpoint
from fgbench.util.errors import FgbenchError
from fgbench.util.matlab_files import read_mat
from fgbench.util.placeholders import placeholder

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 132863336\n"
ANNEX = b"/annex/objects/SHA256E-s132863336--" + b"4d7a" * 16 + b".jpg\n"
PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html><html><title>Quota exceeded</title></html>\n"
PLACEHOLDERS = {
    "lfs": LFS,
    "annex": ANNEX,
    "page": PAGE,
    "latin-1 page": "<html><title>Téléchargement</title>".encode("latin-1"),
    "utf-16 page": "<html><title>Quota</title>".encode("utf-16"),
    "page of XML": b'<?xml version="1.0"?>\n<!-- quota -->\n<!DOCTYPE html PUBLIC ""><html>',
}
WEB = "a web page", "download the file itself"
NAMES = {
    "lfs": ("a pointer of Git LFS", "git lfs pull"),
    "annex": ("a pointer of git-annex", "run in its folder: git annex get ."),
}
each_kind = pytest.mark.parametrize("kind", PLACEHOLDERS)


@contextmanager
def refused(path: Path, kind: str) -> Iterator[None]:
    """Expect an error that says what stands in the place of a file, and what to do."""
    name, step = NAMES.get(kind, WEB)
    with pytest.raises(FgbenchError) as caught:
        yield
    assert str(caught.value.args[0]) == f"{path} is {name}, not the file itself"
    assert step in caught.value.hint


@each_kind
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_weight_file(folders: Path, kind: str, suffix: str) -> None:
    """A repository of weights was cloned without Git LFS, or a browser saved a page of a file host.

    Reports: https://github.com/microsoft/OmniParser/issues/34, https://github.com/pytorch/pytorch/issues/16203
    """
    path = folders / f"test_resnet{suffix}"
    path.write_bytes(PLACEHOLDERS[kind])
    with refused(path, kind):
        read_state(path)
    with refused(path, kind):
        read_checkpoint(path)


@each_kind
def test_a_file_with_a_published_hash_and_a_matlab_file(folders: Path, kind: str) -> None:
    """The file of a network whose size or hash is known."""
    path = folders / weight_specs["vgg16.caffe"].files[0]
    path.write_bytes(PLACEHOLDERS[kind])
    with refused(path, kind):
        find_weights("vgg16", "relu5_3", ("vgg16.caffe",))
    with refused(path, kind):
        read_mat(path)


@each_kind
def test_an_image_and_an_annotation_file(root: Path, kind: str) -> None:
    """A copy of a data set in a repository with large files elsewhere.

    Reports: https://github.com/jinnovation/rainy-image-dataset/issues/2, https://github.com/git-lfs/git-lfs/issues/4830
    """
    few_birds(root)
    index = datasets["cub"].index()
    image = index.root / index.files[0]
    image.write_bytes(PLACEHOLDERS[kind])
    (problem,) = check(index).problems
    assert f"is {NAMES.get(kind, WEB)[0]}, not the file itself" in str(problem)
    lists = index.root / "image_class_labels.txt"
    lists.write_bytes(PLACEHOLDERS[kind])
    with refused(lists, kind):
        datasets["cub"].index()


@each_kind
def test_a_record_and_its_arrays(tmp_path: Path, kind: str) -> None:
    """Records in a repository that keeps arrays in Git LFS."""
    write_record(tmp_path)
    store = Store(tmp_path)
    (record,) = store.records()
    arrays, path = tmp_path / record.outputs, tmp_path / f"{record.run_id}.json"
    arrays.write_bytes(PLACEHOLDERS[kind])
    with refused(arrays, kind):
        store.outputs(record)
    path.write_bytes(PLACEHOLDERS[kind])
    with refused(path, kind):
        store.read(record.run_id)


def test_a_link_of_git_annex_to_a_file_that_is_not_here(root: Path) -> None:
    """git-annex replaces a locked file by a link into its own folder."""
    few_birds(root)
    index = datasets["cub"].index()
    lists, image = index.root / "classes.txt", index.root / index.files[0]
    for path in (lists, image):
        path.unlink()
        path.symlink_to("../.git/annex/objects/a/b/SHA256E-s9--4d7a.txt")
    with refused(lists, "annex"):
        datasets["cub"].index()
    assert check(index).problems[0].what == f"a pointer of git-annex, not the file itself: {NAMES['annex'][1]}"


@pytest.mark.parametrize("content", [b"<htmlx>", b"version 2", b"1 <html>\n", b"<!---->" * 140])
def test_other_files_are_taken_as_they_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert placeholder(path) is None
    assert placeholder(tmp_path) is None
    assert placeholder(tmp_path / "missing") is None
    os.mkfifo(tmp_path / "fifo")
    assert placeholder(tmp_path / "fifo") is None
