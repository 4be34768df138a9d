"""A folder with images of the user as a data set for classification: `imagefolder:PATH`.

The folder has a file `split.csv` (`fgbench.datasets.split_file`), or the folders `train` and `test` with one folder for
each class, as `torchvision.datasets.ImageFolder` reads them. `val` counts as `test` if there is no test image; else its
images are not used. `docs/guides/own_images.md` lists all rules.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.split_file import SPLIT_FILE, SPLITS, ListedImage, read_split_file
from fgbench.util.errors import FgbenchError
from fgbench.util.files import expand_user
from fgbench.util.folders import is_of_system
from fgbench.util.plain_text import one_line

KIND = "imagefolder"
"""Name of every such data set in settings, protocols and run ids, which depend on the content alone."""
PREFIX = f"{KIND}:"
"""Start of a name of such a data set: in commands the path follows, in records the name of the folder."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Ends of the names of images in lower case, those of `torchvision.datasets.ImageFolder`."""


def folder_of(name: str) -> Path:
    """Return the folder of a data set `imagefolder:PATH` with its whole path. It need not exist.

    Raises:
        FgbenchError: the path is empty, or the home folder of `~` is not known.
    """
    path = name.removeprefix(PREFIX)
    if not path:
        raise FgbenchError(f"{name} names no folder", f"{PREFIX}PATH, such as {PREFIX}my_images")
    return Path(os.path.realpath(expand_user(Path(path))))


def title_of(folder: Path) -> str:
    """Return the title of a data set: the name of its folder."""
    return one_line(folder.name or str(folder))


def recorded_name(name: str) -> str:
    """Return the name of a data set in records: the name of the folder in place of the path of images of the user."""
    return PREFIX + title_of(folder_of(name)) if name.startswith(PREFIX) else name


def hashed_name(name: str) -> str:
    """Return the name of a data set in settings of records, protocols and run ids: for images of the user, `KIND`."""
    return KIND if name.startswith(PREFIX) else name


def folder_hint(name: str) -> str:
    """Return what to type if the name of a data set is the path of a folder; empty if it is not."""
    return f"for images of your own: {shlex.quote(PREFIX + name)}" if Path(name).is_dir() else ""


def existing_folder(folder: Path) -> Path:
    """Return the folder.

    Raises:
        FgbenchError: it does not exist, or is a file.
    """
    if not folder.is_dir():
        problem = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise FgbenchError(f"{folder} {problem}", f"name the folder of the images: {PREFIX}PATH")
    return folder


def load(root: Path, name: str) -> Index:
    """List the images; no image is opened. They are in the order of their paths.

    Args:
        root: folder of the images.
        name: name of the data set.

    Raises:
        FgbenchError: the folder has no known layout, a class has no training image, or there is only one class.
    """
    listed = read_split_file(root) if has_split_file(root) else _listed_by_folder(root)
    images = _used(listed)
    for text in dict.fromkeys(text for image in images for text in (image.label, image.file)):
        if one_line(text) != text:
            raise FgbenchError(
                f"{root}: the name {one_line(text)!r} has a control character or is not valid Unicode", "rename it"
            )
    trained = {image.label for image in images if image.split == "train"}
    _check_splits(root, images, trained)
    classes = {label: position for position, label in enumerate(sorted(trained))}
    return Index(
        name=name,
        root=root,
        ids=np.arange(len(images)),
        files=tuple(image.file for image in images),
        labels=np.array([classes[image.label] for image in images], dtype=np.int64),
        train=np.array([image.split == "train" for image in images]),
        classes=tuple(classes),
    )


def has_split_file(root: Path) -> bool:
    """Return True if a folder has a `split.csv`, which then says what is used."""
    return os.path.lexists(root / SPLIT_FILE)


def is_image(file: str) -> bool:
    """Return True if a name ends like that of an image, in upper or lower case."""
    return file.lower().endswith(SUFFIXES)


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or is_of_system(name)


def files_below(folder: Path) -> Iterator[str]:
    """Yield the files of a folder and its folders, relative to it, with forward slashes.

    Hidden files and folders, and those that macOS and Windows write, are left out. Symbolic links are followed; a
    folder that is reached twice is read once.

    Raises:
        FgbenchError: a folder cannot be read.
    """
    read: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_raise_unreadable):
        real = os.path.realpath(place)
        if real in read:
            folders.clear()
            continue
        read.add(real)
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        relative = Path(place).relative_to(folder)
        yield from ((relative / name).as_posix() for name in sorted(files) if not _is_left_out(name))


def _raise_unreadable(error: OSError) -> NoReturn:
    raise FgbenchError(
        f"cannot read {error.filename}: {error.strerror}", "get the permission to read it, or move it elsewhere"
    ) from error


def _listed_by_folder(root: Path) -> list[ListedImage]:
    """Return the images of the folders train, test and val, whose folders are the classes."""
    splits = [split for split in SPLITS if (root / split).is_dir()]
    if "train" not in splits or len(splits) == 1:
        raise _layout_error(root, splits)
    listed = []
    for split in splits:
        for folder in _folders(root / split):
            files = [file for file in files_below(folder) if is_image(file)]
            if not files and (split == "train" or not (root / "train" / folder.name).is_dir()):
                raise FgbenchError(
                    f"the class folder {folder} has no image ({', '.join(SUFFIXES)})", "add images, or remove it"
                )
            listed += [ListedImage(f"{split}/{folder.name}/{file}", folder.name, split) for file in files]
    return listed


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not _is_left_out(path.name))
    except OSError as error:
        _raise_unreadable(error)


def _layout_error(root: Path, splits: Sequence[str]) -> FgbenchError:
    """Return the error for a folder without training or without test images."""
    folders = _folders(root)
    near = [root.parent] if root.name in SPLITS else []
    if other := next((path for path in (*near, *folders) if (path / "train").is_dir() or has_split_file(path)), None):
        hint = shlex.quote(f"{PREFIX}{other}")
        return FgbenchError(f"{root} has no folder train and no {SPLIT_FILE}, but {other} has", hint)
    missing = "folder test or val" if splits == ["train"] else "folder train"
    present = ", ".join(path.name for path in folders[:6]) + (", …" if folders[6:] else "")
    return FgbenchError(
        f"{root} has no {missing} and no {SPLIT_FILE} (its folders: {present or 'none'})",
        f"move the images of each class into {root}/train/CLASS and {root}/test/CLASS, "
        f"or write {root / SPLIT_FILE} with the columns file,label,split",
    )


def _used(listed: Sequence[ListedImage]) -> list[ListedImage]:
    """Return the images for training and test, sorted by file; those of val only if there are none of test."""
    test = "test" if any(image.split == "test" for image in listed) else "val"
    return sorted((image for image in listed if image.split in {"train", test}), key=lambda image: image.file)


def _check_splits(root: Path, images: Sequence[ListedImage], trained: set[str]) -> None:
    """Raise FgbenchError if images for training or test, or those of a class for training, are missing."""
    tested = {image.label for image in images if image.split != "train"}
    for classes, what in ((trained, "training"), (tested, "test")):
        if not classes:
            raise FgbenchError(f"{root} has no {what} image", f"add {what} images of each class")
    if untrained := sorted(tested - trained):
        raise FgbenchError(
            f"{root}: the class {untrained[0]!r} has test images, but no training image",
            f"add training images of {untrained[0]!r}, or remove its test images",
        )
    if len(trained) == 1:
        raise FgbenchError(f"{root} has only one class, {min(trained)!r}", "add images of a second class")
