import shutil

import numpy as np
import pytest
from reid_folders import MARKET, image, market

from fgbench.cli import data
from fgbench.datasets import find, image_hash, market1501, obtain, reid_datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return market(tmp_path_factory.mktemp("market") / market1501.FOLDER)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


def names(index, rows):
    return [index.files[row] for row in rows]


def test_reads_identities_cameras_and_roles_from_file_names(official):
    index = market1501.load(official)
    split = index.split()
    assert len(index) == 16
    assert index.splits == (split,)
    assert split.name == "official"
    for rows, folder in ((split.train, "bounding_box_train"), (split.query, "query")):
        assert names(index, rows) == [f"{folder}/{name}" for name in MARKET[folder]]
    assert index.identities[split.train].tolist() == [2, 2, 7, 7, 7]
    assert index.cameras[split.train].tolist() == [1, 2, 3, 6, 6]
    assert index.identities[split.query].tolist() == [1, 1, 3]
    assert index.cameras[split.query].tolist() == [1, 2, 4]


def test_the_gallery_contains_distractors_but_no_junk(official):
    index = market1501.load(official)
    split = index.split()
    kept = [name for name in MARKET["bounding_box_test"] if not name.startswith("-1")]
    assert names(index, split.gallery) == [f"bounding_box_test/{name}" for name in kept]
    assert index.identities[split.gallery].tolist() == [0, 1, 1, 1, 3, 3]
    assert index.cameras[split.gallery].tolist() == [1, 1, 2, 3, 1, 4]
    junk = np.flatnonzero(index.identities == -1)
    assert index.cameras[junk].tolist() == [1, 5]
    assert index.counts["junk"] == 2
    assert index.counts["gallery"] == 6


def test_counts(official):
    assert market1501.load(official).counts == {
        "images": 16, "train": 5, "query": 3, "gallery": 6, "junk": 2, "train_identities": 2, "test_identities": 2,
        "cameras": 6, "splits": 1,
    }  # fmt: skip
    assert market1501.COUNTS["gallery"] + market1501.COUNTS["junk"] == 19732


def test_training_images_have_labels_from_0_and_test_images_have_no_labels(official):
    index = market1501.load(official)
    split = index.split()
    training = index.training(split)
    assert training.labels.tolist() == [0, 0, 1, 1, 1]
    assert training.classes == ("2", "7")
    assert training.train.all()
    test_images = index.images(split.gallery)
    assert test_images.files == tuple(names(index, split.gallery))
    assert test_images.ids.tolist() == split.gallery.tolist()
    assert not test_images.labels.any()
    assert test_images.classes == ()
    assert not test_images.train.any()


def test_the_fingerprint_depends_on_names_roles_and_bytes(official, copy):
    index = market1501.load(official)
    assert market1501.load(copy).fingerprint == index.fingerprint
    image(copy / "query" / MARKET["query"][0], 999)
    other = market1501.load(copy)
    assert other.annotation_hashes == index.annotation_hashes
    assert other.image_hash != index.image_hash
    assert other.fingerprint != index.fingerprint
    (copy / "bounding_box_test" / MARKET["bounding_box_test"][-1]).rename(
        copy / "bounding_box_test/0003_c5s6_015641_03.jpg"
    )
    changed = market1501.load(copy).annotation_hashes
    assert {kind for kind in changed if changed[kind] != index.annotation_hashes[kind]} == {"images", "cameras"}


def test_unchanged_images_are_not_read_again(copy, monkeypatch):
    first = market1501.load(copy).image_hash
    read = []
    monkeypatch.setattr(image_hash, "SAMPLE", 0)
    hash_file = image_hash.hash_file
    monkeypatch.setattr(image_hash, "hash_file", lambda path: read.append(path.name) or hash_file(path))
    assert market1501.load(copy).image_hash == first
    assert read == []
    image(copy / "query" / MARKET["query"][1], 998)
    assert market1501.load(copy).image_hash != first
    assert read == [MARKET["query"][1]]


def test_an_error_names_a_missing_image(copy):
    index = market1501.load(copy)
    (copy / index.files[5]).unlink()
    with pytest.raises(FgbenchError, match=rf"1 of 16 images of market1501 are missing in .* {index.files[5]}"):
        assert index.image_hash


