"""Data sets in the layouts in which people have them: read as the official one, or named with one move."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from aircraft_folder import write_aircraft
from cars_folder import NAMES, annotations, write, write_cars
from cuhk03_folder import write_folder
from few_birds import few_birds
from pictures import photo
from reid_folders import market, viper
from same_process import read_here
from scipy.io import loadmat, savemat

from fgbench.cli import data
from fgbench.datasets import cuhk03_mat, datasets, reid_datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError, MissingError


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An empty folder that FGBENCH_DATA names."""
    read_here(monkeypatch)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / ".cache"))
    return tmp_path


def nest(folder):
    """Put the content of a folder into a folder of the same name in it."""
    outer = folder.with_name("outer")
    outer.mkdir()
    folder.rename(outer / folder.name)
    outer.rename(folder)


def write_each(root):
    """Write a small data set of each kind; return the folder of each by name of the data set."""
    few_birds(root)
    return {
        "cub": root / "CUB_200_2011",
        "aircraft": write_aircraft(root / "fgvc-aircraft-2013b"),
        "cars": write_cars(root / "stanford_cars"),
        "market1501": market(root / "Market-1501-v15.09.15"),
        "viper": viper(root / "VIPeR"),
        "cuhk03": write_folder(root / "cuhk03_release"),
    }


def index_of(name):
    """Find and read a data set, and hash its images."""
    index = (datasets if name in datasets else reid_datasets)[name].index()
    assert index.fingerprint
    return index


def move_as_told(error):
    """Run the command of an error, which is one `mv`."""
    assert error.hint.startswith(("mv ", "mkdir -p ")), error.hint
    subprocess.run(error.hint, shell=True, check=True)


@pytest.mark.parametrize("name", ["cub", "aircraft", "cars", "market1501", "viper", "cuhk03"])
def test_a_folder_of_the_same_name_inside(name, root):
    """An archive is unpacked in a folder of its own name: `CUB_200_2011/CUB_200_2011/images.txt`."""
    folder = write_each(root)[name]
    before = index_of(name)
    nest(folder)
    assert index_of(name).fingerprint == before.fingerprint


@pytest.mark.parametrize("name", ["cub", "aircraft", "cars", "market1501", "viper", "cuhk03"])
@pytest.mark.parametrize("how", ["itself", "renamed", "link", "dot"])
def test_fgbench_data_is_the_folder_of_the_data_set(name, how, root, monkeypatch):
    """FGBENCH_DATA names the folder of the data set and not its parent, also under another name."""
    folder = write_each(root)[name]
    before = index_of(name).fingerprint
    if how == "renamed":
        folder = folder.rename(root / "my images")
    if how == "link":
        link = root / "link"
        link.symlink_to(folder)
        folder = link
    if how == "dot":
        monkeypatch.chdir(folder)
        folder = "."
    monkeypatch.setenv("FGBENCH_DATA", str(folder))
    assert index_of(name).fingerprint == before


def test_nabirds_are_not_taken_for_cub(root, monkeypatch, birds_folder):
    """CUB-200-2011 and NABirds have files of the same names, which differ in the ids of images.txt."""
    from nabirds_folder import write_nabirds

    folder = write_nabirds(birds_folder, root / "birds")
    monkeypatch.setenv("FGBENCH_DATA", str(folder))
    assert index_of("nabirds").name == "nabirds"
    with pytest.raises(MissingError, match="CUB-200-2011 is not on this machine"):
        index_of("cub")


@pytest.mark.parametrize("name", ["cub", "market1501"])
def test_a_folder_with_another_name_is_told_the_move(name, root):
    """The folder of the data set has another name, such as `birds`: it is named with the move that mends it."""
    folder = write_each(root)[name]
    before = index_of(name).fingerprint
    folder.rename(root / "my images")
    with pytest.raises(MissingError, match=r"not on this machine .*\n  mv ") as caught:
        index_of(name)
    move_as_told(caught.value)
    assert index_of(name).fingerprint == before


