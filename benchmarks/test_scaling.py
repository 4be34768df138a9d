"""Growth of cost with image size, batch size, number of classes, gallery size, and number of GPUs under torchrun.

The points of a curve are timed alternately, and an exponent is fitted to their medians.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CLOCK
from race import file_version, in_threads, objects_frozen

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.ranking import rank
from fgbench.papers.recipes import load_recipes
from fgbench.records.provenance import cpu_name
from fgbench.runs.training.linear_svm import train_svm
from fgbench.speed.bench_rows import ScalingRow
from fgbench.speed.processor import this_processor
from fgbench.speed.reference import measure_reference, timed
from fgbench.speed.throughput import Conditions
from fgbench.speed.workloads import Recogniser, build, forward_of, random_images
from fgbench.statistics import power_law

pytestmark = pytest.mark.benchmark(timer=CLOCK)
THREADS = 1
"""One thread, because threads that wait for each other on a busy machine distort the curves."""


@dataclass
class Curve:
    """Cost as a function of one size."""

    title: str
    axis: str
    """Varied quantity, with its unit."""
    points: tuple[int, ...]
    prepare: Callable[[int], Callable[[], object]]
    """Returns the work for a size."""
    expected: str
    """Expected exponent, from the arithmetic."""
    device: str = "cpu"
    rounds: int = 5
    returns_seconds: bool = False
    """Whether the work runs in other processes and returns its time."""
    samples: Mapping[int, list[float]] = field(default_factory=dict)
    reference_s: float = 0.0
    """Seconds of the reference workload before the curve."""

    def times(self) -> Mapping[int, list[float]]:
        """Return the seconds of each round by size; later calls return the same times."""
        if not self.samples:
            works = {size: self.prepare(size) for size in self.points}
            samples: dict[int, list[float]] = {size: [] for size in works}
            with in_threads(THREADS), objects_frozen():
                self.reference_s = measure_reference()
                for number in range(self.rounds + 1):
                    for size, work in works.items():
                        call_s, result = timed(work)
                        if number:  # the first round warms up
                            samples[size].append(float(result) if self.returns_seconds else call_s)
            self.samples = samples
        return self.samples

    def exponent(self) -> dict[str, float]:
        """Return the exponent of a power law fitted to the medians; empty for fewer than three points."""
        if len(self.points) < 3:
            return {}
        law = power_law(self.points, [statistics.median(self.times()[size]) for size in self.points])
        return {"exponent": law.exponent, "exponent_low": law.interval.low, "exponent_high": law.interval.high}


_NETWORK: list[Recogniser] = []


def recognition(batch: int, size: int) -> Callable[[], object]:
    """Return recognition by B-CNN [M,M], the cheapest network of the papers."""
    if not _NETWORK:
        _NETWORK.append(build(load_recipes()["bcnn/bcnn_mm@cub"]))
    forward = forward_of(_NETWORK[0], Conditions(batch=batch, size_px=size, device="cpu"))
    images = random_images(batch, size)
    return lambda: forward(images)


def svm_training(classes: int) -> Callable[[], object]:
    """Return training of support vector machines on 800 descriptors of 8,192 values."""
    rng = np.random.default_rng(0)
    labels = np.arange(800) % classes
    x = rng.standard_normal((800, 8192), np.float32) + 0.3 * rng.standard_normal((classes, 8192), np.float32)[labels]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return lambda: train_svm(x, labels, classes)


def linear_scores(classes: int) -> Callable[[], object]:
    """Return the linear classifier on the B-CNN descriptors of 8 images."""
    x, weight = torch.rand(8, 1 << 18), torch.rand(classes, 1 << 18)
    return lambda: x @ weight.T


def gallery_search(gallery: int) -> Callable[[], object]:
    """Return the search for 300 queries in a gallery of 20 images per person, including distances."""
    rng = np.random.default_rng(0)
    sides = (rng.standard_normal((count, 256)).astype(np.float32) for count in (300, gallery))
    features = Features(*sides, metric="euclidean")
    people = gallery // 20
    ids, cameras = np.arange(gallery) % people, rng.integers(6, size=gallery)
    search = Search(np.arange(300) % people, ids, rng.integers(6, size=300), cameras, same_camera="remove")
    return lambda: rank(features, search)


CURVES = (
    Curve(
        "B-CNN [M,M], one image",
        "side of the image, px",
        (112, 160, 224, 320, 448),
        lambda side: recognition(1, side),
        "2, plus the fixed cost of the classifier",
    ),
    Curve("B-CNN [M,M], 160 px", "images in a batch", (1, 2, 4, 8, 16), lambda b: recognition(b, 160), "1"),
    Curve(
        "SVM of 800 x 8,192", "classes", (25, 50, 100, 200, 400), svm_training, "under 1: the inner products are shared"
    ),
    Curve("scores of 8 x 262,144", "classes", (25, 50, 100, 200, 400), linear_scores, "1: the weights are read"),
    Curve("CMC and mAP of 300 queries", "gallery images", (2000, 4000, 8000, 16000, 32000), gallery_search, "1 to 1.1"),
)


def steps_on(devices: int) -> Callable[[], float]:
    """Return a function that gives the seconds of a training step of B-CNN [D,D] with 16 images per GPU."""

    def work() -> float:
        script = Path(__file__).with_name("devices.py")
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(devices), "--standalone"]
        completed = subprocess.run([*command, str(script)], capture_output=True, text=True, check=True)
        return float(json.loads(completed.stdout.splitlines()[-1])["step_s"])

    return work


GPUS = tuple(2**k for k in range(4) if 2**k <= torch.cuda.device_count())
OVER_GPUS = Curve(
    "training step of B-CNN [D,D], 16 images a GPU",
    "GPUs",
    GPUS,
    steps_on,
    "0: the same time on any number of GPUs",
    device="cuda",
    rounds=2,
    returns_seconds=True,
)
ALL = {curve.title: curve for curve in (*CURVES, OVER_GPUS)}


@pytest.mark.parametrize(("title", "at"), [(curve.title, at) for curve in ALL.values() for at in curve.points or (0,)])
def test_scaling(benchmark, title, at):
    curve = ALL[title]
    if curve is OVER_GPUS and len(GPUS) < 2:
        pytest.skip("a curve over GPUs needs at least two CUDA devices")
    benchmark.group = title
    if benchmark.disabled:
        benchmark.pedantic(curve.prepare(at))
        return
    samples = curve.times()[at]
    CLOCK.samples = iter(samples)
    benchmark.pedantic(lambda: None, rounds=len(samples))
    device = torch.cuda.get_device_name() if curve.device == "cuda" else cpu_name()
    fields = {"curve": title, "axis": curve.axis, "at": at, "expected": curve.expected}
    row = ScalingRow(**fields, threads=THREADS, device=device, **curve.exponent())
    benchmark.extra_info |= row.model_dump(mode="json") | {
        "version": file_version(__file__),
        "processor": str(this_processor()),
        "reference_s": curve.reference_s,
    }
