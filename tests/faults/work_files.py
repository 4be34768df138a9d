"""Faults of work and cache files: each damaged file must end in the values of the undamaged one, bit for bit."""

import hashlib
import io
import os
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import mini
import numpy as np
import small_trainings
import torch
from faults.case import Case
from faults.damages import Damage, copied, damages, time_limit

from fgbench.backbones.map_cache import MapCache
from fgbench.backbones.weights import cached_hash
from fgbench.datasets import cub, pixel_cache
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.synthetic import birds
from fgbench.records.phase_log import DAMAGED, PhaseLog
from fgbench.records.store import store_of
from fgbench.runs.executors.runner import do_run
from fgbench.runs.row_files import map_images
from fgbench.runs.run import Changes, Run
from fgbench.runs.training import loop
from fgbench.runs.training.distributed import Engine
from fgbench.util.errors import FgbenchError
from fgbench.util.gpu_board import Meter

LIMIT_S = 60.0
"""Seconds after which a case counts as a hang."""
CPU = torch.device("cpu")
STAGES = [
    ("head", small_trainings.stage(train=("classifier",), augment=False)),
    ("all", small_trainings.stage(step=2)),
]


class Stop(Exception):
    """Interrupts work."""


@dataclass(frozen=True, slots=True)
class Work:
    """Work that is interrupted, damaged and continued."""

    name: str
    prepare: Callable[[Path], object]
    """Writes the files of unfinished work, or of a cache, into a folder."""
    result: Callable[[Path], bytes]
    """Continues the work in a copy of the folder; returns what must be equal."""
    shared: bool = False
    """True if the work uses a cache that is not damaged."""