@pytest.mark.parametrize(
    ("name", "inner"),
    [("cub", "data"), ("cub", "a b/c"), ("aircraft", "v1"), ("market1501", "pytorch files"), ("viper", "VIPeR.v1.0")],
)
def test_files_one_folder_too_deep_are_told_the_move(name, inner, root):
    """All files are in a folder of another name inside: the error is the one move, not `data get`."""
    folder = write_each(root)[name]
    before = index_of(name).fingerprint
    (root / "aside").mkdir()
    folder.rename(root / "aside/all")
    (folder / inner).parent.mkdir(parents=True)
    (root / "aside/all").rename(folder / inner)
    with pytest.raises(MissingError, match="or not all of it") as caught:
        index_of(name)
    move_as_told(caught.value)
    assert index_of(name).fingerprint == before


def test_one_misplaced_folder_is_told_the_move(root):
    """One folder of the data set is elsewhere in it: `variants.txt` beside `data`."""
    folder = write_each(root)["aircraft"]
    before = index_of("aircraft").fingerprint
    (folder / "data/variants.txt").rename(folder / "variants.txt")
    with pytest.raises(MissingError, match=r"it has no data/variants\.txt") as caught:
        index_of("aircraft")
    move_as_told(caught.value)
    assert index_of("aircraft").fingerprint == before


@pytest.mark.parametrize("needed", ["aircraft", "cars"])
def test_folders_whose_common_folder_is_missing_or_too_many(needed, root):
    """FGVC-Aircraft without the folder `data`, and Stanford Cars with its images in a folder `images`."""
    folder = write_each(root)[needed]
    before = index_of(needed).fingerprint
    if needed == "aircraft":
        for path in list((folder / "data").iterdir()):
            path.rename(folder / path.name)
        (folder / "data").rmdir()
    else:
        (folder / "images").mkdir()
        for name in ("cars_train", "cars_test"):
            (folder / name).rename(folder / "images" / name)
    with pytest.raises(FgbenchError) as caught:
        index_of(needed)
    subprocess.run(caught.value.hint, shell=True, check=True)
    assert caught.value.hint.startswith("mv ")
    assert index_of(needed).fingerprint == before


def test_an_empty_folder_of_the_official_name_does_not_hide_the_files(root):
    """The folder was made by hand, and the files are in another one."""
    folder = write_each(root)["cub"]
    before = index_of("cub").fingerprint
    folder.rename(root / "birds")
    folder.mkdir()
    with pytest.raises(MissingError, match="not on this machine") as caught:
        index_of("cub")
    assert caught.value.hint.startswith("rmdir ")
    subprocess.run(caught.value.hint, shell=True, check=True)
    assert index_of("cub").fingerprint == before


def test_cub_without_parts_boxes_and_attributes(root, capsys):
    """Copies of CUB-200-2011 without `parts`, `bounding_boxes.txt` or `attributes` serve methods that need none."""
    folder = write_each(root)["cub"]
    before = index_of("cub")
    shutil.rmtree(folder / "parts")
    (folder / "bounding_boxes.txt").unlink()
    index = index_of("cub")
    assert index.parts is None
    assert index.boxes is None
    assert index.part_names == ()
    kept = ("images", "classes", "labels", "split")
    assert {kind: before.annotation_hashes[kind] for kind in kept} == index.annotation_hashes
    data.check_data("cub")
    printed = " ".join(capsys.readouterr().out.split())
    assert "bounding_boxes.txt" in printed
    assert "missing: recipes that need boxes cannot run" in printed


