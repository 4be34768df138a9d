"""Frames per second of every method and baseline at the input size of its paper, from pixels to scores.

On the CPU: float32 with one image, at the best batch, and from files. On a GPU: float32 eager and bfloat16 compiled,
each with one image and at the best batch. The energy of an image is measured at the best batch in three runs of
FGBENCH_ENERGY_RUN_S seconds (default 20 on a GPU, 1 on a CPU). The memory format is channels last. Weights are random.
Each method is measured in a process of its own; `fgbench speed` measures in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from conftest import CLOCK, write_table
from race import file_version

from fgbench.papers.recipes import load_recipes
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.method_speed import Kind, MethodSpeed, Subject, measure_alone
from fgbench.speed.processor import this_processor
from fgbench.speed.speed_sheet import SpeedSheet
from fgbench.speed.throughput import Conditions, Work, precision
from fgbench.speed.workloads import STAND_INS, training_step_of, work_of

pytestmark = pytest.mark.benchmark(timer=CLOCK)
RECIPES = load_recipes()
METHODS = {
    "FC-CNN [M]": "bcnn/fc_cnn_m",
    "FC-CNN [D]": "bcnn/fc_cnn_d",
    "FV-CNN [M]": "bcnn/fv_cnn_m",
    "FV-CNN [D]": "bcnn/fv_cnn_d",
    "FV-SIFT": "bcnn/fv_sift",
    "B-CNN [M,M]": "bcnn/bcnn_mm",
    "B-CNN [D,M]": "bcnn/bcnn_dm",
    "B-CNN [D,D]": "bcnn/bcnn_dd",
    "B-CNN, version 1": "bcnn/bcnn_v1",
    "Compact B-CNN [D,D], TS 8,192": "bcnn/cbp_ts_dd",
    "Compact B-CNN [D,D], RM 5,000": "bcnn/cbp_rm_dd",
    "B-CNN + SPP [D,M]": "bcnn/bcnn_spp_dm",
    "Where to Focus [D,M]": "where_to_focus/spatial_lstm_dm",
    "Keypoint FCN with fc7": "keypoint_fcn/fc7_model",
    "Keypoint FCN, compact bilinear": "keypoint_fcn/compact_bilinear",
    "Keypoint FCN with part nets": "keypoint_fcn/part_nets",
    "TASN, VGG-19": "tasn/tasn_vgg19",
    "TASN, ResNet-50": "tasn/tasn_r50",
}
"""Recipes by name of the method."""
OPTIONS = {"Compact B-CNN [D,D], RM 5,000": {"dims": 5000}}
"""Options that replace those of the recipe, by name of the method."""
COMPILED = {"dtype": "bf16", "compiled": "default"}
KINDS = {
    "cpu": Kind("cpu"),
    "cpu, best batch": Kind("cpu", best=True),
    "cpu, from files": Kind("cpu", decode=True),
    "cuda": Kind("cuda"),
    "cuda, best batch": Kind("cuda", best=True),
    "cuda bf16 compiled": Kind("cuda", **COMPILED),
    "cuda bf16 compiled, best batch": Kind("cuda", best=True, **COMPILED),
    "cuda bf16 compiled, best batch, from files": Kind("cuda", best=True, decode=True, **COMPILED),
}
DECODED = ("FV-SIFT", "FC-CNN [M]", "FC-CNN [D]", "B-CNN [M,M]", "B-CNN [D,D]", "TASN, ResNet-50")
"""Methods that are also measured from files: decoding an image of one size takes the same time for all methods."""
TRAINED = ("B-CNN [M,M]", "B-CNN [D,D]", "TASN, ResNet-50")
STEPS = {
    "training, cpu": Kind("cpu", training=True),
    "training, cuda": Kind("cuda", training=True, dtype="bf16", batch=16),
}


@dataclass
class Session:
    """What a session has measured."""

    sheet: SpeedSheet = field(default_factory=SpeedSheet)
    infos: list[dict[str, object]] = field(default_factory=list)
    """`extra_info` of the rows of the sheet."""
    measured: dict[tuple[str, str], dict[Kind, MethodSpeed]] = field(default_factory=dict)
    """Speeds by title of the method and device."""

    def speed(self, request: pytest.FixtureRequest, method: str, kind: Kind) -> MethodSpeed:
        """Return a speed; the first call for a method and a device measures all kinds that were selected."""
        if (method, kind.device) not in self.measured:
            params = [item.callspec.params for item in request.session.items if item.path == request.path]
            kinds = [(KINDS | STEPS)[other["kind"]] for other in params if other["method"] == method]
            selected = [other for other in kinds if other.device == kind.device]
            self.measured[method, kind.device] = measure_alone(subject(method), selected)
        return self.measured[method, kind.device][kind]

    def add(self, benchmark, speed: MethodSpeed) -> None:
        """Report a row."""
        self.sheet.add(speed)
        self.infos.append(benchmark.extra_info)
        CLOCK.samples = iter(speed.batch_s)
        benchmark.pedantic(lambda: None, rounds=len(speed.batch_s))
        benchmark.extra_info |= {
            "version": file_version(__file__),
            "stand_ins": STAND_INS,
            "processor": str(this_processor()),
        }
        if speed.row.device_type == "cpu":
            benchmark.extra_info["reference_s"] = speed.reference_s

    def close(self) -> None:
        """Write the rows with their bounds into `extra_info`, before pytest-benchmark writes its file."""
        for info, row in zip(self.infos, self.sheet.rows(), strict=True):
            info.update(row.model_dump(mode="json"))

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """Print the rows; a hook of pytest."""
        if rows := self.sheet.rows():
            terminalreporter.section("frames a second")
            terminalreporter.write_line(str(this_processor()))
            write_table(terminalreporter, [HEADS, *map(line, rows)])


HEADS = ("method", "device", "batch", "px", "numbers", "frames/s", "quartiles", "J/image", "of bound", "paper", "tried")


def line(row: FramesRow) -> tuple[str, ...]:
    """Return a line of the printed table."""
    numbers = ", ".join(word for word in (row.dtype, row.compiled and "compiled", row.decode and "files") if word)
    tried = ", ".join(f"{batch}: {'-' if fps is None else f'{fps:.3g}'}" for batch, fps in row.tried)
    return (
        row.method if row.task == "recognition" else f"{row.method}, {row.task}",
        row.device_type,
        f"{row.batch}{' (best)' if row.best_batch else ''}",
        str(row.size_px),
        numbers,
        f"{row.frames_per_s:.4g}",
        f"{row.frames_per_s_low:.4g} to {row.frames_per_s_high:.4g}",
        "-" if row.joule_per_image is None else f"{row.joule_per_image:.3g}",
        "-" if row.share_of_bound is None else f"{row.share_of_bound:.0%}",
        "-" if row.paper_fps is None else f"{row.paper_fps:g}",
        f"{tried}; {row.stopped}" if row.tried else "",
    )


@pytest.fixture(scope="module")
def session(request) -> Iterator[Session]:
    session = Session()
    request.config.pluginmanager.register(session, "frames")
    yield session
    session.close()


def subject(method: str) -> Subject:
    return Subject(RECIPES[f"{METHODS[method]}@cub"], method, options=OPTIONS.get(method, {}))


def check_device(kind: Kind) -> None:
    if kind.device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def work_once(method: str, kind: Kind, make_work) -> Work:
    """Return the work of a kind, to run it once without measuring it."""
    module = subject(method).build(kind.device)
    return make_work(module, Conditions(kind.batch, subject(method).size_px, kind.device, kind.dtype))


@pytest.mark.parametrize(
    ("method", "kind"),
    [(m, k) for m in METHODS for k, kind in KINDS.items() if not kind.decode or m in DECODED],
)
def test_frames(benchmark, session, request, method, kind):
    check_device(KINDS[kind])
    benchmark.group = f"frames/s, {kind}"
    if benchmark.disabled:
        with precision(KINDS[kind].dtype):
            assert torch.isfinite(benchmark.pedantic(work_once(method, KINDS[kind], work_of))).all()
        return
    session.add(benchmark, session.speed(request, method, KINDS[kind]))


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("method", TRAINED)
def test_training_step(benchmark, session, request, method, kind):
    """Time a step of SGD on all layers, with one image on the CPU or 16 in bfloat16 on the GPU."""
    check_device(STEPS[kind])
    benchmark.group = kind
    if benchmark.disabled:
        assert torch.isfinite(benchmark.pedantic(work_once(method, STEPS[kind], training_step_of)))
        return
    session.add(benchmark, session.speed(request, method, STEPS[kind]))
