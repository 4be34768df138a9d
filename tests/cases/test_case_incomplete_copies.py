"""Copies of data sets in which files are missing or have lost their suffix: read as far as they go."""

import shutil

import pytest
from folders_as_found import index_of, move_as_told, write_each

from fgbench.cli import data
from fgbench.datasets import datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError, MissingError

pytestmark = pytest.mark.usefixtures("root")


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
    (folder / "parts").mkdir()  # empty but for a file of the system, as after an interrupted copy
    (folder / "parts/.DS_Store").touch()
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
    (folder / "part_locs.txt").write_text("elsewhere", encoding="utf-8")
    with pytest.raises(MissingError) as caught:
        check_annotations(index, needing[0], needing[0].settings, "CUB", datasets["cub"].tables)
    move_as_told(caught.value)
    assert (folder / "parts/part_locs.txt").is_file()


def test_aircraft_without_boxes_and_with_its_training_split_in_two_files(root):
    """Copies of FGVC-Aircraft without `images_box.txt` or `images_variant_trainval.txt`."""
    folder = write_each(root)["aircraft"]
    before = index_of("aircraft")
    (folder / "data/images_box.txt").unlink()
    (folder / "data/images_variant_trainval.txt").unlink()
    index = index_of("aircraft")
    assert index.boxes is None
    assert index.counts == before.counts
    labels, labels_before = (dict(zip(i.files, i.labels, strict=True)) for i in (index, before))
    assert labels == labels_before
    assert set(index.annotation_hashes) < set(before.annotation_hashes)
    assert index.classes == before.classes
    (folder / "data/images_variant_val.txt").unlink()
    with pytest.raises(FgbenchError, match=r"images_variant_trainval\.txt: No such file"):
        index_of("aircraft")


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
