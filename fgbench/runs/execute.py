"""One run from images to a record, in five steps: prepare, learn, fit, predict, keep.

Each step saves its results in the run's work folder, so that an interrupted run continues where it stopped.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fgbench.backbones.compiled import compile_networks
from fgbench.datasets.geometry import input_geometry, to_input
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import Pixels
from fgbench.metrics.person_search import searched_rows
from fgbench.metrics.values import measure
from fgbench.records.kept_networks import keep_network
from fgbench.records.phase_log import PhaseLog
from fgbench.records.pictures import save_pictures, save_searches, shown_rows
from fgbench.records.provenance import cost, provenance
from fgbench.records.record import Record
from fgbench.records.store import Store
from fgbench.runs.built_method import build_method
from fgbench.runs.experiment import PersonSearch, experiment
from fgbench.runs.fitting import Fitting
from fgbench.runs.outside_network import OutsideNetwork
from fgbench.runs.planning import planned_index
from fgbench.runs.prediction import output_names, predictor
from fgbench.runs.protocol import Split
from fgbench.runs.row_files import inference_batch, map_images, map_outputs, to_images
from fgbench.runs.run import Run, code_of
from fgbench.runs.run_loggers import training_log
from fgbench.runs.starting_network import start_from_network
from fgbench.runs.trained_state import is_fitted, network_card, restore, tensors_of
from fgbench.runs.training.batches import TrainData, middle
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.epoch_watch import Watch
from fgbench.runs.training.head_features import noted_storage
from fgbench.runs.training.linear_svm import LinearSvm, train_svm
from fgbench.runs.training.loop import Epoch, train
from fgbench.runs.training.training_log import TrainingLog
from fgbench.util.damaged import make_work_folder
from fgbench.util.errors import FgbenchError
from fgbench.util.gpu_board import Meter
from fgbench.util.memory import freed_memory_kept
from fgbench.util.numeric.seeding import fixed_threads, generator, refuse_tf32, use_deterministic

PHASES = {"pixels": 0.05, "training": 0.5, "fit": 0.1, "descriptors": 0.2, "svm": 0.05, "test": 0.1}
"""Phases of a run with their approximate share of its time, for the progress bar."""

Report = Callable[[str, float], object]
"""Called with (name of the current step, finished share of the run)."""


def execute(run: Run, store: Store, work: Path, report: Report = lambda what, share: None) -> Record | None:
    """Execute a run and write its record.

    Args:
        run: the run.
        store: where the record is written.
        work: folder for unfinished work; an interrupted run continues from it. It may be deleted afterwards.
        report: called with the progress.

    Returns:
        The record. With several processes the first writes and returns it; the others train and return None.

    Raises:
        FgbenchError: the data changed since the run was planned, or a step fails in a way that a user can fix.
    """
    with fixed_threads(run.threads):
        execution = Execution(run, store, work, report)
        with execution.engine.together():
            execution.prepare()
        if run.network:
            execution.load(run.network)
        else:
            execution.learn()
        with execution.engine.together():  # the other processes start the next run, or leave the group, with the first
            if execution.engine.rank:
                return None
            execution.fit()
            return execution.keep(execution.predict())


class Execution:
    """The state of one run while it is executed.

    `prepare`, `learn`, `fit`, `predict` and `keep` are called in this order, the last three in the first process only.

    Args:
        run: the run.
        store: where the record is written.
        work: folder for unfinished work.
        report: called with the progress.
    """

    def __init__(self, run: Run, store: Store, work: Path, report: Report) -> None:
        use_deterministic(warn_only=run.device != "cpu")
        refuse_tf32()
        torch.manual_seed(run.seed)
        make_work_folder(work)
        self.run, self.settings, self.store, self.work = run, run.settings, store, work
        self.train_pipeline = Pipeline.parse(run.settings.train_pipeline)
        self.test_pipeline = Pipeline.parse(run.settings.test_pipeline)
        self.batch_size = inference_batch(self.test_pipeline.cached_size)
        self.engine = Engine(run.device, run.settings.precision)
        self.log = PhaseLog(work, self.engine.rank, Meter.of(run.device, self.engine.processes), self.engine.device)
        self._report = report
        self.curve: list[Epoch] = []
        self.svm: LinearSvm | None = None
        self.is_fitted = False
        self.started: dict[str, Any] = {}

    def prepare(self) -> None:
        """Split the data, decode the images, and build the method with its networks."""
        self.trial = experiment(planned_index(self.run), self.run.protocol, self.settings, self.run.seed)
        training, test = self.trial.training, self.trial.test
        with self.log.phase("pixels"):
            self.train_pixels = self._pixels(training, self.test_pipeline)
            self.test_pixels = self._pixels(test, self.test_pipeline)
            trains = self.run.own_stages and not self.run.network
            augmented = self._pixels(training, self.train_pipeline) if trains else self.train_pixels
            watched = self._pixels(test, self.train_pipeline) if self.run.changes.watch_test else None
        self.method = build_method(self.run, self.trial, self.log.recall)
        if not self.run.network:
            with self.log.phase("fit"):
                draw = generator(self.run.seed, "components")
                self._fitting().initialise(self.method, draw, partial(self._progress, "pixels"))
        if self.run.parent:
            self.started = start_from_network(self.run, self.method, self.store.folder.parent, self.work)
        self.method.to(self.engine.device)
        if self.run.changes.compile:
            compile_networks(self.method, self.engine.device)
        self.train_data = _train_data(augmented, training, self.train_pipeline)
        self.watch: Watch | None = None
        if watched is not None:
            seen = middle(replace(self.train_data, pixels=watched, keypoints=None)).pixels
            every, folder = self.run.changes.watch_every, self.work / "watched"
            self.watch = Watch(self.method, seen, self.batch_size, self.engine, folder, every)

    def learn(self) -> None:
        """Train the stages. All processes take part."""
        arguments = self.run, self.store.folder.parent, len(self.train_data.labels)
        log = TrainingLog({}) if self.engine.rank else training_log(*arguments)
        with log, self.log.phase("training"), freed_memory_kept():
            self.curve = train(
                self.method,
                self.train_data,
                self.run.own_stages,
                seed=self.run.seed,
                engine=self.engine,
                work=self.work,
                progress=lambda stage, done, total: self._progress("training", f"training, stage {stage}", done, total),
                after_epoch=self.watch or (lambda name, stage, epoch: None),
                is_kept=self.watch.is_kept if self.watch else (lambda name, stage, epoch: True),
                log=log,
            )

    def load(self, network: OutsideNetwork) -> None:
        """Load a trained network, with what it was fitted to and its SVM as far as its file has them."""
        tensors = network.tensors()
        self.svm = restore(self.method, tensors, svm=self.settings.classifier == "svm")
        self.method.to(self.engine.device)
        self.is_fitted = is_fitted(tensors)

    def fit(self) -> None:
        """Fit the parts that need no labels, and train the SVM, unless they were loaded."""
        if not self.is_fitted:
            with self.log.phase("fit"):
                self._fitting().fit(self.method, generator(self.run.seed, "fit"), partial(self._progress, "fit"))
        if self.svm is None and self.settings.classifier == "svm":
            self.svm = self._train_svm()

    def _fitting(self) -> Fitting:
        return Fitting(self.train_pixels, self.batch_size, self.engine.device, self.work)

    def predict(self) -> dict[str, np.ndarray]:
        """Compute the outputs for every test image.

        Returns:
            Name -> per-sample array of the record.
        """
        self.method.eval()
        with self.log.phase("test"):
            self.outputs = map_outputs(
                {name: self.work / f"test-{name}.npy" for name in output_names(self.method, self.settings)},
                self.test_pixels,
                predictor(self.method, self.settings, self.svm),
                batch_size=self.batch_size,
                device=self.engine.device,
                progress=partial(self._progress, "test", "test images"),
            )
        with self.log.phase("test"):
            arrays = self.trial.arrays(self.outputs, self.test_pipeline)
            return arrays | (self.watch.arrays(self.curve) if self.watch else {})

    def keep(self, arrays: dict[str, np.ndarray]) -> Record:
        """Measure the values, and write pictures, arrays and record.

        Args:
            arrays: per-sample arrays, as `predict` returns them.

        Returns:
            The record.
        """
        self._save_pictures()
        if isinstance(self.trial, PersonSearch):
            rows = searched_rows(self.trial.splits)
            save_searches(self.store.folder, self.run.id, self.test_pixels, rows, arrays)
        with self.log.phase("test"):
            values = measure(arrays)
        if not values:
            raise FgbenchError(f"{self.run.title} gives no value", "check the annotations of the test images")
        fields = {
            **self.run.record_fields(),
            "split": self.trial.name,
            "values": values,
            "curve": [asdict(point) for point in self.curve],
            "cost": {**cost(self.log, len(self.test_pixels)), "expected": self.run.expected},
            "provenance": provenance(
                self.run.device, self.log.started, self.engine.processes, code_of(self.run.recipe.method)
            )
            | noted_storage(self.work)
            | ({"compiled": True} if self.run.changes.compile else {}),
            **self.started,
        }
        if self.run.keep_network:
            tensors, card = tensors_of(self.method, self.svm), network_card(fields, planned_index(self.run))
            fields["network_sha256"] = keep_network(self.store.folder.parent, tensors, card)
        return self.store.write(fields, arrays)

    def _progress(self, phase: str, what: str, done: int, total: int) -> None:
        """Report the progress of a phase as a share of the whole run, and log the time of the phase."""
        self.log.tick()
        names = list(PHASES)
        before = sum(PHASES[name] for name in names[: names.index(phase)])
        self._report(what, before + PHASES[phase] * done / total)

    def _pixels(self, part: Split, pipeline: Pipeline) -> Pixels:
        return self.trial.pixels(part, pipeline, partial(self._progress, "pixels", "decoding images"))

    def _train_svm(self) -> LinearSvm:
        """Compute the descriptors of the training images and their mirror images, and train the SVM on them."""
        if self.settings.svm is None:
            raise FgbenchError(f"{self.run.recipe.key}: classifier is svm, but has no settings", "add [….svm]")
        mirror = self.settings.mirror
        assert self.trial.training.labels is not None
        with self.log.phase("descriptors"):
            self.method.eval()
            descriptors = map_images(
                self.work / "descriptors.npy",
                self.train_pixels,
                self.method.embed,
                batch_size=inference_batch(self.train_pixels.shape[1]),
                device=self.engine.device,
                progress=partial(self._progress, "descriptors", "descriptors"),
                mirror=mirror,
            )

        def progress(share: float) -> None:
            self._progress("svm", "support vector machines", round(1000 * share), 1000)

        with self.log.phase("svm"):
            progress(0.0)
            labels = np.tile(self.trial.training.labels, 1 + mirror)
            options = {**self.settings.svm.model_dump(), "progress": progress, "device": self.engine.device}
            return train_svm(descriptors, labels, self.trial.classes, **options)

    def _save_pictures(self) -> None:
        """Save pictures of a few test images: attention, keypoints, samples."""
        rows = shown_rows(len(self.test_pixels))
        with torch.inference_mode():
            drawn = self.method.draw(to_images(self.test_pixels, rows, self.engine.device))
        points = None
        if self.trial.truth.parts is not None:
            shown = self.trial.truth.select(rows)
            assert shown.parts is not None
            geometry = input_geometry(shown, self.test_pipeline)
            points = to_input(shown.parts, *geometry, self.test_pipeline.cached_size)
        save_pictures(
            self.store.folder,
            self.run.id,
            np.array(self.test_pixels[rows]),
            {name: values[rows] for name, values in self.outputs.items()},
            points,
            {name: images.permute(0, 2, 3, 1).cpu().numpy() for name, images in drawn.items()},
        )


def _train_data(pixels: Pixels, training: Split, pipeline: Pipeline) -> TrainData:
    """Return the training data with only the annotations that the protocol allows."""
    assert training.labels is not None
    images, keypoints = training.images, None
    if images.parts is not None:
        keypoints = to_input(images.parts, *input_geometry(images, pipeline), pipeline.cached_size)
    return TrainData(pixels, training.labels, pipeline, keypoints, images.part_names)
