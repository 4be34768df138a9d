"""One run, from pixels to a record, each phase kept in the run's work folder so that a killed run goes on."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fgbench import __version__
from fgbench.backbones import load_stream
from fgbench.datasets import datasets
from fgbench.datasets.index import Index
from fgbench.datasets.pixels import cached_pixels
from fgbench.descriptors import batches, embed_all, map_images
from fgbench.errors import FgbenchError
from fgbench.files import write_atomic, write_json
from fgbench.hashing import hash_source
from fgbench.methods import Method, methods, options_of
from fgbench.methods.base import FitContext
from fgbench.pipeline import Pipeline
from fgbench.protocol import test_split, train_split
from fgbench.randomness import generator
from fgbench.records import Record, Store, measure
from fgbench.runs import Run
from fgbench.svm import LinearSvm, train_svm
from fgbench.training import TrainData, train

PHASES = {"pixels": 0.05, "training": 0.5, "fit": 0.1, "descriptors": 0.2, "svm": 0.05, "test": 0.1}
"""Phases of a run with their rough share of its time, for the progress bar."""

Report = Callable[[str, float], object]
"""Called with (what is being done, share of the phase done)."""


class Journal:
    """How long each phase took over all sittings of a run, kept in its work folder."""

    def __init__(self, work: Path) -> None:
        self._path = work / "journal.json"
        stored: dict[str, Any] = {"phase_s": {}, "sittings": 0}
        if self._path.is_file():
            stored = json.loads(self._path.read_text())
        self.phase_s: dict[str, float] = stored["phase_s"]
        self.sittings: int = stored["sittings"] + 1
        self.started: str = stored.get("started", datetime.now(UTC).isoformat(timespec="seconds"))
        self.save()

    def save(self) -> None:
        """Write the journal."""
        write_json(self._path, {"phase_s": self.phase_s, "sittings": self.sittings, "started": self.started})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block towards a phase, also when it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phase_s[name] = self.phase_s.get(name, 0.0) + time.perf_counter() - start
            self.save()


def execute(run: Run, store: Store, work: Path, report: Report = lambda what, share: None) -> Record:
    """Do a run and write its record; goes on from what an interrupted sitting left in `work`, which may go afterwards.

    Raises:
        FgbenchError: the data are not those that were planned with, or a step fails in a way a user can mend.
    """
    torch.use_deterministic_algorithms(True, warn_only=run.device != "cpu")
    torch.manual_seed(run.seed)
    device = torch.device(run.device)
    work.mkdir(parents=True, exist_ok=True)
    journal = Journal(work)
    settings = run.settings
    tell = {phase: _within(report, phase) for phase in PHASES}

    index = _planned_index(run)
    training, test = train_split(index, run.protocol, run.seed), test_split(index, run.protocol)
    assert training.labels is not None
    train_pipeline, test_pipeline = Pipeline.parse(settings.train_pipeline), Pipeline.parse(settings.test_pipeline)
    batch_size = _batch_size(test_pipeline.cached_size)

    def pixels(images: Index, pipeline: Pipeline) -> np.ndarray:
        return cached_pixels(images, pipeline, lambda done, total: tell["pixels"]("decoding images", done / total))

    with journal.phase("pixels"):
        train_pixels, test_pixels = pixels(training.images, test_pipeline), pixels(test.images, test_pipeline)
        augmented = pixels(training.images, train_pipeline) if settings.stages else train_pixels
    method = _build(run, len(index.classes)).to(device)

    with journal.phase("training"):
        curve = train(
            method,
            TrainData(augmented, training.labels, train_pipeline),
            settings.ordered_stages,
            seed=run.seed,
            device=device,
            work=work,
            progress=lambda stage, done, total: tell["training"](f"training, stage {stage}", done / total),
        )
    with journal.phase("fit"):
        _fit(method, train_pixels, batch_size, run, work, tell["fit"])
    scorer = _classifier(method, train_pixels, training.labels, len(index.classes), run, work, journal, tell)
    with journal.phase("test"):
        scores = map_images(
            work / "scores.npy",
            test_pixels,
            scorer,
            batch_size=batch_size,
            device=device,
            progress=lambda done, total: tell["test"]("test images", done / total),
        )
    labels = index.labels[~index.train]
    return store.write(
        {
            **_identity(run),
            "values": measure(np.asarray(scores), labels),
            "curve": [asdict(point) for point in curve],
            "cost": _cost(journal, len(labels)),
            "provenance": _provenance(run, journal),
        },
        {"ids": index.ids[~index.train], "labels": labels, "scores": np.asarray(scores)},
    )


def _within(report: Report, phase: str) -> Report:
    """A report of a phase's share as one of the whole run's."""
    names = list(PHASES)
    before = sum(PHASES[name] for name in names[: names.index(phase)])
    return lambda what, share: report(what, before + PHASES[phase] * share)


def _batch_size(side: int) -> int:
    """Images at a time in inference, by their side in pixels."""
    return 16 if side > 128 else 128


def _planned_index(run: Run) -> Index:
    """The data, checked against the fingerprint the run was planned with."""
    index = datasets[run.settings.data].index()
    if run.changes.classes:
        index = index.first_classes(run.changes.classes)
    protocol = run.protocol
    if (
        type(protocol).of(index, train=protocol.train_sees, test=protocol.test_sees, control=protocol.control)
        != protocol
    ):
        raise FgbenchError(
            f"{run.settings.data} has changed since this run was planned", f"fgbench data check {run.settings.data}"
        )
    return index


def _build(run: Run, classes: int) -> Method:
    loaded = {stream.stream: load_stream(stream) for stream in run.streams}
    backbones = [loaded[stream.stream] for stream in run.streams]
    options = options_of(run.recipe.method, run.settings.options)
    return methods[run.recipe.method](backbones, classes, options, generator(run.seed, "initial weights"))


def _fit(method: Method, pixels: np.ndarray, batch_size: int, run: Run, work: Path, report: Report) -> None:
    """What needs no labels; kept, so that it is done once."""
    if type(method).fit is Method.fit:
        return
    fitted = work / "fitted.pt"
    device = torch.device(run.device)
    method.eval()
    if fitted.is_file():
        method.load_state_dict(torch.load(fitted, map_location=device, weights_only=True))
        return
    context = FitContext(len(pixels), generator(run.seed, "fit"), lambda what: report(what, 0.5))
    with torch.inference_mode():
        method.fit(lambda: batches(pixels, batch_size, device), context)
    write_atomic(fitted, lambda path: torch.save(method.state_dict(), path))


def _classifier(
    method: Method,
    pixels: np.ndarray,
    labels: np.ndarray,
    classes: int,
    run: Run,
    work: Path,
    journal: Journal,
    tell: dict[str, Report],
) -> Callable[[torch.Tensor], torch.Tensor]:
    """What maps images to scores (B, classes): the softmax layer, or an SVM trained on descriptors."""
    mirror = run.settings.mirror
    if run.settings.classifier == "softmax":
        method.eval()
        return _averaged(lambda images: method(images).logits, mirror)
    with journal.phase("descriptors"):
        descriptors = embed_all(
            work / "descriptors.npy",
            method,
            pixels,
            batch_size=_batch_size(pixels.shape[1]),
            device=torch.device(run.device),
            progress=lambda done, total: tell["descriptors"]("descriptors", done / total),
            mirror=mirror,
        )
    with journal.phase("svm"):
        tell["svm"]("support vector machines", 0.0)
        svm = _svm(descriptors, np.tile(labels, 1 + mirror), classes, run)
    method.eval()
    return _averaged(lambda images: svm.scores(method.embed(images)), mirror)


def _averaged(scores: Callable[[torch.Tensor], torch.Tensor], mirror: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """Scores of an image, or the mean of its and its mirror image's."""
    return (lambda images: (scores(images) + scores(images.flip(-1))) / 2) if mirror else scores


