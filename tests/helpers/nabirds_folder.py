"""A small data set in the layout of NABirds, made of synthetic birds in the layout of CUB-200-2011."""

import hashlib
import shutil
import uuid

from fgbench.datasets import cub

CLASSES = {297: "Ruddy Duck (Breeding male)", 698: "Ruddy Duck (Winter male)", 817: "Oak Titmouse"}
"""Official ids of the classes with images, under names with several words."""
GROUPS = {0: "Birds", 1: "Ducks, Geese, and Swans", 22: "Perching Birds", 238: "Ruddy Duck"}
"""Classes without images."""
PARENTS = {1: 0, 22: 0, 238: 1, 297: 238, 698: 238, 817: 22}


def image_ids(count):
    """Return ids in the form of the official ones, in the order of images.txt; they are not sorted."""
    return [str(uuid.UUID(hashlib.md5(f"bird {n}".encode(), usedforsecurity=False).hexdigest())) for n in range(count)]


def write_nabirds(birds_folder, root):
    """Write the data set.

    Args:
        birds_folder: synthetic birds of three classes.
        root: a new folder.

    Returns:
        `root`.
    """
    birds = cub.load(birds_folder)
    ids = image_ids(len(birds))
    # Labels fall, so that the order of the classes in the files is not that of their ids.
    numbers = [sorted(CLASSES, reverse=True)[label] for label in birds.labels]
    files = [f"{number:04d}/{name.replace('-', '')}.jpg" for number, name in zip(numbers, ids, strict=True)]
    for source, file in zip(birds.files, files, strict=True):
        (root / "images" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(birds_folder / source, root / "images" / file)
    (root / "parts").mkdir()
    part_names = [*birds.part_names[:3], "left wing"]
    lines = {
        "images.txt": zip(ids, files, strict=True),
        "image_class_labels.txt": zip(ids, numbers, strict=True),
        "train_test_split.txt": zip(ids, birds.train.astype(int), strict=True),
        "bounding_boxes.txt": ((name, *box.round().astype(int)) for name, box in zip(ids, birds.boxes, strict=True)),
        "classes.txt": sorted((CLASSES | GROUPS).items()),
        "hierarchy.txt": PARENTS.items(),
        "parts/parts.txt": enumerate(part_names),
        "parts/part_locs.txt": (
            (name, part, *points[part].round().astype(int))
            for name, points in zip(ids, birds.parts, strict=True)
            for part in range(len(part_names))
        ),
        "sizes.txt": ((name, 64, 64) for name in ids),
        "photographers.txt": ((name, "Jane Doe") for name in ids),
    }
    for name, rows in lines.items():
        (root / name).write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
    return root
