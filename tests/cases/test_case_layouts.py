"""Data sets in the layouts in which people have them: read as the official one, or named with one move."""

import shutil
import subprocess

import pytest
from folders_as_found import index_of, move_as_told, nest, write_each

from fgbench.util.errors import FgbenchError, MissingError

pytestmark = pytest.mark.usefixtures("root")


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


@pytest.mark.parametrize("name", ["cub", "market1501"])
def test_two_copies_of_other_names_are_both_named(name, root):
    """Two complete copies have other names: each is named, and the command renames one of them."""
    folder = write_each(root)[name]
    before = index_of(name).fingerprint
    shutil.copytree(folder, root / "copy")
    folder.rename(root / "my images")
    with pytest.raises(MissingError, match=r"is in 2 folders of other names: .*copy, .*my images") as caught:
        index_of(name)
    move_as_told(caught.value)
    assert index_of(name).fingerprint == before


@pytest.mark.parametrize(
    ("name", "inner"), [("cub", "images"), ("cub", "parts"), ("aircraft", "data/images"), ("market1501", "query")]
)
def test_fgbench_data_is_a_folder_inside_the_data_set(name, inner, root, monkeypatch):
    """FGBENCH_DATA names the folder of the images: the error is the right value for it."""
    folder = write_each(root)[name]
    before = index_of(name).fingerprint
    (root / "other data").mkdir()
    monkeypatch.setenv("FGBENCH_DATA", f"{folder / inner}:{root / 'other data'}:{folder / 'README'}")
    with pytest.raises(MissingError, match=f"a folder inside {folder}, which contains") as caught:
        index_of(name)
    command = f'{caught.value.hint} && printf %s "$FGBENCH_DATA"'
    value = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout
    assert value == f"{folder}:{root / 'other data'}:{folder / 'README'}"
    monkeypatch.setenv("FGBENCH_DATA", value)
    assert index_of(name).fingerprint == before


def test_a_file_of_another_copy_is_not_moved(root):
    """The folder of the data set contains another copy, whose files belong to it."""
    folder = write_each(root)["cub"]
    shutil.copytree(folder, root / "aside")
    (root / "aside").rename(folder / "old copy")
    (folder / "classes.txt").unlink()
    with pytest.raises(FgbenchError, match=r"cannot read .*classes\.txt: No such file") as caught:
        index_of("cub")
    assert caught.value.hint == "the data set is incomplete: download it again"


def test_a_link_of_the_official_name_to_nothing_is_left_alone(root, monkeypatch):
    """The folder has another name, and a link with the official name leads nowhere."""
    folder = write_each(root)["cub"]
    before = index_of("cub").fingerprint
    folder.rename(root / "my birds")
    folder.symlink_to(root / "gone")
    (root / "birds").symlink_to(root / "my birds")
    with pytest.raises(MissingError, match="CUB-200-2011 is not on this machine") as caught:
        index_of("cub")
    command = f'{caught.value.hint} && printf %s "$FGBENCH_DATA"'
    value = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout
    assert value == f"{root / 'my birds'}:{root}"
    monkeypatch.setenv("FGBENCH_DATA", value)
    assert index_of("cub").fingerprint == before


def test_fgbench_data_is_a_link_into_the_data_set(root, monkeypatch, tmp_path_factory):
    folder = write_each(root)["cub"]
    link = tmp_path_factory.mktemp("links") / "images"
    link.symlink_to(folder / "images")
    monkeypatch.setenv("FGBENCH_DATA", str(link))
    with pytest.raises(MissingError, match=f"a folder inside {folder}, which contains") as caught:
        index_of("cub")
    assert caught.value.hint == f"export FGBENCH_DATA={folder}"


@pytest.mark.parametrize("file", ["image_class_labels.txt", "train_test_split.txt", "classes.txt"])
def test_an_annotation_file_in_another_folder_is_told_the_move(file, root):
    """A file that is not among the first needed ones lies in another folder."""
    folder = write_each(root)["cub"]
    before = index_of("cub").fingerprint
    (folder / "lists").mkdir()
    (folder / file).rename(folder / "lists" / file)
    with pytest.raises(FgbenchError, match=f"cannot read .*{file}: No such file") as caught:
        index_of("cub")
    move_as_told(caught.value)
    assert index_of("cub").fingerprint == before


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
