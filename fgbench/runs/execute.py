"""One run, from pixels to a record, each phase kept in the run's work folder so that a killed run goes on."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fgbench.datasets import find
from fgbench.datasets.geometry import input_geometry, to_input
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import Pixels
from fgbench.datasets.reid import ReidIndex
from fgbench.methods import Method, methods, options_of
from fgbench.methods.base import FitContext, Outputs, Task
from fgbench.metrics.person_search import searched_rows
from fgbench.metrics.values import measure
from fgbench.papers.recipes import Settings
from fgbench.records.phase_log import Journal
from fgbench.records.pictures import save_pictures, save_searches, shown_rows
from fgbench.records.provenance import cost, provenance
from fgbench.records.record import Record
from fgbench.records.store import Store
from fgbench.runs.experiment import Experiment, PersonSearch, experiment, protocol_of
from fgbench.runs.planning import Run, reduced, source_of
from fgbench.runs.protocol import Split
from fgbench.runs.row_files import batches, map_images, map_outputs, to_images
from fgbench.runs.streams import load_stream, maps_folder
from fgbench.runs.training.batches import TrainData, middle
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.epoch_watch import Watch
from fgbench.runs.training.linear_svm import LinearSvm, train_svm
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_atomic
from fgbench.util.gpu_board import Meter
from fgbench.util.memory import freed_memory_kept
from fgbench.util.numeric.seeding import generator, use_deterministic

PHASES = {"pixels": 0.05, "training": 0.5, "fit": 0.1, "descriptors": 0.2, "svm": 0.05, "test": 0.1}
"""Phases of a run with their rough share of its time, for the progress bar."""

Report = Callable[[str, float], object]
"""Called with (what is being done, share of the phase done)."""


def execute(run: Run, store: Store, work: Path, report: Report = lambda what, share: None) -> Record | None:
    """Do a run and write its record; goes on from what an interrupted sitting left in `work`, which may go afterwards.

    Of several processes the first writes the record and returns it; the others help to train and return None.

    Raises:
        FgbenchError: the data are not those that were planned with, or a step fails in a way a user can mend.
    """
    use_deterministic(warn_only=run.device != "cpu")
    torch.manual_seed(run.seed)
    settings = run.settings
    engine = Engine(run.device, settings.precision)
    work.mkdir(parents=True, exist_ok=True)
    journal = Journal(work, engine.rank, Meter.of(run.device, engine.processes))

    def told(what: str, share: float) -> None:
        journal.tick()
        report(what, share)

    tell = {phase: _within(told, phase) for phase in PHASES}

    trial = experiment(_planned_index(run), run.protocol, settings, run.seed)
    training, test = trial.training, trial.test
    assert training.labels is not None
    train_pipeline, test_pipeline = Pipeline.parse(settings.train_pipeline), Pipeline.parse(settings.test_pipeline)
    batch_size = _batch_size(test_pipeline.cached_size)

    def pixels(part: Split, pipeline: Pipeline) -> Pixels:
        return trial.pixels(part, pipeline, lambda done, total: tell["pixels"]("decoding images", done / total))

    with journal.phase("pixels"):
        train_pixels, test_pixels = pixels(training, test_pipeline), pixels(test, test_pipeline)
        augmented = pixels(training, train_pipeline) if settings.stages else train_pixels
        watched = pixels(test, train_pipeline) if run.changes.watch_test else None
    method = _build(run, trial, journal).to(engine.device)

    train_data = _train_data(augmented, training, train_pipeline)
    watch = None
    if watched is not None:
        seen = middle(replace(train_data, pixels=watched, keypoints=None)).pixels
        watch = Watch(method, seen, batch_size, engine, work / "watched")

    with journal.phase("training"), freed_memory_kept():
        curve = train(
            method,
            train_data,
            settings.ordered_stages,
            seed=run.seed,
            engine=engine,
            work=work,
            progress=lambda stage, done, total: tell["training"](f"training, stage {stage}", done / total),
            after_epoch=watch or (lambda name, stage, epoch: None),
        )
    if engine.rank:
        return None
    with journal.phase("fit"):
        _fit(method, train_pixels, batch_size, run, work, tell["fit"])
    predict = _classifier(method, train_pixels, training.labels, trial.classes, run, work, journal, tell)
    with journal.phase("test"):
        outputs = map_outputs(
            {name: work / f"test-{name}.npy" for name in _measured(method, settings)},
            test_pixels,
            predict,
            batch_size=batch_size,
            device=engine.device,
            progress=lambda done, total: tell["test"]("test images", done / total),
        )
    _save_pictures(store, run, method, test_pixels, outputs, trial.truth, engine.device)
    with journal.phase("test"):
        arrays = trial.arrays(outputs, test_pipeline) | (watch.arrays(curve) if watch else {})
    if isinstance(trial, PersonSearch):
        save_searches(store.folder, run.id, test_pixels, searched_rows(trial.splits), arrays)
    return store.write(
        {
            **_identity(run),
            "split": trial.name,
            "values": measure(arrays),
            "curve": [asdict(point) for point in curve],
            "cost": cost(journal, len(test_pixels)),
            "provenance": provenance(run.device, journal.started, engine.processes, source_of(run.recipe.method)),
        },
        arrays,
    )


def _measured(method: Method, settings: Settings) -> tuple[str, ...]:
    """The outputs that are measured."""
    own = {"none": (), "ranking": ("embedding",)}.get(settings.classifier, ("scores",))
    return (*own, *method.OUTPUTS)


def _train_data(pixels: Pixels, training: Split, pipeline: Pipeline) -> TrainData:
    """What the protocol lets the method see of the training split."""
    assert training.labels is not None
    images, keypoints = training.images, None
    if images.parts is not None:
        keypoints = to_input(images.parts, *input_geometry(images, pipeline), pipeline.cached_size)
    return TrainData(pixels, training.labels, pipeline, keypoints, images.part_names)


def _save_pictures(
    store: Store,
    run: Run,
    method: Method,
    pixels: Pixels,
    outputs: Mapping[str, np.ndarray],
    truth: Index,
    device: torch.device,
) -> None:
    rows = shown_rows(len(pixels))
    with torch.inference_mode():
        drawn = method.draw(to_images(pixels, rows, device))
    points = None
    if truth.parts is not None:
        shown, pipeline = truth.select(rows), Pipeline.parse(run.settings.test_pipeline)
        assert shown.parts is not None
        points = to_input(shown.parts, *input_geometry(shown, pipeline), pipeline.cached_size)
    save_pictures(
        store.folder,
        run.id,
        np.array(pixels[rows]),
        {name: values[rows] for name, values in outputs.items()},
        points,
        {name: images.permute(0, 2, 3, 1).cpu().numpy() for name, images in drawn.items()},
    )


def _within(report: Report, phase: str) -> Report:
    """A report of a phase's share as one of the whole run's."""
    names = list(PHASES)
    before = sum(PHASES[name] for name in names[: names.index(phase)])
    return lambda what, share: report(what, before + PHASES[phase] * share)


def _batch_size(side: int) -> int:
    """Images at a time in inference, by their side in pixels."""
    return 16 if side > 128 else 128


def _planned_index(run: Run) -> Index | ReidIndex:
    """The data, checked against the fingerprint the run was planned with."""
    index = reduced(find(run.settings.data).index(), run.changes)
    if protocol_of(index, run.recipe, run.settings, shuffle=run.changes.shuffle_labels) != run.protocol:
        raise FgbenchError(
            f"{run.settings.data} has changed since this run was planned", f"fgbench data check {run.settings.data}"
        )
    return index


def _build(run: Run, trial: Experiment, journal: Journal) -> Method:
    loaded = {stream.stream: load_stream(stream) for stream in run.streams}
    if run.device == "cpu" and _backbones_see_cached_images(run.settings):
        for stream in run.streams:
            if not stream.trained_here:
                loaded[stream.stream].keep(maps_folder(stream), journal.recall)
    backbones = [loaded[stream.stream] for stream in run.streams]
    options = options_of(run.recipe.method, run.settings.options)
    size = Pipeline.parse(run.settings.test_pipeline).output_size
    task = Task(trial.classes, size, trial.part_names if "parts" in run.protocol.train_sees else ())
    return methods[run.recipe.method](backbones, task, options, generator(run.seed, "initial weights"))


def _backbones_see_cached_images(settings: Settings) -> bool:
    """Whether networks stay as they are, and see each image and its mirror image alone: not one that is augmented."""
    return all(set(stage.train) == {"classifier"} and not stage.augment for stage in settings.stages.values())


def _fit(method: Method, pixels: Pixels, batch_size: int, run: Run, work: Path, report: Report) -> None:
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

    def images() -> Iterator[Tensor]:
        for number, batch in enumerate(batches(pixels, batch_size, device)):
            yield batch
            report("local descriptors", 0.5 * number * batch_size / len(pixels))

    with torch.inference_mode():
        method.fit(images, context)
    write_atomic(fitted, lambda path: torch.save(method.state_dict(), path))


def _classifier(
    method: Method,
    pixels: Pixels,
    labels: np.ndarray,
    classes: int,
    run: Run,
    work: Path,
    journal: Journal,
    tell: dict[str, Report],
) -> Callable[[Tensor], dict[str, Tensor]]:
    """What maps images to `scores` (B, classes) or `embedding` (B, D), and to the other outputs the method has."""
    mirror, classifier = run.settings.mirror, run.settings.classifier
    if classifier == "ranking":
        method.eval()
        return _predict(method, "embedding", lambda outputs: outputs.embedding, mirror)
    if classifier in {"softmax", "none"}:
        method.eval()
        return _predict(method, "scores", lambda outputs: outputs.logits, mirror)
    with journal.phase("descriptors"):
        method.eval()
        descriptors = map_images(
            work / "descriptors.npy",
            pixels,
            method.embed,
            batch_size=_batch_size(pixels.shape[1]),
            device=torch.device(run.device),
            progress=lambda done, total: tell["descriptors"]("descriptors", done / total),
            mirror=mirror,
        )
    with journal.phase("svm"):
        svm = _svm(descriptors, np.tile(labels, 1 + mirror), classes, run, tell["svm"])
    method.eval()
    return _predict(method, "scores", lambda outputs: svm.scores(outputs.embedding), mirror)


def _predict(
    method: Method, name: str, measured: Callable[[Outputs], Tensor], mirror: bool
) -> Callable[[Tensor], dict[str, Tensor]]:
    """The outputs for images; with `mirror`, what is called `name` is the mean of an image's and its mirror image's."""

    def predict(images: Tensor) -> dict[str, Tensor]:
        outputs = method.predict(images)
        found = {name: getattr(outputs, name) for name in method.OUTPUTS}
        found[name] = measured(outputs)
        if mirror:
            found[name] = (found[name] + measured(method.predict(images.flip(-1)))) / 2
        return found

    return predict


def _svm(descriptors: np.ndarray, labels: np.ndarray, classes: int, run: Run, report: Report) -> LinearSvm:
    if run.settings.svm is None:
        raise FgbenchError(f"{run.recipe.key}: classifier is svm, but there are no settings for it", "add [….svm]")

    def progress(share: float) -> None:
        report("support vector machines", share)

    progress(0.0)
    return train_svm(descriptors, labels, classes, **run.settings.svm.model_dump(), progress=progress)


def _identity(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "recipe": run.recipe.key,
        "title": run.what,
        "method": run.recipe.method,
        "profile": run.profile,
        "seed": run.seed,
        "seeded": run.seeded,
        "settings": run.settings.model_dump(mode="json"),
        "protocol": json.loads(json.dumps(asdict(run.protocol))),
        "protocol_hash": run.protocol.hash,
        "data": run.settings.data,
        "synthetic": find(run.settings.data).synthetic,
        "deviations": [deviation.model_dump() for deviation in run.deviations],
        "weights": [
            {"stream": s.stream, "name": s.name, "sha256": s.sha256, "official": s.official} for s in run.streams
        ],
    }