def test_recipes_that_need_missing_annotations_are_blocked(root):
    """A recipe that needs boxes or keypoints is blocked and names the file; the others are planned."""
    from fgbench.papers.recipes import load_recipes
    from fgbench.runs.needed_annotations import check_annotations

    folder = write_each(root)["cub"]
    shutil.rmtree(folder / "parts")
    index = index_of("cub")
    recipes = [recipe for recipe in load_recipes().values() if recipe.settings.data == "cub"]
    needing = [recipe for recipe in recipes if "parts" in (*recipe.train, *recipe.test)]
    assert 0 < len(needing) < len(recipes)
    for recipe in recipes:
        if recipe not in needing:
            check_annotations(index, recipe, recipe.settings, "CUB", datasets["cub"].tables)
            continue
        with pytest.raises(MissingError, match=f"{folder} has no keypoints: parts/part_locs.txt is missing") as caught:
            check_annotations(index, recipe, recipe.settings, "CUB", datasets["cub"].tables)
        assert caught.value.what == "data"
        assert caught.value.hint == f"put parts/part_locs.txt of the official data set into {folder}"


@pytest.mark.parametrize("lost", ["images", "lists", "both"])
def test_aircraft_without_suffixes(lost, root):
    """Files of FGVC-Aircraft have lost their suffix: `data/images/0034309` and `data/variants`."""
    folder = write_each(root)["aircraft"]
    before = index_of("aircraft")
    for path in [*folder.rglob("*.jpg")] if lost != "lists" else []:
        path.rename(path.with_suffix(""))
    for path in [*folder.rglob("*.txt")] if lost != "images" else []:
        path.rename(path.with_suffix(""))
    index = index_of("aircraft")
    assert index.files == before.files
    assert index.fingerprint == before.fingerprint
    assert check(index).problems == []


@pytest.mark.parametrize("place", [".", "devkit/devkit", "car_devkit/devkit"])
def test_cars_with_annotations_elsewhere(place, root):
    """Annotations of Stanford Cars are in the folder itself or in the folder of the copy on Kaggle.

    https://github.com/pytorch/vision/issues/7545 describes these copies.
    """
    folder = write_each(root)["cars"]
    before = index_of("cars").fingerprint
    (folder / "devkit").rename(root / "kit")
    (folder / place).mkdir(parents=True, exist_ok=True)
    for path in [*(root / "kit").iterdir(), folder / "cars_test_annos_withlabels.mat"]:
        path.rename(folder / place / path.name)
    assert index_of("cars").fingerprint == before


def test_cars_with_labels_of_the_test_images_in_the_devkit(root):
    """`cars_test_annos_withlabels.mat` is beside the other annotations; people ask where it belongs.

    https://github.com/JiazuoYu/MoE-Adapters4CL/issues/23
    """
    folder = write_each(root)["cars"]
    before = index_of("cars").fingerprint
    file = "cars_test_annos_withlabels.mat"
    (folder / file).rename(folder / "devkit" / file)
    assert index_of("cars").fingerprint == before


def test_cars_with_a_renamed_file_without_labels(root):
    """`cars_test_annos.mat` under the name of the file with classes: its advice named the file itself."""
    folder = write_each(root)["cars"]
    shutil.copy(folder / "devkit/cars_test_annos.mat", folder / "cars_test_annos_withlabels.mat")
    with pytest.raises(FgbenchError, match="have no field class") as caught:
        index_of("cars")
    assert caught.value.hint == "get the official cars_test_annos_withlabels.mat; it is not cars_test_annos.mat"


def test_cars_with_nested_folders_of_images(root):
    """`cars_train/cars_train/00001.jpg`, as the archive of Kaggle has it.

    https://github.com/pytorch/vision/issues/7545 tells readers to remove the inner folders.
    """
    folder = write_each(root)["cars"]
    before = index_of("cars")
    nest(folder / "cars_train")
    nest(folder / "cars_test")
    index = index_of("cars")
    assert index.files == before.files
    assert index.fingerprint == before.fingerprint
    assert check(index).problems == []
    assert index.select(np.arange(2)).path(index.files[0]) == folder / "cars_train/cars_train/00001.jpg"


