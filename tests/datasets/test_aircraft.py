import hashlib
import shutil
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from aircraft_folder import SIZE, SPLITS, VARIANTS, write_aircraft
from pictures import photo
from PIL import Image

from fgbench.cli import data
from fgbench.datasets import aircraft, datasets, obtain
from fgbench.datasets.check import check
from fgbench.papers.recipes import load_recipes
from fgbench.runs.data_deviations import data_deviations
from fgbench.util.errors import FgbenchError, MissingError


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return write_aircraft(tmp_path_factory.mktemp("aircraft") / "fgvc-aircraft-2013b")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


def first_line(copy, file="data/images_variant_train.txt"):
    """The id in the first line of a file, and the rest of this line."""
    return (copy / file).read_text().splitlines()[0].split(" ", 1)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_reads_labels_split_and_boxes(official):
    index = aircraft.load(official)
    assert index.counts == {"train": 15, "test": 10, "classes": 5}
    assert index.classes == VARIANTS
    assert np.bincount(index.labels).tolist() == [5] * 5
    assert np.bincount(index.labels[index.train]).tolist() == [3] * 5
    assert index.parts is None
    test_variants = dict(
        line.split(" ", 1) for line in (official / "data/images_variant_test.txt").read_text().splitlines()
    )
    for file, label, train in zip(index.files, index.labels, index.train, strict=True):
        name = file.removeprefix("data/images/").removesuffix(".jpg")
        assert len(name) == 7
        assert train == (name not in test_variants)
        assert train or VARIANTS[label] == test_variants[name]
    corners = {
        int(number): [float(value) for value in values]
        for number, *values in map(str.split, (official / "data/images_box.txt").read_text().splitlines())
    }
    for number, (x, y, width, height) in zip(index.ids.tolist(), index.boxes.tolist(), strict=True):
        assert [x + 1, y + 1, x + width, y + height] == corners[number]


def test_the_box_of_a_whole_image_is_its_size(copy):
    number, box = first_line(copy, "data/images_box.txt")
    edit(copy / "data/images_box.txt", f"{number} {box}", f"{number} 1 1 {SIZE[0]} {SIZE[1]}")
    index = aircraft.load(copy)
    assert index.boxes[index.ids == int(number)].tolist() == [[0, 0, *SIZE]]


def test_agrees_with_torchvision(official):
    import fgbench.util.torch_compat  # noqa: F401, I001 - before torchvision
    from torchvision.datasets import FGVCAircraft

    index = aircraft.load(official)
    for split, rows in (("trainval", index.train), ("test", ~index.train)):
        reference = FGVCAircraft(official.parent, split=split)
        selected = index.select(rows)
        assert tuple(reference.classes) == selected.classes
        assert reference._labels == selected.labels.tolist()
        assert reference._image_files == [str(official / file) for file in selected.files]


def test_check_of_a_complete_data_set_has_no_problems(official):
    health = check(aircraft.load(official), tables=aircraft.TABLES)
    assert health.problems == []
    assert health.notes == []


@pytest.mark.parametrize("file", ["variants.txt", *(f"images_variant_{s}.txt" for s in SPLITS)])
def test_an_error_names_a_missing_or_empty_file(copy, file):
    path = copy / "data" / file
    path.write_text("")
    with pytest.raises(FgbenchError, match=file):
        aircraft.load(copy)
    path.unlink()
    with pytest.raises(FgbenchError, match=rf"cannot read \S*/data/{file}: No such file"):
        aircraft.load(copy)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(FgbenchError, match=f"{file} is not a text file"):
        aircraft.load(copy)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("images_variant_trainval.txt", "{id} {rest}", "{id}", "trainval.txt, line 1: 1 field instead of 2"),
        ("images_variant_trainval.txt", "{id}", "x", "trainval.txt, line 1: .*'x'"),
        (
            "images_variant_trainval.txt",
            "{rest}",
            "737-20",
            "trainval.txt, line 1: variant '737-20' is not in",
        ),
        ("images_variant_trainval.txt", "{id} {rest}\n", "", "variant_train.txt: image {id} is not in .*trainval.txt"),
        ("images_variant_train.txt", "{id} {rest}\n", "", "trainval.txt: image {id} is in neither"),
        ("images_variant_train.txt", "{rest}", "F-16A/B", "train.txt: image {id} has another variant in"),
        ("images_variant_val.txt", "", "{id} {rest}\n", "val.txt: image {id} is also in images_variant_train.txt"),
        ("images_variant_test.txt", "", "{id} {rest}\n", "test.txt: image {id} is also in the training split"),
        ("images_variant_trainval.txt", "", "{id} {rest}\n", "trainval.txt, line 2: id {number} occurs twice"),
        ("variants.txt", "", "737-200\n", "variants.txt: variant '737-200' occurs twice"),
        ("variants.txt", "", "A340-300\n", "variants.txt: variant 'A340-300' has no image"),
        ("images_box.txt", "{id} 1", "{id} 31", "images_box.txt, line 1: the box 31 .* is empty"),
        ("images_box.txt", "{id} 1", "{id} one", "images_box.txt, line 1: one is not a number"),
        ("images_box.txt", "{id} 1", "{id}", "images_box.txt, line 1: 4 fields instead of 5"),
        ("images_box.txt", "{id} 1", "99 1", "images_box.txt: no line for image {id} "),
    ],
)
def test_an_error_names_the_line_of_a_wrong_annotation(copy, file, old, new, message):
    number, rest = first_line(copy)
    words = {"id": number, "rest": rest, "number": str(int(number))}
    edit(copy / "data" / file, old.format(**words), new.format(**words))
    with pytest.raises(FgbenchError, match=message.format(**words)):
        aircraft.load(copy)


