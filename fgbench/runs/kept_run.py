"""The trained network of a finished run: it is restored from the results folder and predicts for other images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fgbench.backbones.backbone import Backbone
from fgbench.backbones.build import load_backbone
from fgbench.backbones.networks import split_stream
from fgbench.backbones.small_weights import SMALL_NETWORKS
from fgbench.datasets.image_files import ImageFiles
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods, options_of
from fgbench.methods.base import Method, Task
from fgbench.papers.settings import Settings
from fgbench.records.kept_networks import network_path, network_problem, read_network
from fgbench.records.pictures import draw_outputs
from fgbench.records.record import Record, Weights
from fgbench.records.store import store_of
from fgbench.runs.frozen_networks import set_precision
from fgbench.runs.prediction import output_names, predictor
from fgbench.runs.row_files import batches, inference_batch
from fgbench.runs.run import code_of
from fgbench.runs.streams import load_stream, resolve_stream
from fgbench.runs.trained_state import restore
from fgbench.runs.training.linear_svm import LinearSvm
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import deterministic_operations, fixed_threads, generator, refuse_tf32

Report = Callable[[str, float], object]
"""Called with (name of the current step, finished share)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of a trained network for some images."""

    outputs: Mapping[str, np.ndarray]
    """Name -> (N, ...) float32, as `fgbench.runs.prediction.predictor` computes them."""
    drawings: Mapping[str, Sequence[np.ndarray]]
    """Kind -> one picture (h, w, 3) uint8 for each image; empty unless they were asked for."""


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A finished run with its trained network."""

    record: Record
    settings: Settings
    method: Method
    svm: LinearSvm | None
    classes: tuple[str, ...]
    """Names of the classes in the order of the scores; empty if the run gives no scores."""
    part_names: tuple[str, ...]
    """Names of the keypoints that the method finds; empty if it finds none."""
    device: torch.device

    @property
    def pipeline(self) -> Pipeline:
        """Preprocessing of an image before the network."""
        return Pipeline.parse(self.settings.test_pipeline)

    @property
    def draws(self) -> bool:
        """True if the method has drawings: attention, keypoints, or its own."""
        return bool(self.method.OUTPUTS) or type(self.method).draw is not Method.draw

    @property
    def same_code(self) -> bool:
        """True if the run was computed by the code that is installed now."""
        return bool(self.record.provenance.get("source") == code_of(self.record.method))

    def predict(self, images: ImageFiles, report: Report = lambda what, share: None, *, draw: bool = False) -> Answer:
        """Compute the outputs for images.

        Args:
            images: the images after the pipeline of the run.
            report: called with the progress.
            draw: draw attention, keypoints and the method's own pictures, too.

        Raises:
            FgbenchError: an image cannot be decoded.
        """
        compute = predictor(self.method, self.settings, self.svm)
        names = output_names(self.method, self.settings)
        rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
        pictures: dict[str, list[np.ndarray]] = {}
        done, size = 0, inference_batch(self.pipeline.cached_size)
        with _operations_of(self.record, self.device), torch.inference_mode():
            for batch in batches(images, size, self.device):
                computed = compute(batch)
                for name in names:
                    rows[name].append(computed[name].float().cpu().numpy())
                if draw:
                    own = {name: _channels_last(drawn) for name, drawn in self.method.draw(batch).items()}
                    outputs = {name: rows[name][-1] for name in names}
                    for kind, drawn in draw_outputs(_channels_last(batch), outputs, None, own).items():
                        pictures.setdefault(kind, []).extend(drawn)
                done += len(batch)
                report("images", done / len(images))
        return Answer({name: np.concatenate(parts) for name, parts in rows.items()}, pictures)