def rows(folder: Path, *, stop_at: int = 99) -> bytes:
    """Compute rows of images and mirror images."""
    pixels, calls = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8), []

    def compute(images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        if len(calls) == stop_at:
            raise Stop
        return images.flatten(1).float().sqrt()

    path = folder / "work" / "descriptors.npy"
    return map_images(path, pixels, compute, batch_size=4, device=CPU, mirror=True).tobytes()


def training(folder: Path, *, stop_at: tuple[str, int] = ("", 0)) -> bytes:
    """Train a small network in two stages, the first of them on features."""

    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == stop_at:
            raise Stop

    method = small_trainings.bcnn()
    (folder / "work").mkdir(exist_ok=True)
    with mock.patch.object(loop, "SAVING_SHARE", 1e9):  # a checkpoint after each epoch
        curve = loop.train(
            *(method, small_trainings.data(), STAGES),
            seed=0, engine=Engine(), work=folder / "work", progress=progress,
        )  # fmt: skip
    values = [value.numpy().tobytes() for value in method.state_dict().values()]
    return repr([asdict(replace(point, wall_s=0.0)) for point in curve]).encode() + b"".join(values)


def pixels(root: Path, _: Path, *, stop_at: int = 99) -> bytes:
    """Decode images into the pixel cache."""
    if not root.is_dir():
        birds.generate(root, birds.SyntheticBirds(classes=2, train_per_class=4, test_per_class=2, size=48), workers=1)

    def on_image(done: int, total: int) -> None:
        if done == stop_at:
            raise Stop

    pixel_cache._verified.clear()  # a new process
    with mock.patch.object(pixel_cache, "CHUNK", 4):
        cached = pixel_cache.cached_pixels(cub.load(root), Pipeline.parse("resize(24)"), on_image)
    return np.array(cached).tobytes()


def weight_hash(file: Path, _: Path) -> bytes:
    """Hash a weight file."""
    file.write_bytes(b"weights") if not file.exists() else None
    return (cached_hash(file) + cached_hash(file, "md5")).encode()


def maps(folder: Path) -> bytes:
    """Compute maps of images through the map cache."""
    images = torch.randint(0, 256, (3, 3, 9, 11), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(1)).round()  # sums without rounding
    cache = MapCache(folder / "maps", lambda batch: torch.conv2d(batch.float(), weight, stride=2).relu())
    return cache(images).numpy().tobytes()


def journal(folder: Path) -> bytes:
    """Start a session with the times of the earlier ones; lost times must be named in the record."""
    (folder / "work").mkdir(exist_ok=True)
    log = PhaseLog(folder / "work", 0, Meter.of("cpu"))
    if not log.phase_s:
        log.phase_s["training"], lost = 7.25, log.energy_note == DAMAGED
        log.save()
        return b"7.25" if lost or log.sittings == 1 else b"lost in silence"
    return str(log.phase_s["training"]).encode()


def whole_run(run: Run, folder: Path, *, stop_at: str = "") -> bytes:
    """Execute a run; return its outputs and values."""

    def report(what: str, share: float) -> None:
        if stop_at and what == stop_at:
            raise Stop

    do_run(run, folder, report)
    store = store_of(folder)
    record = store.read(run.id)
    outputs = [values.tobytes() for _, values in sorted(store.outputs(record).items())]
    return repr(record.values).encode() + b"".join(outputs)


def works(base: Path, *, runs: bool = True) -> Iterator[Work]:
    """Yield every kind of work; `base` is a folder for data that is not damaged."""
    yield Work("rows", partial(rows, stop_at=4), rows)
    yield Work("finished rows", rows, rows)
    yield Work("stage on features", partial(training, stop_at=("head", 2)), training)
    yield Work("last stage", partial(training, stop_at=("all", 2)), training)
    yield Work("pixels", partial(pixels, base / "birds"), partial(pixels, base / "birds"))
    yield Work("part of the pixels", partial(pixels, base / "birds", stop_at=10), partial(pixels, base / "birds"))
    yield Work("hash of weights", partial(weight_hash, base / "net.pth"), partial(weight_hash, base / "net.pth"))
    yield Work("maps", maps, maps)
    yield Work("journal", journal, journal)
    if runs:
        with in_cache(base / "cache"):
            watched = mini.run_of("bcnn_dm", changes=Changes(watch_test=True))
            fitted = mini.run_of("fv_sift")
        for name, run in (("watched run", watched), ("fitted run", fitted)):
            yield Work(name, partial(whole_run, run, stop_at="test images"), partial(whole_run, run), shared=True)


@contextmanager
def in_cache(folder: Path) -> Iterator[None]:
    """Use a cache folder inside the block."""
    with mock.patch.dict(os.environ, FGBENCH_CACHE=str(folder)):
        yield


def cases(folder: Path, count: int, *, runs_count: int = 0, seed: int = 0) -> Iterator[Case]:
    """Yield faults of every file of every kind of work.

    Args:
        folder: an empty folder.
        count: number of damages for each file.
        runs_count: number of damages for each file of a whole run; 0 for no whole runs. One takes about three seconds.
        seed: seed of the places of the damages.
    """
    draw = random.Random(seed)
    for work in works(folder / "base", runs=runs_count > 0):
        base = folder / "base"
        base.mkdir(exist_ok=True)
        state = folder / work.name.replace(" ", "-") / "state"
        state.mkdir(parents=True)
        with in_cache(base / "cache" if work.shared else state / "cache"), suppress(Stop):
            work.prepare(state)
        expected = _continued(work, base, copied(state, folder / "expected" / "state"))
        shutil.rmtree(folder / "expected")
        for file in _files(state):
            relative = file.relative_to(state)
            for kind, damage, is_named in damages(draw, runs_count if work.shared else count):
                case = partial(_survive, work, folder, state, relative, damage, expected, is_named)
                yield f"{work.name}: damaged file", partial(_with_note, f"{work.name}: {kind} of {relative}", case)
        for limit in (0, 100, 1000, 5000, 20_000):
            case = partial(_survive_full_disk, work, folder, state, limit, expected)
            yield f"{work.name}: full disk", partial(_with_note, f"{work.name}: files of at most {limit} bytes", case)


def _files(state: Path) -> list[Path]:
    """Return the files to damage: all but locks, and of the images of a data set the first."""
    files = [path for path in sorted(state.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    images = [path for path in files if path.suffix == ".jpg"]
    return [path for path in files if path not in images[1:]]


def _with_note(note: str, case: Callable[[], None]) -> None:
    """Try a case; an error says which one it was."""
    try:
        case()
    except Exception as error:
        error.add_note(note)
        raise


def _continued(work: Work, base: Path, copy: Path) -> bytes:
    with in_cache(base / "cache" if work.shared else copy / "cache"), time_limit(LIMIT_S):
        return hashlib.sha256(work.result(copy)).digest()


def _survive(
    work: Work, folder: Path, state: Path, relative: Path, damage: Damage, expected: bytes, is_named: bool
) -> None:
    """Damage a file of a copy, and continue there."""
    copy = copied(state, folder / "case" / "state")
    try:
        damage(copy / relative)
        with redirect_stderr(io.StringIO()) as told:
            value = _continued(work, folder / "base", copy)
        assert value == expected, f"{work.name}: {relative}: the values differ"
        assert "fgbench: " in told.getvalue() or not is_named, f"{work.name}: {relative}: the damage is not named"
    finally:
        shutil.rmtree(folder / "case")


def _survive_full_disk(work: Work, folder: Path, state: Path, limit: int, expected: bytes) -> None:
    """Continue with files that cannot grow beyond a limit, then without the limit."""
    copy = copied(state, folder / "case" / "state")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with suppress(FgbenchError):
                assert _continued(work, folder / "base", copy) == expected, "the values on a full disk differ"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert _continued(work, folder / "base", copy) == expected, f"{work.name}: the values after a full disk differ"
    finally:
        shutil.rmtree(folder / "case")
