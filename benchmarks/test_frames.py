"""Frames per second of every method and baseline at the input size of its paper, from pixels to scores.

On the CPU: float32 with one image, and the best batch for the smaller networks. On a GPU: float32 eager and bfloat16
compiled, each with one image and at the best batch. The energy of an image is measured at the best batch in three runs
of FGBENCH_ENERGY_RUN_S seconds (default 20). The memory format is channels last. Weights are random.
"""

import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
import torch
from conftest import CLOCK
from framing import Sheet, device_name, measured, photographs, printed_fps, version
from race import reference, timed

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.speed.roofline import Need, count_need
from fgbench.speed.throughput import Conditions, precision
from fgbench.speed.workloads import (
    STAND_INS,
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

pytestmark = pytest.mark.benchmark(timer=CLOCK)
CPU_GFLOP = 40.0
"""Methods with more operations per image run on the CPU with one image only, which takes most of a second."""
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Subject:
    """A method to time."""

    title: str
    recipe: str
    options: dict[str, int] = field(default_factory=dict)

    @property
    def full_recipe(self) -> Recipe:
        """Return the recipe."""
        return load_recipes()[f"{self.recipe}@cub"]


SUBJECTS = (
    Subject("FC-CNN [M]", "bcnn/fc_cnn_m"),
    Subject("FC-CNN [D]", "bcnn/fc_cnn_d"),
    Subject("FV-CNN [M]", "bcnn/fv_cnn_m"),
    Subject("FV-CNN [D]", "bcnn/fv_cnn_d"),
    Subject("FV-SIFT", "bcnn/fv_sift"),
    Subject("B-CNN [M,M]", "bcnn/bcnn_mm"),
    Subject("B-CNN [D,M]", "bcnn/bcnn_dm"),
    Subject("B-CNN [D,D]", "bcnn/bcnn_dd"),
    Subject("B-CNN, version 1", "bcnn/bcnn_v1"),
    Subject("Compact B-CNN [D,D], TS 8,192", "bcnn/cbp_ts_dd"),
    Subject("Compact B-CNN [D,D], RM 5,000", "bcnn/cbp_rm_dd", {"dims": 5000}),
    Subject("B-CNN + SPP [D,M]", "bcnn/bcnn_spp_dm"),
    Subject("Where to Focus [D,M]", "where_to_focus/spatial_lstm_dm"),
    Subject("Keypoint FCN with fc7", "keypoint_fcn/fc7_model"),
    Subject("Keypoint FCN, compact bilinear", "keypoint_fcn/compact_bilinear"),
    Subject("Keypoint FCN with part nets", "keypoint_fcn/part_nets"),
    Subject("TASN, VGG-19", "tasn/tasn_vgg19"),
    Subject("TASN, ResNet-50", "tasn/tasn_r50"),
)
CUDA = {"device": "cuda"}
BF16 = CUDA | {"dtype": "bf16", "compiled": "default"}
KINDS = {
    "cpu": ({"device": "cpu"}, False),
    "cpu, best batch": ({"device": "cpu"}, True),
    "cpu, from files": ({"device": "cpu", "decode": True}, False),
    "cuda": (CUDA, False),
    "cuda, best batch": (CUDA, True),
    "cuda bf16 compiled": (BF16, False),
    "cuda bf16 compiled, best batch": (BF16, True),
    "cuda bf16 compiled, best batch, from files": (BF16 | {"decode": True}, True),
}
TRAINED = ("B-CNN [M,M]", "B-CNN [D,D]", "TASN, ResNet-50")


@pytest.fixture(scope="module")
def sheet(request) -> Iterator[Sheet]:
    sheet = Sheet()
    torch.backends.cudnn.benchmark = True  # chooses algorithms by timing during the warm-up
    request.config.pluginmanager.register(_Summary(sheet), "frames")
    yield sheet
    sheet.close()
    built.empty()


class _Summary:
    """Prints the rows after the session."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """A hook of pytest."""
        if len(lines := self.sheet.lines()) > 1:
            terminalreporter.section("frames a second")
            widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
            for line in lines:
                terminalreporter.write_line("  ".join(word.ljust(w) for word, w in zip(line, widths, strict=True)))


class Workshop:
    """Builds methods and keeps the last one only, because two may not fit in memory."""

    def __init__(self) -> None:
        self.key: tuple[str, str] = ("", "")
        self.last: tuple[Recogniser, Need] | None = None

    def __call__(self, subject: Subject, device: str) -> tuple[Recogniser, Need]:
        """Return the method on a device and the needs of an image; skip if there is no such device."""
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        if self.last is None or self.key != (subject.title, device):
            self.empty()
            module = build(subject.full_recipe, device=device, options=subject.options)
            self.key = subject.title, device
            self.last = module, count_need(module, random_images(1, _side(subject), device))
        return self.last

    def empty(self) -> None:
        """Drop the last method."""
        self.last = None
        gc.collect()


built = Workshop()


def _side(subject: Subject) -> int:
    return size_px(subject.full_recipe.resolve("paper"))


def _common(subject: Subject, device: str) -> dict[str, object]:
    fps, source = printed_fps().get(subject.recipe, (None, ""))
    return {
        "method": subject.title,
        "recipe": subject.recipe,
        "device": device_name(device),
        "paper_fps": fps,
        "paper_source": source,
    }


def _more(device: str) -> dict[str, object]:
    """Return fields of `extra_info` that are not fields of the row."""
    fields: dict[str, object] = {"version": version(__file__), "stand_ins": STAND_INS}
    if device == "cpu":
        fields["reference_s"] = sorted(timed(reference)[0] for _ in range(3))[1]
    return fields


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.title)
def test_frames(benchmark, sheet, subject, kind):
    fields, best = KINDS[kind]
    device, decode = str(fields["device"]), bool(fields.get("decode"))
    module, need = built(subject, device)
    if device == "cpu" and (best or decode) and need.gflop > CPU_GFLOP:
        pytest.skip(f"{need.gflop:.0f} GFLOP per image: the CPU is timed with one image only")
    conditions = Conditions(batch=1, size_px=_side(subject), threads=torch.get_num_threads(), **fields)
    pipeline = Pipeline.parse(subject.full_recipe.resolve("paper").test_pipeline)

    def work(batch, compiled):
        batch_conditions = replace(conditions, batch=batch, compiled=compiled)
        if decode:
            return decoding_work_of(module, batch_conditions, photographs(), pipeline, CORES)
        return work_of(module, batch_conditions)

    benchmark.group = f"frames/s, {kind}"
    with precision(conditions.dtype):
        if benchmark.disabled:
            assert torch.isfinite(benchmark.pedantic(work(1, ""))).all()
            return
        speed, energy = measured(
            lambda batch: work(batch, ""), conditions, lambda batch: work(batch, conditions.compiled), best
        )
        row = frames_row(speed, need, energy, **_common(subject, device), **_difference(module, conditions))
    sheet.add(benchmark, row, need, [seconds / speed.steps for seconds in speed.window_s], _more(device))


def _difference(module, conditions):
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("title", TRAINED)
def test_training_step(benchmark, sheet, title, device):
    """Time a step of SGD on all layers, with one image on the CPU or 16 in bfloat16 on the GPU."""
    subject = next(subject for subject in SUBJECTS if subject.title == title)
    module, need = built(subject, device)
    if device == "cpu" and need.gflop > CPU_GFLOP:
        pytest.skip(f"a step with one image takes {3 * need.gflop:.0f} GFLOP")
    fields = {"dtype": "bf16", "batch": 16} if device == "cuda" else {"batch": 1}
    conditions = Conditions(size_px=_side(subject), device=device, threads=torch.get_num_threads(), **fields)
    benchmark.group = f"training steps, {device}"
    try:
        work = training_step_of(module, conditions)
        if benchmark.disabled:
            assert torch.isfinite(benchmark.pedantic(work))
            return
        speed, energy = measured(lambda batch: work, conditions)
        row = frames_row(speed, need, energy, task="training step", **_common(subject, device) | {"paper_fps": None})
        sheet.add(benchmark, row, need, [seconds / speed.steps for seconds in speed.window_s], _more(device))
    finally:
        built.empty()  # the step has changed the method