def test_check_lists_missing_extra_and_corrupt_images_and_boxes_outside(copy):
    files = aircraft.load(copy).files
    (copy / files[0]).unlink()
    (copy / files[1]).write_bytes(b"not an image")
    (copy / files[2]).write_bytes((copy / files[2]).read_bytes()[:-300])
    photo(copy / "data/images/9999999.jpg", SIZE, 99)
    Image.new("RGB", (20, 20)).save(copy / files[3])
    health = check(aircraft.load(copy))
    assert {(f.kind, f.file) for f in health.problems} == {
        ("missing", files[0]),
        ("corrupt", files[1]),
        ("corrupt", files[2]),
        ("extra", "data/images/9999999.jpg"),
    }
    assert [(f.kind, f.file) for f in health.notes] == [("constant", files[3]), ("outside", files[3])]
    assert all("images.txt" not in f.what for f in health.problems)


def test_check_reports_a_truncated_split_file(copy, monkeypatch, capsys):
    official_dataset = datasets["aircraft"]
    small = replace(official_dataset, counts={"train": 15, "test": 10, "classes": 5})
    monkeypatch.setitem(datasets._objects, "aircraft", small)
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert data.check_data("aircraft")
    path = copy / "data/images_variant_test.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    assert not data.check_data("aircraft", as_json=True)
    assert "9 test images, but the official data have 10" in capsys.readouterr().out
    problems = check(small.index(), small.official, small.tables, small.counts).problems
    assert {(f.kind, f.file) for f in problems if f.kind == "annotation"} == {
        ("annotation", "data/images_variant_test.txt")
    }
    assert official_dataset.counts == {"train": 6667, "test": 3333, "classes": 100}


def test_a_subset_and_other_counts_are_deviations(copy):
    recipe = load_recipes()["bcnn/bcnn_dm@cub"]
    recipe = recipe.model_copy(update={"settings": recipe.settings.model_copy(update={"data": "aircraft"})})
    index = aircraft.load(copy)

    def deviations(dataset, part):
        found = data_deviations(dataset, index, part, recipe, "none")
        assert [d.changes_experiment for d in found if d.field == "data.annotations"] == [False]
        return {d.field: (d.recipe, d.run) for d in found if d.field != "data.annotations"}

    small = replace(datasets["aircraft"], counts=index.counts)
    assert deviations(small, index) == {}
    assert deviations(small, index.first_classes(3)) == {"data.classes": (5, "the first 3")}
    assert deviations(replace(small, counts=aircraft.COUNTS), index) == {
        "data.counts.train": (6667, 15),
        "data.counts.test": (3333, 10),
        "data.counts.classes": (100, 5),
    }
    with Image.open(copy / index.files[0]) as image:
        image.save(copy / index.files[0], format="PNG")
    assert set(deviations(small, index)) == {"data.images"}


def test_get_downloads_verifies_and_unpacks_the_archive(official, tmp_path, monkeypatch, serve):
    site = tmp_path / "site"
    site.mkdir()
    archive = site / "fgvc-aircraft-2013b.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(official, official.name)
    place = tmp_path / "data"
    monkeypatch.setenv("FGBENCH_DATA", str(place))
    monkeypatch.setenv("FGBENCH_URL_AIRCRAFT", f"{serve(site)}/{archive.name}")
    with pytest.raises(MissingError, match="fgbench data get aircraft"):
        datasets["aircraft"].find()
    with pytest.raises(FgbenchError, match=f"is not the published one: its MD5 is .* not {aircraft.MD5}"):
        obtain.get_data("aircraft")
    assert not (place / official.name).exists()
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    known = datasets["aircraft"]
    monkeypatch.setitem(datasets._objects, "aircraft", replace(known, archive=replace(known.archive, md5=md5)))
    assert obtain.get_data("aircraft") == place / official.name
    assert sorted(p.name for p in place.iterdir() if p.suffix != ".lock") == [official.name]
    index = datasets["aircraft"].index()
    assert index.fingerprint == aircraft.load(official).fingerprint
