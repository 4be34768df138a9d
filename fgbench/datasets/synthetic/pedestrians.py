"""Synthetic pedestrians in the official layout of Market-1501. `fgbench.datasets.market1501` reads them."""

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from fgbench.datasets.market1501 import DISTRACTOR, GALLERY, QUERY, TRAIN
from fgbench.datasets.reid import JUNK
from fgbench.datasets.synthetic.generation import draw_images, hash_settings, new_folder, write_readme
from fgbench.datasets.synthetic.person_drawing import draw_person
from fgbench.datasets.synthetic.persons import Person, person_of
from fgbench.datasets.synthetic.stance import Stance
from fgbench.datasets.synthetic.streets import Camera, add_occluder, add_shadow, camera_of, photograph, street
from fgbench.util.errors import ArgumentError

GENERATOR = 1
"""Version of the drawing code. Increase it when equal settings give other images."""
SIZE = (64, 128)
"""Width and height of every image in pixels, as in Market-1501."""
SUPERSAMPLING = 3
"""Scenes are drawn at this multiple of the final size."""


@dataclass(frozen=True, slots=True)
class SyntheticPedestrians:
    """Settings of a data set of synthetic pedestrians. Equal settings give equal files."""

    identities_train: int = 60
    """Number of persons in the training split."""
    identities_test: int = 60
    """Number of persons in the test split. No person is in both splits."""
    cameras: int = 4
    """Number of cameras, 2 to 6. With more than two cameras, about every fifth person is missing in one of them."""
    images_per_camera: int = 4
    """Number of images of a person in a camera. In the test split, one of them is the query."""
    distractors: int = 60
    """Number of gallery images without a person, or with only a small part of an unknown person."""
    junk: int = 60
    """Number of gallery images of test persons whose box misses about half of the person."""
    seed: int = 0
    """Seed of persons, cameras and images."""


def settings_hash(settings: SyntheticPedestrians) -> str:
    """Return a hash that identifies the files of the data set."""
    return hash_settings(GENERATOR, settings)


def generate(root: Path, settings: SyntheticPedestrians, *, workers: int | None = None) -> Path:
    """Write the data set into a new folder. After an error, no folder is left.

    Args:
        root: the folder; it must not exist.
        settings: settings of the data set.
        workers: number of processes; by default see `draw_images`. The files do not depend on it.

    Returns:
        `root`.

    Raises:
        FgbenchError: `root` exists.
        ArgumentError: a setting is out of range.
    """
    if min(settings.identities_train, settings.identities_test) < 2 or settings.images_per_camera < 2:
        raise ArgumentError(f"{settings}: at least 2 persons in each split and 2 images for each camera are needed")
    if not 2 <= settings.cameras <= 6 or min(settings.distractors, settings.junk) < 0:
        raise ArgumentError(f"{settings}: 2 to 6 cameras are needed, and no number of images may be negative")
    if settings.identities_train + settings.identities_test > 9999:
        raise ArgumentError(f"{settings}: file names can number 9999 persons at most")
    with new_folder(root) as folder:
        for subfolder in (TRAIN, QUERY, GALLERY):
            (folder / subfolder).mkdir()
        draw_images(partial(_draw, folder, settings), _jobs(settings), workers)
        title = "Synthetic pedestrians, drawn by fgbench in the layout of Market-1501."
        write_readme(folder, title, GENERATOR, settings)
    return root


@dataclass(frozen=True, slots=True)
class _ImageJob:
    """An image to draw."""

    folder: str
    """`TRAIN`, `QUERY` or `GALLERY`."""
    identity: int
    """Identity in the file name; may be `JUNK` or `DISTRACTOR`."""
    person_number: int
    """Number of the drawn person in the endless list of persons. Distractors come after all other persons."""
    camera: int
    """Number of the camera, from 1."""
    frame: int
    """Number of the image of this person and camera, or of the junk image or distractor."""


