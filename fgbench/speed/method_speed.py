"""Frames per second of a method, with energy and the rates of the device, each method in a process of its own.

The process has only this method, so that its peak memory is that of the method, and so that an error of one method does
not end the others.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import Recipe
from fgbench.records.provenance import cpu_name
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.best_batch import BatchSpeeds, Make, best_batch
from fgbench.speed.energy import RUN_S, Energy, measure_energy
from fgbench.speed.rapl import ProcessorEnergy
from fgbench.speed.reference import measure_reference
from fgbench.speed.roofline import Need, Rates, count_need, measure_rates
from fgbench.speed.throughput import Conditions, Dtype, Limits, measure_speed, precision, synchronize
from fgbench.speed.workloads import (
    Recogniser,
    build,
    decoding_work_of,
    forward_of,
    frames_row,
    random_images,
    size_px,
    training_step_of,
    work_of,
)
from fgbench.util.code_hash import hash_code
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.gpu_board import board_of
from fgbench.util.processes import in_own_process

LIMITS = {
    "cpu": Limits(window_s=0.05, rounds=7, warmup_s=5.0, budget_s=1.0, search_s=6.0, max_batch=8),
    "cuda": Limits(rounds=15, warmup_s=60.0, budget_s=15.0, search_s=30.0),
}
"""Limits by device. The CPU has few rounds, because VGG-16 takes half a second per image at 448 px."""
ENERGY_RUN = "FGBENCH_ENERGY_RUN_S"
"""Environment variable with the length in seconds of each of the runs whose energy is measured."""
MAX_RUN_S = 3600
"""Longest run whose energy is measured, in seconds."""
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How processes start: copies of a process that has imported everything, where the system can do that."""
ELSEWHERE = "the energy is measured for recognition at the best batch"
"""Note of rows whose energy is not measured."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A method to measure: that of a recipe, with random weights."""

    recipe: Recipe
    title: str
    profile: str = "paper"
    """Profile of the settings, which have the networks and the size of the images."""
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    """Options of the method that replace those of the recipe."""

    @property
    def size_px(self) -> int:
        """Side of the input images."""
        return size_px(self.recipe.resolve(self.profile))

    def build(self, device: str) -> Recogniser:
        """Return the method in inference mode."""
        return build(self.recipe, self.profile, device, options=self.options)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured of a method, and under which conditions."""

    device: str
    """`cpu` or `cuda`."""
    best: bool = False
    """Measure at the batch size with the most frames per second, instead of at `batch`."""
    batch: int = 1
    dtype: Dtype = "fp32"
    compiled: str = ""
    """Mode of torch.compile; empty if the code is not compiled."""
    decode: bool = False
    """Start from image files instead of decoded images."""
    training: bool = False
    """Measure a training step instead of recognition."""


@dataclass(frozen=True, slots=True)
class MethodSpeed:
    """Measured values of one kind."""

    kind: Kind
    row: FramesRow
    """Speed and energy, without the bound."""
    need: Need
    """Operations and bytes of an image."""
    rates: Rates
    """Rates of the device, measured after the speed."""
    batch_s: tuple[float, ...]
    """Seconds of a batch in each window."""
    reference_s: float
    """Seconds of the reference workload before the measurement."""


def measure_alone(subject: Subject, kinds: Sequence[Kind], limits: Limits | None = None) -> dict[Kind, MethodSpeed]:
    """Measure several kinds of one method in a process of their own.

    Args:
        subject: The method.
        kinds: What to measure; all on one device.
        limits: Limits on the length of a measurement; None for those of the device.

    Raises:
        FgbenchError: The process was ended, such as for lack of memory.
        Exception: Errors of the method.
    """
    context: Any = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(["fgbench.speed.method_speed", "torch._dynamo"])
    speeds = in_own_process(f"measures {subject.title}", measure_kinds, subject, tuple(kinds), limits, context=context)
    code = _code()
    return {kind: replace(speed, row=speed.row.model_copy(update={"code": code})) for kind, speed in speeds.items()}


_code = cache(hash_code)
"""Returns the hash of the code, which takes seconds and is the same for all methods."""


def measure_kinds(subject: Subject, kinds: Sequence[Kind], limits: Limits | None = None) -> dict[Kind, MethodSpeed]:
    """Measure several kinds of one method in this process; see `measure_alone`.

    If the best batch is searched, the speed with one image is that of the search, from windows in turns. Training steps
    come last, because they change the method.
    """
    speeds: dict[Kind, MethodSpeed] = {}
    with tempfile.TemporaryDirectory(prefix="fgbench-photographs-") as folder:
        method = _BuiltMethod(subject, kinds[0].device, limits, Path(folder))
        for kind in sorted(kinds, key=lambda kind: (kind.training, not kind.best)):
            if kind not in speeds:
                speeds |= method.measure(kind)
    return {kind: speeds[kind] for kind in kinds}


class _BuiltMethod:
    """A method on its device."""

    def __init__(self, subject: Subject, device: str, limits: Limits | None, folder: Path) -> None:
        torch.backends.cudnn.benchmark = True  # chooses algorithms by timing during the warm-up
        self._subject, self._limits, self._folder = subject, limits or LIMITS[device], folder
        self._module = subject.build(device)
        self._need = count_need(self._module, random_images(1, subject.size_px, device))
        self._rates: dict[Dtype, Rates] = {}

    def measure(self, kind: Kind) -> dict[Kind, MethodSpeed]:
        """Measure a kind, and with a search for the best batch also one image."""
        conditions = Conditions(
            batch=kind.batch,
            size_px=self._subject.size_px,
            device=kind.device,
            dtype=kind.dtype,
            compiled=kind.compiled,
            decode=kind.decode,
            threads=torch.get_num_threads(),
        )
        if kind.compiled:
            torch.compiler.reset()  # torch stops compiling after a few input sizes, without a message
        make, reference_s = self._make(kind), measure_reference()
        with precision(kind.dtype):
            if kind.best:
                found = best_batch(make, conditions, self._limits)
                energy, is_one = _energy(found), found.best.conditions.batch == 1
                speeds = {kind: (found.best, energy)}
                speeds[replace(kind, best=False)] = found.one, energy if is_one else ELSEWHERE
            else:
                speeds = {kind: (measure_speed(make(conditions), conditions, self._limits), ELSEWHERE)}
            fields = _common_fields(self._subject, kind)
            if not kind.training:
                fields |= _difference(self._module, conditions)
        # The best rates of a session count, so that one measurement for each method is enough.
        if kind.dtype not in self._rates:
            self._rates[kind.dtype] = measure_rates(kind.device, kind.dtype)
        return {
            measured: MethodSpeed(
                kind=measured,
                row=frames_row(speed, self._need, energy, **fields),
                need=self._need,
                rates=self._rates[kind.dtype],
                batch_s=tuple(seconds / speed.steps for seconds in speed.window_s),
                reference_s=reference_s,
            )
            for measured, (speed, energy) in speeds.items()
        }

    def _make(self, kind: Kind) -> Make:
        """Return the function that makes the work of a kind under conditions."""
        if kind.training:
            return partial(training_step_of, self._module)
        if not kind.decode:
            return partial(work_of, self._module)
        settings = self._subject.recipe.resolve(self._subject.profile)
        pipeline, files = Pipeline.parse(settings.test_pipeline), photographs(self._folder)
        return partial(decoding_work_of, self._module, files=files, pipeline=pipeline, workers=os.cpu_count() or 1)


def energy_run_s() -> float | None:
    """Return the length that the user chose for a run whose energy is measured; None without a choice.

    Raises:
        FgbenchError: the environment variable is not a number of seconds.
    """
    text = os.environ.get(ENERGY_RUN, "")
    with suppress(ValueError):
        if not text or 0 < float(text) <= MAX_RUN_S:
            return float(text) if text else None
    raise FgbenchError(
        f"{ENERGY_RUN} is {text!r}, and not a number of seconds up to {MAX_RUN_S:,}", f"export {ENERGY_RUN}=20"
    )


def _energy(found: BatchSpeeds) -> Energy | str:
    """Return the energy of an image at the best batch, or the reason why it is not known."""
    conditions = found.best.conditions
    device = torch.device(conditions.device)
    run_s = energy_run_s() or RUN_S[conditions.device]
    try:
        counter = ProcessorEnergy() if conditions.device == "cpu" else board_of(device)
        return measure_energy(
            found.work,
            conditions.batch,
            found.best.step_s,
            counter,
            run_s=run_s,
            synchronize=partial(synchronize, device),
        )
    except MissingError as error:
        return str(error.args[0])


def _common_fields(subject: Subject, kind: Kind) -> dict[str, Any]:
    """Return the fields of a row that do not depend on the measurement."""
    fps, source = printed_fps().get(subject.recipe.key, (None, ""))
    return {
        "method": subject.title,
        "recipe": subject.recipe.key,
        "task": "training step" if kind.training else "recognition",
        "device": torch.cuda.get_device_name() if kind.device == "cuda" else cpu_name(),
        "paper_fps": None if kind.training else fps,
        "paper_source": source,
    }


def _difference(module: Recogniser, conditions: Conditions) -> dict[str, float]:
    """Return the relative difference of the scores from those in float32, as a field of the row.

    Empty for float32, and for methods that localise keypoints: with random weights all places have nearly the same
    score, and the best place depends on rounding.
    """
    if conditions.dtype == "fp32" or "keypoints" in module.method.OUTPUTS:
        return {}
    images = random_images(2, conditions.size_px, conditions.device)
    eager = replace(conditions, compiled="")
    with precision("fp32"):
        exact = forward_of(module, replace(eager, dtype="fp32"))(images).double()
    scores = forward_of(module, eager)(images).double()
    return {"difference_from_fp32": float((scores - exact).norm() / exact.norm())}


@cache
def printed_fps() -> dict[str, tuple[float, str]]:
    """Return the first printed frames per second of each recipe by its key, and their source with the device."""
    cells = [cell for paper in load_papers().values() for cell in paper.cells()]
    return {
        f"{cell.recipe}@{cell.data}": (cell.value, f"{cell.column}, {cell.device or 'device not named'}; {cell.source}")
        for cell in reversed(cells)
        if cell.metric == "fps" and cell.recipe
    }


def photographs(folder: Path, count: int = 32) -> list[Path]:
    """Write JPEG files of smooth noise, which have the usual size of CUB images and compress like photographs."""
    rng = np.random.default_rng(0)
    files = [folder / f"{number:02d}.jpg" for number in range(count)]
    for file in files:
        coarse = rng.integers(0, 256, (50, 62, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 400), Image.Resampling.BICUBIC).save(file, quality=90)
    return files
