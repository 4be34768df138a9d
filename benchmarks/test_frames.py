"""Frames a second of every method and baseline at its paper's input size, from pixels to scores.

On the CPU in float32, one image at a time, and the best batch of the smaller networks. With a GPU in float32 as the
code stands, and in bfloat16 compiled, each with one image and at the best batch, and there the energy of an image:
three runs of FGBENCH_ENERGY_RUN_S seconds, 20 unless said. Networks lie channels last throughout. Weights are random.
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
"""An image of more than that keeps two cores busy for most of a second: more of them are not tried on the CPU."""
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Subject:
    """What is timed."""

    title: str
    recipe: str
    options: dict[str, int] = field(default_factory=dict)

    @property
    def source(self) -> Recipe:
        """Its recipe."""
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
    found = Sheet()
    torch.backends.cudnn.benchmark = True  # its algorithms are chosen by timing, while it warms up
    request.config.pluginmanager.register(_Summary(found), "frames")
    yield found
    found.close()
    built.empty()


class _Summary:
    """Prints the rows at the end."""

    def __init__(self, found: Sheet) -> None:
        self.sheet = found

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """A hook of pytest."""
        if len(lines := self.sheet.lines()) > 1:
            terminalreporter.section("frames a second")
            widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
            for line in lines:
                terminalreporter.write_line("  ".join(word.ljust(w) for word, w in zip(line, widths, strict=True)))


class Workshop:
    """Builds methods, and keeps the last one alone: there is no room for two."""

    def __init__(self) -> None:
        self.key: tuple[str, str] = ("", "")
        self.made: tuple[Recogniser, Need] | None = None

    def __call__(self, subject: Subject, device: str) -> tuple[Recogniser, Need]:
        """The method on a device and what an image needs; skips where there is no such device."""
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        if self.made is None or self.key != (subject.title, device):
            self.empty()
            module = build(subject.source, device=device, options=subject.options)
            self.key = subject.title, device
            self.made = module, count_need(module, random_images(1, _side(subject), device))
        return self.made

    def empty(self) -> None:
        """Forget the last one."""
        self.made = None
        gc.collect()


built = Workshop()


def _side(subject: Subject) -> int:
    return size_px(subject.source.resolve("paper"))


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
    """What stands in `extra_info` beside the row."""
    found: dict[str, object] = {"version": version(__file__), "stand_ins": STAND_INS}
    if device == "cpu":
        found["reference_s"] = sorted(timed(reference)[0] for _ in range(3))[1]
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.title)
def test_frames(benchmark, sheet, subject, kind):
    given, best = KINDS[kind]
    device, decode = str(given["device"]), bool(given.get("decode"))
    module, need = built(subject, device)
    if device == "cpu" and (best or decode) and need.gflop > CPU_GFLOP:
        pytest.skip(f"{need.gflop:.0f} GFLOP an image: on the CPU one image already takes all cores for long")
    conditions = Conditions(batch=1, size_px=_side(subject), threads=torch.get_num_threads(), **given)
    pipeline = Pipeline.parse(subject.source.resolve("paper").test_pipeline)

    def work(batch, compiled):
        asked = replace(conditions, batch=batch, compiled=compiled)
        if decode:
            return decoding_work_of(module, asked, photographs(), pipeline, CORES)
        return work_of(module, asked)

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
    """How far the scores are from those in float32; none where they are in float32.

    Nor for methods that look where keypoints are: with random weights all places are nearly as good, and another
    rounding finds another best.
    """
    if conditions.dtype == "fp32" or "keypoints" in module.method.OUTPUTS:
        return {}
    images = random_images(2, conditions.size_px, conditions.device)
    eager = replace(conditions, compiled="")
    with precision("fp32"):
        true = forward_of(module, replace(eager, dtype="fp32"))(images).double()
    found = forward_of(module, eager)(images).double()
    return {"difference_from_fp32": float((found - true).norm() / true.norm())}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("title", TRAINED)
def test_training_step(benchmark, sheet, title, device):
    """A step of SGD on all layers, one image on the CPU, 16 in bfloat16 on the GPU."""
    subject = next(each for each in SUBJECTS if each.title == title)
    module, need = built(subject, device)
    if device == "cpu" and need.gflop > CPU_GFLOP:
        pytest.skip(f"a step on one image is {3 * need.gflop:.0f} GFLOP")
    given = {"dtype": "bf16", "batch": 16} if device == "cuda" else {"batch": 1}
    conditions = Conditions(size_px=_side(subject), device=device, threads=torch.get_num_threads(), **given)
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
        built.empty()  # no longer as it was
