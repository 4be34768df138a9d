"""Synthetic birds in the official layout of CUB-200-2011, so that the loader of the real birds reads them."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fgbench.datasets.synthetic.birds import PARTS, draw_bird
from fgbench.datasets.synthetic.species import species
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value
from fgbench.util.processes import die_with_parent, processes_for_work

GENERATOR = 1
"""Version of the drawing: raise it when the same settings give other images."""
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class SyntheticBirds:
    """Settings of a synthetic data set; equal settings give equal files."""

    classes: int = 20
    """Number of species."""
    train_per_class: int = 30
    """Training images of each."""
    test_per_class: int = 20
    """Test images of each."""
    size: int = 160
    """Longer side of an image in pixels."""
    seed: int = 0
    """Of the individuals; the species are the same for every seed."""
    first_class: int = 0
    """Which species of the endless list is the first: sets that do not overlap share no species."""


def settings_hash(settings: SyntheticBirds) -> str:
    """What identifies the files that the settings give."""
    return hash_value([GENERATOR, asdict(settings)])


def generate(root: Path, settings: SyntheticBirds, *, workers: int | None = None) -> Path:
    """Write a data set into a folder that does not exist; all of it or nothing.

    Args:
        root: the folder to be.
        settings: what to draw.
        workers: processes; by default as many as cores, or none beside a task of a pool. The files do not depend on it.

    Returns:
        `root`.

    Raises:
        FgbenchError: `root` exists, or the settings ask for nothing.
    """
    if root.exists():
        raise FgbenchError(f"{root} exists already", "remove it, or choose another folder")
    if settings.classes < 2 or min(settings.train_per_class, settings.test_per_class) < 1 or settings.size < 32:
        raise FgbenchError(f"{settings}: at least 2 classes, an image a split and class, and 32 px")
    root.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    try:
        _write(place, settings, workers or processes_for_work())
        place.chmod(0o755)
        place.replace(root)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return root


def _write(place: Path, settings: SyntheticBirds, workers: int) -> None:
    birds = [species(settings.first_class + k) for k in range(settings.classes)]
    folders = [f"{k + 1:03d}.{bird.name}" for k, bird in enumerate(birds)]
    for folder in folders:
        (place / "images" / folder).mkdir(parents=True)
    (place / "parts").mkdir()
    (place / "attributes").mkdir()
    each = settings.train_per_class + settings.test_per_class
    jobs = [(k, i) for k in range(settings.classes) for i in range(each)]
    draw = partial(_draw, place, settings, folders)
    if workers > 1:
        with ProcessPoolExecutor(workers, get_context("spawn"), die_with_parent) as pool:
            drawn = list(pool.map(draw, jobs, chunksize=max(1, len(jobs) // (8 * workers))))
    else:
        drawn = [draw(job) for job in jobs]

    def lines(name: str, rows: Iterator[str]) -> None:
        (place / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")

    names = [f"{folders[k]}/{_file(folders[k], i)}" for k, i in jobs]
    lines("images.txt", (f"{n} {name}" for n, name in enumerate(names, 1)))
    lines("image_class_labels.txt", (f"{n} {k + 1}" for n, (k, _) in enumerate(jobs, 1)))
    lines("train_test_split.txt", (f"{n} {int(i < settings.train_per_class)}" for n, (_, i) in enumerate(jobs, 1)))
    lines("classes.txt", (f"{k} {folder}" for k, folder in enumerate(folders, 1)))
    lines("bounding_boxes.txt", (f"{n} {' '.join(f'{v:.1f}' for v in box)}" for n, (box, _) in enumerate(drawn, 1)))
    lines("parts/parts.txt", (f"{p} {part}" for p, part in enumerate(PARTS, 1)))
    lines(
        "parts/part_locs.txt",
        (
            f"{n} {p} {x:.1f} {y:.1f} {int(visible)}"
            for n, (_, parts) in enumerate(drawn, 1)
            for p, (x, y, visible) in enumerate(parts, 1)
        ),
    )
    lines("attributes.txt", (f"{a} {name}" for a, name in enumerate(birds[0].attributes(), 1)))
    lines(
        "attributes/class_attribute_labels_continuous.txt",
        (" ".join(f"{100.0 * has:.1f}" for has in bird.attributes().values()) for bird in birds),
    )
    lines("README", iter(["Synthetic birds, drawn by fgbench in the layout of CUB-200-2011.", f"generator {GENERATOR}",
                          *(f"{name} {value}" for name, value in asdict(settings).items())]))  # fmt: skip


def _file(folder: str, individual: int) -> str:
    return f"{folder.partition('.')[2]}_{individual + 1:04d}.jpg"


def _draw(
    place: Path, settings: SyntheticBirds, folders: list[str], job: tuple[int, int]
) -> tuple[tuple[float, ...], np.ndarray]:
    """Draw and save one image; its randomness depends on settings, species and individual alone."""
    k, individual = job
    rng = np.random.default_rng((settings.seed, settings.first_class + k, individual))
    short = round(settings.size * rng.uniform(0.7, 0.85))
    size = (settings.size, short) if rng.random() < 0.7 else (short, settings.size)
    drawing = draw_bird(species(settings.first_class + k), size, rng)
    drawing.image.save(place / "images" / folders[k] / _file(folders[k], individual), quality=JPEG_QUALITY)
    return drawing.box, drawing.parts
