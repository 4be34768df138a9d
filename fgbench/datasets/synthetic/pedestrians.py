"""Synthetic pedestrians in the official layout of Market-1501, so that the loader of the real ones reads them."""

import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

from fgbench.datasets.market1501 import DISTRACTOR, GALLERY, QUERY, TRAIN
from fgbench.datasets.reid import JUNK
from fgbench.datasets.synthetic.figure import draw_person
from fgbench.datasets.synthetic.persons import Person, person
from fgbench.datasets.synthetic.stance import Stance
from fgbench.datasets.synthetic.streets import Camera, camera, exposed, occluder, shadow, street
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value
from fgbench.util.processes import die_with_parent, processes_for_work

GENERATOR = 1
"""Version of the drawing: raise it when the same settings give other images."""
SIZE = (64, 128)
"""Width and height of every image in pixels, as in Market-1501."""
SUPERSAMPLING = 3


@dataclass(frozen=True, slots=True)
class SyntheticPedestrians:
    """Settings of a synthetic data set; equal settings give equal files."""

    identities_train: int = 60
    """Persons for training."""
    identities_test: int = 60
    """Other persons, for test."""
    cameras: int = 4
    """2 to 6. Everyone passes all of them, but for one in five, who misses one where there are more than two."""
    images_per_camera: int = 4
    """Images of a person in a camera; in test, one of them is the query."""
    distractors: int = 60
    """Gallery images of no one: streets, and people of whom next to nothing is in the picture."""
    junk: int = 60
    """Gallery images of persons of the test whose boxes are half beside them."""
    seed: int = 0
    """Of persons, cameras and images."""


def settings_hash(settings: SyntheticPedestrians) -> str:
    """What identifies the files that the settings give."""
    return hash_value([GENERATOR, asdict(settings)])


def generate(root: Path, settings: SyntheticPedestrians, *, workers: int | None = None) -> Path:
    """Write a data set into a folder that does not exist; all of it or nothing.

    Args:
        root: the folder to be.
        settings: what to draw.
        workers: processes; by default as many as cores, or none beside a task of a pool. The files do not depend on it.

    Returns:
        `root`.

    Raises:
        FgbenchError: `root` exists, or the settings cannot be.
    """
    if root.exists():
        raise FgbenchError(f"{root} exists already", "remove it, or choose another folder")
    if min(settings.identities_train, settings.identities_test) < 2 or settings.images_per_camera < 2:
        raise FgbenchError(f"{settings}: at least 2 persons a split and 2 images a camera")
    if not 2 <= settings.cameras <= 6 or min(settings.distractors, settings.junk) < 0:
        raise FgbenchError(f"{settings}: 2 to 6 cameras, and no negative number of images")
    if settings.identities_train + settings.identities_test > 9999:
        raise FgbenchError(f"{settings}: the file names have room for 9999 persons")
    root.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}."))
    try:
        for folder in (TRAIN, QUERY, GALLERY):
            (place / folder).mkdir()
        _draw_all(place, settings, workers or processes_for_work())
        lines = ["Synthetic pedestrians, drawn by fgbench in the layout of Market-1501.", f"generator {GENERATOR}"]
        lines += [f"{name} {value}" for name, value in asdict(settings).items()]
        (place / "README").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        place.chmod(0o755)
        place.replace(root)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return root


@dataclass(frozen=True, slots=True)
class _Job:
    """One image."""

    folder: str
    identity: int
    """As in the name: `JUNK` and `DISTRACTOR`, too."""
    who: int
    """Position of the person drawn in the list of persons; that of a distractor is beyond all others."""
    camera: int
    frame: int
    """Counts the images of a person in a camera, or the junk, or the distractors."""


def _jobs(settings: SyntheticPedestrians) -> list[_Job]:
    jobs = []
    persons = settings.identities_train + settings.identities_test
    rng = np.random.default_rng((settings.seed, 0))
    for who in range(1, persons + 1):
        train = who <= settings.identities_train
        missed = int(rng.integers(1, settings.cameras + 1)) if settings.cameras > 2 and rng.random() < 0.2 else 0
        for number in range(1, settings.cameras + 1):
            if number == missed:
                continue
            for frame in range(settings.images_per_camera):
                folder = TRAIN if train else QUERY if frame == 0 else GALLERY
                jobs.append(_Job(folder, who, who, number, frame))
    for frame in range(settings.junk):
        who = settings.identities_train + 1 + frame % settings.identities_test
        number = 1 + int(rng.integers(settings.cameras))
        jobs.append(_Job(GALLERY, JUNK, who, number, settings.images_per_camera + frame))
    for frame in range(settings.distractors):
        jobs.append(_Job(GALLERY, DISTRACTOR, persons + 1 + frame, 1 + int(rng.integers(settings.cameras)), frame))
    return jobs


def _draw_all(place: Path, settings: SyntheticPedestrians, workers: int) -> None:
    jobs = _jobs(settings)
    draw = partial(_draw, place, settings)
    if workers > 1:
        with ProcessPoolExecutor(workers, get_context("spawn"), die_with_parent) as pool:
            list(pool.map(draw, jobs, chunksize=max(1, len(jobs) // (8 * workers))))
    else:
        for job in jobs:
            draw(job)


_camera = lru_cache(maxsize=64)(camera)


def _file(job: _Job) -> str:
    """A name as Market-1501 has it: person, camera and sequence, frame, box."""
    identity = "-1" if job.identity == JUNK else f"{job.identity:04d}"
    return f"{identity}_c{job.camera}s1_{100 * max(0, job.who) + job.frame:06d}_{job.folder != QUERY:02d}.jpg"


def _draw(place: Path, settings: SyntheticPedestrians, job: _Job) -> None:
    """Draw and save one image; its randomness depends on the seed and the job alone."""
    view = _camera(settings.seed, job.camera)
    rng = np.random.default_rng((settings.seed, 3, job.who, job.camera, job.frame, job.identity + 1))
    way = np.random.default_rng((settings.seed, 4, job.who, job.camera)).normal(view.turn, view.spread)
    canvas = (SIZE[0] * SUPERSAMPLING, SIZE[1] * SUPERSAMPLING)
    picture = street(view, canvas, rng)
    stance = _stance(view, float(way), job.identity, canvas, rng)
    if job.identity != DISTRACTOR or rng.random() < 0.4:
        _stand(picture, person(settings.seed, job.who), stance, view)
    occluder(picture, rng)
    image = exposed(picture, view, SIZE, rng)
    image.save(place / job.folder / _file(job), quality=view.quality)


def _stance(view: Camera, way: float, identity: int, canvas: tuple[int, int], rng: np.random.Generator) -> Stance:
    """Where in the picture someone is and how; the box of a good image is off by little, of others by much."""
    width, height = canvas
    tall = height * rng.uniform(0.84, 0.96)
    x = width * (0.5 + view.shift[0] + rng.normal(0, 0.04))
    y = height * (0.5 + view.shift[1] + rng.normal(0, 0.015)) - tall / 2
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
        turn=way + float(rng.normal(0, 0.2)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        stride=float(rng.uniform(0.2, 0.5)),
        x=float(x),
        y=float(y),
        height=float(tall),
        light=view.light,
    )


def _stand(picture: Image.Image, who: Person, stance: Stance, view: Camera) -> None:
    shadow(picture, (stance.x, stance.y + 0.975 * stance.height), stance.height, view)
    layer, mask = draw_person(who, stance, picture.size)
    picture.paste(layer, mask=mask)