def write_joined(folder, *, change=lambda rows: rows):
    """Write the edition with all images in one folder; its rows are in another order."""
    rows = []
    for number, (split, row) in enumerate(
        sorted(((s, r) for s in ("train", "test") for r in annotations(s)), key=lambda pair: pair[1]["class"]), 1
    ):
        path = f"car_ims/{number:06d}.jpg"
        photo(folder / path, (48, 40), number)
        rows.append({**row, "relative_im_path": path, "test": int(split == "test")})
    fields = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
    write(folder / "cars_annos.mat", change(rows), fields=fields)
    content = loadmat(folder / "cars_annos.mat")
    cell = np.empty((1, len(NAMES)), dtype=object)
    cell[0] = NAMES
    variables = {"annotations": content["annotations"], "class_names": cell}
    savemat(folder / "cars_annos.mat", variables)
    return folder


def test_cars_in_one_folder(root):
    """`cars_annos.mat` with `car_ims/`, the edition that many programs for fine-grained recognition read.

    https://github.com/JDAI-CV/DCL/issues/37 and https://github.com/raoyongming/CAL/issues/5
    """
    official = write_cars(root / "official/stanford_cars")
    write_joined(root / "stanford_cars")
    index = index_of("cars")
    assert index.counts == datasets["cars"].read(official).counts
    assert index.classes == NAMES
    assert index.files[0] == "car_ims/000001.jpg"
    assert index.labels.tolist() == sorted(index.labels)
    assert check(index).problems == []
    # The order of the images is not that of the official files, which is told.
    assert {p.file for p in check(index, datasets["cars"].official, datasets["cars"].tables).problems}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("test", 2, r"cars_annos.mat, annotation 3 \(car_ims/000003.jpg\): test is 2, not 1"),
        ("relative_im_path", "000003.jpg", r"annotation 3 \(000003.jpg\): '000003.jpg' is not a file name"),
    ],
)
def test_a_wrong_row_of_cars_in_one_folder_is_named(field, value, message, root):
    """A damaged row of `cars_annos.mat` is named."""
    write_joined(root / "stanford_cars", change=lambda rows: [*rows[:2], {**rows[2], field: value}, *rows[3:]])
    with pytest.raises(FgbenchError, match=message):
        index_of("cars")


def write_extracted(release, folder):
    """Write images and splits as torchreid does from `cuhk-03.mat`, with paths of another machine."""
    for boxes in cuhk03_mat.BOXES:
        index = reid_datasets["cuhk03" if boxes == "labeled" else "cuhk03_detected"].read(release)
        shutil.copytree(index.root / boxes, folder / f"images_{boxes}")

        def rows(part, index=index, boxes=boxes):
            names = [index.files[row].partition("/")[2] for row in part]
            return [[f"D:\\data/cuhk03/images_{boxes}\\{name}", 0, int(name[6]) - 1] for name in names]

        splits = [
            {role: rows(getattr(split, role)) for role in ("train", "query", "gallery")} for split in index.splits
        ]
        (folder / f"splits_classic_{boxes}.json").write_text(json.dumps(splits[:-1]))
        (folder / f"splits_new_{boxes}.json").write_text(json.dumps(splits[-1:]))


@pytest.mark.parametrize("name", ["cuhk03", "cuhk03_detected"])
@pytest.mark.parametrize("place", ["cuhk03", "cuhk03_release"])
def test_cuhk03_as_torchreid_leaves_it(name, place, root):
    """CUHK03 as `images_labeled/` with splits in JSON files, without `cuhk-03.mat`.

    https://github.com/JDAI-CV/fast-reid/issues/249 asks for these files.
    """
    release = write_folder(root / "official/cuhk03_release")
    before = reid_datasets[name].read(release)
    write_extracted(release, root / place)
    index = index_of(name)
    assert index.annotation_hashes == before.annotation_hashes
    assert index.fingerprint == before.fingerprint
    assert [split.name for split in index.splits][-1] == "767/700"
    assert index.images(np.arange(2)).path(index.files[0]).is_file()
    assert check(index).problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "splits_classic_labeled.json is not a list of splits"),
        ('[{"query": [["x.png", 0]]}]', "query of split 1 is not a list of image, person and camera"),
        ('[{"query": [["x.png", 0, 1]]}]', "split 1 has no query, or one whose name is not like 1_001_1_01.png"),
        ('[{"query": [["5_999_1_01.png", 0, 1]]}]', "test set 1 contains person 999 of camera pair 5, who has no"),
        ("[", "splits_classic_labeled.json"),
    ],
)
def test_a_wrong_split_of_torchreid_is_named(text, message, root):
    """A damaged file of splits is named."""
    write_extracted(write_folder(root / "official/cuhk03_release"), root / "cuhk03")
    (root / "cuhk03/splits_classic_labeled.json").write_text(text)
    with pytest.raises(FgbenchError, match=message):
        index_of("cuhk03")


