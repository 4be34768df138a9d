"""Copies of images: groups with all their members, those in training and test first."""

import shutil

import pytest
from own_folders import fill
from reid_folders import market

from fgbench.cli.data import _print_findings
from fgbench.datasets import cub, find, market1501
from fgbench.datasets.check import CheckResult, FileProblem, check


@pytest.fixture
def copy(birds_folder, tmp_path):
    return shutil.copytree(birds_folder, tmp_path / "CUB_200_2011")


def copies(index):
    """Return problems and notes about copies: (kind, file, what) in their order."""
    result = check(index)
    kinds = {"leak", "label", "duplicate"}
    return tuple(
        [(f.kind, f.file, f.what) for f in found if f.kind in kinds] for found in (result.problems, result.notes)
    )


def test_all_members_of_a_group_of_an_official_data_set_are_listed_with_their_split(copy):
    """Of three equal files only the second was listed, so that the test image was hidden.

    Reported for PlantSeg: #11 (70 groups in training and test), helmet-detection: #29.
    """
    index = cub.load(copy)
    first, second, third = (*index.train.nonzero()[0][:2], (~index.train).nonzero()[0][0])
    names = [index.files[row] for row in (first, second, third)]
    for name in names[1:]:
        shutil.copy(copy / names[0], copy / name)
    problems, notes = copies(cub.load(copy))
    bird = index.classes[0]
    assert problems == []
    what = (
        f"this test image of {bird} has the same bytes as {names[0]} (training, {bird}), {names[1]} (training, {bird})"
    )
    assert notes == [("leak", names[2], what)]


def test_groups_in_training_and_test_are_first_then_groups_of_two_classes(tmp_path):
    """A leak was one line among many copies. Reported for mrdbourke/nutrify: #50, for PlantSeg: #11."""
    root = fill(tmp_path / "leaves", {"train": {"ash": 4, "fern": 1}, "test": {"ash": 3}})
    pairs = (("train/ash/0.png", "train/ash/1.png"), ("train/ash/2.png", "train/fern/0.png"),
             ("train/ash/3.png", "test/ash/2.png"), ("test/ash/0.png", "test/ash/1.png"))  # fmt: skip
    for old, new in pairs:
        shutil.copy(root / old, root / new)
    problems, notes = copies(find(f"imagefolder:{root}").index())
    same = "has the same bytes as"
    assert problems == [
        ("leak", "test/ash/2.png", f"this test image of ash {same} train/ash/3.png (training, ash)"),
        ("label", "train/ash/2.png", f"this training image of ash {same} train/fern/0.png (training, fern)"),
    ]
    assert {(kind, file) for kind, file, _ in notes} == {
        ("duplicate", "train/ash/0.png"),
        ("duplicate", "test/ash/0.png"),
    }


def test_every_leak_is_printed_before_other_notes_also_when_there_are_many(capsys):
    """More than 20 notes of a kind were shortened to three. Reported for PlantSeg: #11, 265 groups."""
    kinds = ("constant", "duplicate", "leak")
    notes = [FileProblem(kind, f"{kind}_{n}.jpg", "same") for kind in kinds for n in range(30)]
    _print_findings(CheckResult(images=90, notes=notes))
    text = capsys.readouterr().out
    assert text.index("notes: leak (30)") < text.index("notes: constant (30)") < text.index("notes: duplicate (30)")
    assert (text.count("leak_"), text.count("duplicate_")) == (30, 3)


def test_leaks_of_persons_name_their_split(tmp_path):
    """A training image in the gallery raises every measure. Reported for CVA-Net: #27 (equal images in two classes)."""
    root = market(tmp_path)
    index = market1501.load(root)
    train, gallery = (index.files[rows[0]] for rows in (index.splits[0].train, index.splits[0].gallery))
    shutil.copy(root / train, root / gallery)
    problems, notes = copies(market1501.load(root))
    assert problems == []
    assert [(kind, file) for kind, file, _ in notes] == [("leak", train)]
