import hashlib
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from reid_folders import VIPER_PERSONS, image, viper

from fgbench.datasets import obtain, reid_datasets
from fgbench.datasets import viper as viper_module
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return viper(tmp_path_factory.mktemp("viper") / "VIPeR")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / "VIPeR")


def test_reads_persons_and_cameras(official):
    index = viper_module.load(official)
    assert index.identities.tolist() == [*VIPER_PERSONS, *VIPER_PERSONS]
    assert index.cameras.tolist() == [1] * 8 + [2] * 8
    assert index.files[:2] == ("cam_a/000_0.bmp", "cam_a/001_45.bmp")
    assert index.files[8:10] == ("cam_b/000_90.bmp", "cam_b/001_135.bmp")


def test_halves_are_disjoint_and_give_two_splits_each(official):
    index = viper_module.load(official)
    assert [split.name for split in index.splits] == [f"{n}{way}" for n in range(1, 11) for way in "ab"]
    for split in index.splits:
        train_persons, test_persons = (set(index.identities[rows].tolist()) for rows in (split.train, split.query))
        assert len(train_persons) == len(test_persons) == 4
        assert train_persons | test_persons == set(VIPER_PERSONS)
        assert len(split.train) == 8
        assert set(index.cameras[split.train].tolist()) == {1, 2}
        assert index.identities[split.gallery].tolist() == index.identities[split.query].tolist()
        query_camera, gallery_camera = (1, 2) if split.name.endswith("a") else (2, 1)
        assert set(index.cameras[split.query].tolist()) == {query_camera}
        assert set(index.cameras[split.gallery].tolist()) == {gallery_camera}
        assert len(index.unmatched(split)) == 0
    for first, second in zip(index.splits[::2], index.splits[1::2], strict=True):
        assert first.number == second.number
        assert first.train.tolist() == second.train.tolist()
        assert first.query.tolist() == second.gallery.tolist()
        assert first.gallery.tolist() == second.query.tolist()


def test_splits_differ_between_numbers_and_are_equal_between_calls(official, copy):
    one, two = viper_module.load(official), viper_module.load(copy)
    np.random.default_rng(1).random(3)
    assert [s.train.tolist() for s in one.splits] == [s.train.tolist() for s in two.splits]
    assert one.annotation_hashes == two.annotation_hashes
    assert len({tuple(split.train.tolist()) for split in one.splits}) > 7


def test_the_fingerprint_depends_on_the_roles(official):
    index = viper_module.load(official)
    first, second, *rest = index.splits
    other = replace(index, splits=(replace(first, query=first.gallery, gallery=first.query), second, *rest))
    assert other.fingerprint != index.fingerprint
    hashes = index.annotation_hashes
    assert {kind for kind in hashes if other.annotation_hashes[kind] != hashes[kind]} == {"split"}


def test_halves_are_the_published_ones():
    """Every published value depends on these halves."""
    split, _ = viper_module._two_splits(list(range(632)), 1)
    assert len(split.query) == 316
    assert split.query[:6].tolist() == FIRST_QUERIES
    counts = np.zeros(632)
    for number in range(1, 11):
        counts[viper_module._two_splits(list(range(632)), number)[0].query] += 1
    assert abs(counts.std() - np.sqrt(10 / 4)) < 0.2


FIRST_QUERIES = [1, 2, 6, 10, 11, 12]


@pytest.mark.parametrize("camera", ["cam_a", "cam_b"])
def test_an_error_names_a_missing_image_or_folder(copy, camera):
    other = {"cam_a": "cam_b", "cam_b": "cam_a"}[camera]
    lost = next((copy / camera).glob("246_*.bmp"))
    kept = next((copy / other).glob("246_*.bmp"))
    lost.unlink()
    with pytest.raises(FgbenchError, match=f"{other}/{kept.name}: {camera} has no image of person 246"):
        viper_module.load(copy)
    shutil.rmtree(copy / camera)
    with pytest.raises(FgbenchError, match=f"cannot read .*{camera}"):
        viper_module.load(copy)


@pytest.mark.parametrize("name", ["01_90.bmp", "0001_90.bmp", "001.bmp", "001_90.jpg", "x001_90.bmp", "001_.bmp"])
def test_an_error_names_a_malformed_file_name(copy, name):
    image(copy / "cam_b" / name, 1)
    with pytest.raises(FgbenchError, match=f"cam_b/{name}: the file name does not have the form of 000_45.bmp"):
        viper_module.load(copy)


def test_an_error_names_a_second_image_of_a_person_in_a_camera(copy):
    image(copy / "cam_b/001_180.bmp", 1)
    with pytest.raises(FgbenchError, match=r"cam_b/001_180.bmp: person 001 also has 001_135.bmp"):
        viper_module.load(copy)


def test_too_few_persons_are_an_error(copy):
    for path in copy.rglob("*.bmp"):
        if int(path.name[:3]) > 2:
            path.unlink()
    with pytest.raises(FgbenchError, match="3 persons are too few"):
        viper_module.load(copy)


def test_check_lists_corrupt_and_missing_images_and_wrong_counts(copy):
    index = viper_module.load(copy)
    assert check(index).problems == []
    (copy / index.files[2]).write_bytes(b"BM")
    (copy / index.files[9]).unlink()
    assert {(f.kind, f.file) for f in check(index).problems} == {
        ("corrupt", index.files[2]),
        ("missing", index.files[9]),
    }
    problems = check(viper_module.load(viper(copy)), None, viper_module.TABLES, viper_module.COUNTS).problems
    assert ("cam_a and cam_b", "16 images, but the official data have 1264") in {(f.file, f.what) for f in problems}
    assert not any("splits" in f.what or "cameras" in f.what for f in problems)


def test_get_data_downloads_the_official_archive(official, tmp_path, monkeypatch, serve):
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(site / "VIPeR.v1.0.zip", "w") as archive:
        for path in official.rglob("*"):
            archive.write(path, path.relative_to(official.parent))
    known = reid_datasets["viper"]
    assert known.archive.url == "http://users.soe.ucsc.edu/~manduchi/VIPeR.v1.0.zip"
    md5 = hashlib.md5((site / "VIPeR.v1.0.zip").read_bytes(), usedforsecurity=False).hexdigest()
    served = replace(known, archive=replace(known.archive, url=f"{serve(site)}/VIPeR.v1.0.zip", md5=md5))
    monkeypatch.setitem(reid_datasets._objects, "viper", served)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "data"))
    assert obtain.get_data("viper") == tmp_path / "data/VIPeR"
    assert len(served.index()) == 16