def open_kept_run(results: Path, run_id: str, device: str | None = None) -> KeptRun:
    """Restore the trained network of a run.

    Args:
        results: results folder.
        run_id: id of the run.
        device: `cpu` or `cuda`; None for the device of the run if it is here.

    Raises:
        FgbenchError: the run is not finished or kept no network; the network is damaged or no longer here; the run
            classifies with boxes or searches for persons; or a weight file of its streams is not here.
    """
    store = store_of(results)
    if not store.has(run_id):
        raise FgbenchError(f"run {run_id} is not finished", f"fgbench log {run_id} --results {results}")
    record = store.read(run_id)
    path = _network_of(record, results)
    settings = Settings.model_validate(record.settings)
    if settings.ranking:
        raise FgbenchError(f"run {run_id} searches for persons and gives no classes", "name a run that classifies")
    if "crop_box" in settings.test_pipeline:
        raise FgbenchError(
            f"run {run_id} sees only the boxes of the objects, which files of images do not have",
            "name a run whose recipe uses no boxes; fgbench show RUN prints its settings",
        )
    arrays = store.outputs(record)
    classes, part_names = (
        tuple(arrays[name].tolist()) if name in arrays else () for name in ("class_names", "part_names")
    )
    sees_parts = "parts" in record.protocol["train_sees"]
    task = Task(
        record.protocol["classes"], Pipeline.parse(settings.test_pipeline).output_size, part_names if sees_parts else ()
    )
    method = _untrained(record, settings, task)
    svm = restore(method, read_network(path), svm=settings.classifier == "svm")
    there = torch.device(device or _device_of(record))
    return KeptRun(record, settings, method.to(there).eval(), svm, classes, part_names, there)


def _network_of(record: Record, results: Path) -> Path:
    """Return the path of the kept network of a record.

    Raises:
        FgbenchError: none was kept, it is not here, or it is not the file that was written with the record.
    """
    again = f"fgbench rm {record.run_id} --results {results}, then run its recipe again with --keep-network"
    if record.external:
        what = "tests a network from outside" if record.external.what == "network" else "has predictions from outside"
        raise FgbenchError(f"run {record.run_id} {what} and keeps none", "name a run that trained its network")
    if not record.network_sha256:
        raise FgbenchError(f"run {record.run_id} kept no network", again)
    path = network_path(results, record.network_sha256)
    if not path.exists():
        raise FgbenchError(f"the network {path} of run {record.run_id} is not here", f"bring it back, or {again}")
    if problem := network_problem(results, record.network_sha256):
        raise FgbenchError(f"run {record.run_id}: its network {problem}", f"bring the file back, or {again}")
    return path


def _untrained(record: Record, settings: Settings, task: Task) -> Method:
    """Build the method of a run; the generators of torch are left as they were."""
    options = options_of(record.method, settings.options)
    with torch.random.fork_rng(devices=[]):
        networks = {entry.stream: _network(entry) for entry in record.weights}
        for network in networks.values():
            set_precision(network, record.method, settings)
        backbones = [networks[stream] for stream in settings.backbones]
        return methods[record.method](backbones, task, options, generator(record.seed, "initial weights"))


def _network(entry: Weights) -> Backbone:
    """Build the network of a stream; its trained weights are loaded later.

    Layers and normalisation of a published network are those of its weight file.

    Raises:
        MissingError: the weight file is not on this machine.
        FgbenchError: it is another one than that of the run.
    """
    network, tap = split_stream(entry.stream)
    if network in SMALL_NETWORKS or network.startswith("timm/"):
        return load_backbone(network, tap, pretrained=False)
    weights = resolve_stream(entry.stream, (entry.name,))
    if weights.sha256 != entry.sha256:
        raise FgbenchError(
            f"{weights.path} is not the weight file {entry.name} of the run", f"bring back the file {entry.sha256}"
        )
    return load_stream(weights)


def _device_of(record: Record) -> str:
    """Return the device of a run if it is on this machine, else `cpu`."""
    return "cuda" if record.provenance.get("device") != "cpu" and torch.cuda.is_available() else "cpu"


@contextmanager
def _operations_of(record: Record, device: torch.device) -> Iterator[None]:
    """Use the operations and the number of threads of a run inside the block."""
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    threads = int(record.provenance.get("threads") or 1)
    with deterministic_operations(warn_only=device.type != "cpu"), fixed_threads(threads):
        refuse_tf32()
        try:
            yield
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32


def _channels_last(images: torch.Tensor) -> np.ndarray:
    """Return images (B, 3, h, w) as an array (B, h, w, 3)."""
    array: np.ndarray = images.permute(0, 2, 3, 1).cpu().numpy()
    return array