def _svm(descriptors: np.ndarray, labels: np.ndarray, classes: int, run: Run) -> LinearSvm:
    if run.settings.svm is None:
        raise FgbenchError(f"{run.recipe.key}: classifier is svm, but there are no settings for it", "add [….svm]")
    return train_svm(descriptors, labels, classes, **run.settings.svm.model_dump())


def _identity(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "recipe": run.recipe.key,
        "title": run.recipe.title,
        "method": run.recipe.method,
        "profile": run.profile,
        "seed": run.seed,
        "settings": run.settings.model_dump(mode="json"),
        "protocol": json.loads(json.dumps(asdict(run.protocol))),
        "protocol_hash": run.protocol.hash,
        "data": run.settings.data,
        "synthetic": datasets[run.settings.data].synthetic,
        "deviations": [deviation.model_dump() for deviation in run.deviations],
        "weights": [
            {"stream": s.stream, "name": s.name, "sha256": s.sha256, "official": s.official} for s in run.streams
        ],
    }


def _cost(journal: Journal, test_images: int) -> dict[str, Any]:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return {
        "wall_s": sum(journal.phase_s.values()),
        "phase_s": journal.phase_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "test_fps": test_images / journal.phase_s["test"],
        "energy_note": "no GPU was used",
        "sittings": journal.sittings,
    }


def _provenance(run: Run, journal: Journal) -> dict[str, Any]:
    packages = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pillow", "safetensors", "pydantic")
    return {
        "command": os.environ.get("FGBENCH_COMMAND", ""),
        "fgbench": __version__,
        "source": hash_source(),
        **git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if run.device == "cuda" else "cpu",
        "packages": {name: version(name) for name in packages},
        "started": journal.started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state() -> dict[str, Any]:
    """Commit of the checkout that fgbench is imported from and whether it has changes; None where there is none."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    status = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