def _jobs(settings: SyntheticPedestrians) -> list[_ImageJob]:
    """List the images of a data set: persons, then junk, then distractors."""
    jobs = []
    persons = settings.identities_train + settings.identities_test
    rng = np.random.default_rng((settings.seed, 0))
    for person_number in range(1, persons + 1):
        train = person_number <= settings.identities_train
        missed = int(rng.integers(1, settings.cameras + 1)) if settings.cameras > 2 and rng.random() < 0.2 else 0
        for number in range(1, settings.cameras + 1):
            if number == missed:
                continue
            for frame in range(settings.images_per_camera):
                folder = TRAIN if train else QUERY if frame == 0 else GALLERY
                jobs.append(_ImageJob(folder, person_number, person_number, number, frame))
    for frame in range(settings.junk):
        person_number = settings.identities_train + 1 + frame % settings.identities_test
        number = 1 + int(rng.integers(settings.cameras))
        jobs.append(_ImageJob(GALLERY, JUNK, person_number, number, settings.images_per_camera + frame))
    for frame in range(settings.distractors):
        jobs.append(_ImageJob(GALLERY, DISTRACTOR, persons + 1 + frame, 1 + int(rng.integers(settings.cameras)), frame))
    return jobs


_cached_camera = lru_cache(maxsize=64)(camera_of)


def _file_name(job: _ImageJob) -> str:
    """Return a file name in the scheme of Market-1501: person, camera and sequence, frame, box."""
    identity = "-1" if job.identity == JUNK else f"{job.identity:04d}"
    return f"{identity}_c{job.camera}s1_{100 * max(0, job.person_number) + job.frame:06d}_{job.folder != QUERY:02d}.jpg"


def _draw(folder: Path, settings: SyntheticPedestrians, job: _ImageJob) -> None:
    """Draw and save one image. It depends on the seed and the job only."""
    camera = _cached_camera(settings.seed, job.camera)
    rng = np.random.default_rng((settings.seed, 3, job.person_number, job.camera, job.frame, job.identity + 1))
    direction = np.random.default_rng((settings.seed, 4, job.person_number, job.camera)).normal(
        camera.turn, camera.spread
    )
    canvas = (SIZE[0] * SUPERSAMPLING, SIZE[1] * SUPERSAMPLING)
    picture = street(camera, canvas, rng)
    stance = _stance(camera, float(direction), job.identity, canvas, rng)
    if job.identity != DISTRACTOR or rng.random() < 0.4:
        _add_person(picture, person_of(settings.seed, job.person_number), stance, camera)
    add_occluder(picture, rng)
    image = photograph(picture, camera, SIZE, rng)
    image.save(folder / job.folder / _file_name(job), quality=camera.quality)


def _stance(
    camera: Camera, direction: float, identity: int, canvas: tuple[int, int], rng: np.random.Generator
) -> Stance:
    """Draw a random position and posture.

    The box fits most images of known persons well. It is far off for junk and distractors.
    """
    width, height = canvas
    tall = height * rng.uniform(0.84, 0.96)
    x = width * (0.5 + camera.shift[0] + rng.normal(0, 0.04))
    y = height * (0.5 + camera.shift[1] + rng.normal(0, 0.015)) - tall / 2
    if identity > DISTRACTOR and rng.random() < 0.12:
        tall *= rng.uniform(1.05, 1.3)
        y = height * rng.uniform(-0.1, 0.04)
    elif identity == JUNK:
        x += width * rng.choice([-1, 1]) * rng.uniform(0.3, 0.45)
        y += height * rng.choice([-1, 1]) * rng.uniform(0.2, 0.4)
    elif identity == DISTRACTOR:
        x += width * rng.choice([-1, 1]) * rng.uniform(0.5, 0.6)
        y += height * rng.choice([-1, 1]) * rng.uniform(0.5, 0.65)
    return Stance(
        turn=direction + float(rng.normal(0, 0.2)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        stride=float(rng.uniform(0.2, 0.5)),
        x=float(x),
        y=float(y),
        height=float(tall),
        light=camera.light,
    )


def _add_person(picture: Image.Image, person: Person, stance: Stance, camera: Camera) -> None:
    """Draw a person with a shadow into a picture."""
    add_shadow(picture, (stance.x, stance.y + 0.975 * stance.height), stance.height, camera)
    layer, mask = draw_person(person, stance, picture.size)
    picture.paste(layer, mask=mask)
