"""Synthetic birds in the official layout of CUB-200-2011. `fgbench.datasets.cub` reads them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fgbench.datasets.synthetic.bird_drawing import KEYPOINTS, draw_bird
from fgbench.datasets.synthetic.generation import draw_images, hash_settings, new_folder, write_lines, write_readme
from fgbench.datasets.synthetic.species import species
from fgbench.util.errors import ArgumentError

GENERATOR = 1
"""Version of the drawing code. Increase it when equal settings give other images."""
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class SyntheticBirds:
    """Settings of a data set of synthetic birds. Equal settings give equal files."""

    classes: int = 20
    """Number of species."""
    train_per_class: int = 30
    """Number of training images of a species."""
    test_per_class: int = 20
    """Number of test images of a species."""
    size: int = 160
    """Longer side of an image in pixels."""
    seed: int = 0
    """Seed of the individuals. The species are the same for every seed."""
    first_class: int = 0
    """Number of the first species in the endless list of species. Disjoint ranges share no species."""


_Job = tuple[int, int]
"""Class and individual, both counted from 0."""


def settings_hash(settings: SyntheticBirds) -> str:
    """Return a hash that identifies the files of the data set."""
    return hash_settings(GENERATOR, settings)


def generate(root: Path, settings: SyntheticBirds, *, workers: int | None = None) -> Path:
    """Write the data set into a new folder. After an error, no folder is left.

    Args:
        root: the folder; it must not exist.
        settings: settings of the data set.
        workers: number of processes; by default see `draw_images`. The files do not depend on it.

    Returns:
        `root`.

    Raises:
        FgbenchError: `root` exists.
        ArgumentError: a setting is too small.
    """
    if settings.classes < 2 or min(settings.train_per_class, settings.test_per_class) < 1 or settings.size < 32:
        raise ArgumentError(
            f"{settings}: at least 2 classes, 1 image of each class in each split, and 32 px are needed"
        )
    with new_folder(root) as folder:
        _write(folder, settings, workers)
    return root


def _write(folder: Path, settings: SyntheticBirds, workers: int | None) -> None:
    """Draw all images and write the annotation files."""
    birds = [species(settings.first_class + label) for label in range(settings.classes)]
    class_names = [f"{label + 1:03d}.{bird.name}" for label, bird in enumerate(birds)]
    for class_name in class_names:
        (folder / "images" / class_name).mkdir(parents=True)
    (folder / "parts").mkdir()
    (folder / "attributes").mkdir()

    # Images.
    per_class = settings.train_per_class + settings.test_per_class
    jobs = [(label, individual) for label in range(settings.classes) for individual in range(per_class)]
    annotations = draw_images(partial(_draw, folder, settings, class_names), jobs, workers)

    # Annotations, one line for each image; images are numbered from 1.
    files = [f"{class_names[label]}/{_file_name(class_names[label], individual)}" for label, individual in jobs]
    write_lines(folder / "images.txt", (f"{n} {file}" for n, file in enumerate(files, 1)))
    write_lines(folder / "image_class_labels.txt", (f"{n} {label + 1}" for n, (label, _) in enumerate(jobs, 1)))
    write_lines(
        folder / "train_test_split.txt",
        (f"{n} {int(individual < settings.train_per_class)}" for n, (_, individual) in enumerate(jobs, 1)),
    )
    write_lines(
        folder / "bounding_boxes.txt",
        (f"{n} {' '.join(f'{value:.1f}' for value in box)}" for n, (box, _) in enumerate(annotations, 1)),
    )
    write_lines(
        folder / "parts/part_locs.txt",
        (
            f"{n} {number} {x:.1f} {y:.1f} {int(visible)}"
            for n, (_, keypoints) in enumerate(annotations, 1)
            for number, (x, y, visible) in enumerate(keypoints, 1)
        ),
    )

    # Names of classes, keypoints and attributes, and the attributes of each class in percent.
    write_lines(folder / "classes.txt", (f"{number} {name}" for number, name in enumerate(class_names, 1)))
    write_lines(folder / "parts/parts.txt", (f"{number} {name}" for number, name in enumerate(KEYPOINTS, 1)))
    write_lines(folder / "attributes.txt", (f"{n} {name}" for n, name in enumerate(birds[0].attributes(), 1)))
    write_lines(
        folder / "attributes/class_attribute_labels_continuous.txt",
        (" ".join(f"{100.0 * has:.1f}" for has in bird.attributes().values()) for bird in birds),
    )
    write_readme(folder, "Synthetic birds, drawn by fgbench in the layout of CUB-200-2011.", GENERATOR, settings)


def _file_name(class_name: str, individual: int) -> str:
    return f"{class_name.partition('.')[2]}_{individual + 1:04d}.jpg"


def _draw(
    folder: Path, settings: SyntheticBirds, class_names: list[str], job: _Job
) -> tuple[tuple[float, ...], np.ndarray]:
    """Draw and save one image. It depends on the settings, the species and the individual only.

    Returns:
        The box and the keypoints.
    """
    label, individual = job
    rng = np.random.default_rng((settings.seed, settings.first_class + label, individual))
    short = round(settings.size * rng.uniform(0.7, 0.85))
    size = (settings.size, short) if rng.random() < 0.7 else (short, settings.size)
    drawing = draw_bird(species(settings.first_class + label), size, rng)
    file = folder / "images" / class_names[label] / _file_name(class_names[label], individual)
    drawing.image.save(file, quality=JPEG_QUALITY)
    return drawing.box, drawing.keypoints