@pytest.mark.parametrize("folder", list(MARKET))
def test_an_error_names_a_missing_or_empty_folder(copy, folder):
    for path in (copy / folder).glob("*.jpg"):
        path.unlink()
    with pytest.raises(FgbenchError, match=f"{folder} contains no image"):
        market1501.load(copy)
    shutil.rmtree(copy / folder)
    with pytest.raises(FgbenchError, match=f"cannot read .*{folder}"):
        market1501.load(copy)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("002_c1s1_000451_03.jpg", "the file name does not have the form of"),
        ("0002_c7s1_000451_03.jpg", "the file name does not have the form of"),
        ("0002_c0s1_000451_03.jpg", "the file name does not have the form of"),
        ("0002_c1s1_000451_03.png", "the file name does not have the form of"),
        ("-2_c1s1_000451_03.jpg", "the file name does not have the form of"),
        ("0002c1s1_000451_03.jpg", "the file name does not have the form of"),
        ("a0002_c1s1_000451_03.jpg", "the file name does not have the form of"),
        ("0000_c1s1_000451_03.jpg", "only bounding_box_test may contain distractors"),
        ("-1_c1s1_000451_03.jpg", "only bounding_box_test may contain distractors"),
    ],
)
@pytest.mark.parametrize("folder", ["bounding_box_train", "query"])
def test_an_error_names_a_malformed_file_name(copy, folder, name, message):
    image(copy / folder / name, 1)
    with pytest.raises(FgbenchError, match=f"{folder}/{name}: {message}"):
        market1501.load(copy)


@pytest.mark.parametrize("folder", ["query", "bounding_box_test"])
def test_an_error_names_a_person_in_training_and_test(copy, folder):
    image(copy / folder / "0007_c1s1_000451_01.jpg", 1)
    with pytest.raises(FgbenchError, match=r"person 7 of the training image bounding_box_train/0007_c3s3_077419_02"):
        market1501.load(copy)


def test_check_lists_missing_corrupt_and_extra_images(copy):
    index = market1501.load(copy)
    complete = check(index)
    assert complete.problems == complete.notes == []
    assert complete.images == 16
    (copy / index.files[0]).unlink()
    (copy / index.files[6]).write_bytes(b"no image")
    cut = (copy / index.files[7]).read_bytes()
    (copy / index.files[7]).write_bytes(cut[: len(cut) // 2])
    image(copy / "query/0001_c3s1_000301_00.jpg", 7)
    assert {(f.kind, f.file) for f in check(index).problems} == {
        ("missing", index.files[0]),
        ("corrupt", index.files[6]),
        ("corrupt", index.files[7]),
        ("extra", "query/0001_c3s1_000301_00.jpg"),
    }


def test_check_compares_counts_with_the_official_ones(official):
    problems = check(market1501.load(official), None, market1501.TABLES, market1501.COUNTS).problems
    assert {(f.file, f.what) for f in problems} >= {
        ("bounding_box_train", "5 training images, but the official data have 12936"),
        ("bounding_box_train", "2 persons for training, but the official data have 751"),
        ("query", "3 queries, but the official data have 3368"),
        ("bounding_box_test", "2 junk images, but the official data have 3819"),
    }
    assert not any("cameras" in f.what for f in problems)


def test_check_reports_a_missing_camera(copy):
    (copy / "bounding_box_test" / MARKET["bounding_box_test"][1]).unlink()
    problems = check(market1501.load(copy), None, market1501.TABLES, market1501.COUNTS).problems
    assert ("bounding_box_test", "5 cameras, but the official data have 6") in {(f.file, f.what) for f in problems}


def test_check_notes_queries_without_a_match_by_another_camera(copy):
    index = market1501.load(copy)
    assert index.unmatched(index.split()).tolist() == []
    (copy / "bounding_box_test/0003_c1s6_015641_01.jpg").unlink()
    index = market1501.load(copy)
    assert names(index, index.unmatched(index.split())) == ["query/0003_c4s6_015641_00.jpg"]
    assert [(f.kind, f.file) for f in check(index).notes] == [("unmatched", "query/0003_c4s6_015641_00.jpg")]


def test_an_unknown_split_suggests_a_known_one(official):
    with pytest.raises(FgbenchError, match="no split named 'oficial'; did you mean 'official'"):
        market1501.load(official).split("oficial")


def test_get_data_explains_how_to_install_the_files_by_hand(copy, tmp_path, monkeypatch):
    place = tmp_path / "elsewhere"
    monkeypatch.setenv("FGBENCH_DATA", str(place))
    with pytest.raises(FgbenchError) as caught:
        obtain.get_data("market1501")
    text = str(caught.value)
    for part in (market1501.PAGE, str(place / market1501.FOLDER), "fgbench data check market1501", *market1501.FILES):
        assert part in text
    assert not place.exists()
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert obtain.get_data("market1501") == copy
    assert len(find("market1501").index()) == 16
    assert find("market1501") is reid_datasets["market1501"]


def test_the_command_prints_the_check(copy, monkeypatch, capsys):
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert data.check_data("market1501") is False
    text = capsys.readouterr().out
    assert "bounding_box_train" in text
    assert "3 queries" in text