def test_cuhk03_with_its_protocol_beside_the_folder(root):
    """`cuhk03_new_protocol_config_labeled.mat` is beside `cuhk03_release`, in the folder `cuhk03` of torchreid.

    https://github.com/JDAI-CV/fast-reid/issues/14 and https://github.com/bismex/MetaBIN/issues/13
    """
    folder = write_folder(root / "cuhk03/cuhk03_release")
    before = reid_datasets["cuhk03"].read(folder).fingerprint
    for path in folder.glob("*config*"):
        path.rename(folder.parent / path.name)
    assert index_of("cuhk03").fingerprint == before
    assert index_of("cuhk03").splits[-1].name == "767/700"


def test_a_grey_cell_of_cuhk03(root):
    """A grey cell of `cuhk-03.mat` was left out without a word; it is read as three equal channels."""
    import h5py
    from PIL import Image

    folder = write_folder(root / "cuhk03_release")
    grey = np.arange(20 * 12, dtype=np.uint8).reshape(20, 12)
    with h5py.File(folder / "cuhk-03.mat", "r+") as file:
        person = file[file["labeled"][0, 0]]
        file["#refs#"].create_dataset("grey", data=grey.T)
        person[0, 0] = file["#refs#/grey"].ref
    index = index_of("cuhk03")
    assert "labeled/1_001_1_01.png" in index.files
    with Image.open(index.path("labeled/1_001_1_01.png")) as image:
        assert (np.asarray(image) == grey[..., None]).all()
        assert image.mode == "RGB"


def test_the_cells_that_are_empty_without_a_mark_are_left_out(root):
    """An empty cell is no grey image: it holds its shape, two numbers of 64 bits."""
    import h5py

    folder = write_folder(root / "cuhk03_release")
    before = index_of("cuhk03").files
    with h5py.File(folder / "cuhk-03.mat", "r+") as file:
        for entry in file["#refs#"].values():
            if "MATLAB_empty" in entry.attrs:
                del entry.attrs["MATLAB_empty"]
    os.utime(folder / "cuhk-03.mat", (1, 1))
    assert index_of("cuhk03").files == before


def test_a_copy_of_an_image_of_a_person_is_named_with_what_to_do(root):
    """A browser or a file manager names a copy `… (1).jpg`; the official file is in its place."""
    folder = write_each(root)["market1501"]
    image = next((folder / "query").glob("*.jpg"))
    shutil.copy(image, image.with_stem(f"{image.stem} (1)"))
    with pytest.raises(FgbenchError, match=r"\(1\)\.jpg: the file name does not have the form") as caught:
        index_of("market1501")
    assert "move it to another folder" in caught.value.hint


def test_other_persons_are_not_taken_for_market(root, monkeypatch):
    """DukeMTMC-reID has folders of the same names as Market-1501, and images of other names."""
    folder = write_each(root)["market1501"].rename(root / "DukeMTMC-reID")
    for path in folder.rglob("*.jpg"):
        path.rename(path.with_name(path.name.replace("s1_", "_f").replace("s", "_")))
    monkeypatch.setenv("FGBENCH_DATA", str(folder))
    with pytest.raises(MissingError, match="Market-1501 is not on this machine"):
        index_of("market1501")
