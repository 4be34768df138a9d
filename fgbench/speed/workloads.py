"""Methods as their recipes have them, with random weights, to be timed: from pixels, or from files, to scores."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fgbench.backbones import load_backbone, split_stream
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.synthetic.bird_drawing import KEYPOINTS
from fgbench.layers.gmm import Gmm
from fgbench.layers.pca import Pca
from fgbench.methods import Method, Target, Task, methods, options_of
from fgbench.methods.fv_cnn import FisherMethod, FvCnn, FvSift
from fgbench.methods.where_to_focus import SpatialLstmNet
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.runs.row_files import to_images
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.energy import Energy
from fgbench.speed.roofline import Bound, Need, Rates
from fgbench.speed.throughput import Conditions, Speed, Work
from fgbench.util.numeric.seeding import generator

CLASSES = 200
SIFT_DIMS = 128
STAND_INS = "random weights, and for Fisher vectors a random mixture: they take as long as trained ones"


class Recogniser(nn.Module):
    """A method up to the scores of one linear classifier.

    Args:
        method: with or without a softmax layer of its own.
        classes: number of scores.
    """

    def __init__(self, method: Method, classes: int) -> None:
        super().__init__()
        self.method, self.classes = method, classes
        self.weight: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """(B, classes) scores of images (B, 3, H, W) uint8."""
        outputs = self.method.predict(images)
        if outputs.logits.shape[1]:
            return outputs.logits
        if self.weight is None:
            weight = torch.randn(self.classes, outputs.embedding.shape[1], generator=generator(0, "scores"))
            self.weight = weight.to(outputs.embedding.device)
        return outputs.embedding @ self.weight.T


def build(
    recipe: Recipe,
    profile: str = "paper",
    device: str = "cpu",
    classes: int = CLASSES,
    options: Mapping[str, bool | int | float | str] = MappingProxyType({}),
) -> Recogniser:
    """A recipe's method with random weights, in inference mode on a device; `options` over the recipe's own."""
    settings = recipe.resolve(profile)
    loaded = {s: load_backbone(*split_stream(s), pretrained=False) for s in dict.fromkeys(_streams(recipe, settings))}
    backbones = [loaded[stream] for stream in _streams(recipe, settings)]
    task = Task(classes, size_px(settings), KEYPOINTS if "parts" in recipe.train else ())
    chosen = options_of(recipe.method, {**settings.options, **options})
    method = methods[recipe.method](backbones, task, chosen, generator(0, "initial weights"))
    method = method.to(device).eval()
    if isinstance(method, FisherMethod):
        _mix(method, torch.device(device))
    return Recogniser(method, classes)


def _streams(recipe: Recipe, settings: Settings) -> Sequence[str]:
    """The second stream of FV-CNN is for fine-tuning alone."""
    return settings.backbones[:1] if recipe.method == "fv_cnn" else settings.backbones


def size_px(settings: Settings) -> int:
    """Side in pixels of the images that a method is given."""
    return Pipeline.parse(settings.test_pipeline).output_size


def _mix(method: FisherMethod, device: torch.device) -> None:
    """A mixture, and a projection, in the place of fitted ones."""
    draw, words = generator(0, "mixture"), method.options.words
    if isinstance(method, FvSift):
        dims = method.dims
        rows = torch.linalg.qr(torch.randn(SIFT_DIMS, dims, generator=draw)).Q.T
        method.pca = Pca(torch.zeros(SIFT_DIMS, device=device), rows.contiguous().to(device))
    else:
        assert isinstance(method, FvCnn)
        dims = method.backbone.channels
    means = torch.randn(words, dims, generator=draw).to(device)
    method.gmm = Gmm(torch.full((words,), 1 / words, device=device), means, torch.ones(words, dims, device=device))


def forward_of(module: nn.Module, conditions: Conditions) -> Callable[[Tensor], Tensor]:
    """Inference under conditions: half precision by autocast, compiled if asked; of Where to Focus up to the maps."""
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(conditions.dtype)
    run = module
    if conditions.compiled:
        torch.compiler.reset()  # after a few sizes torch would go on without compiling, and not say so
        method = module.method if isinstance(module, Recogniser) else None
        if isinstance(method, SpatialLstmNet) and "head" not in vars(method):
            # Thousands of small products in a row: as one graph they compile for many minutes.
            method.head = torch.compiler.disable(method.head)  # type: ignore[method-assign,no-untyped-call]
        run = torch.compile(module, mode=conditions.compiled, dynamic=False)  # type: ignore[assignment]

    def forward(images: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(conditions.device, dtype=half, enabled=half is not None):
            return run(images)  # type: ignore[no-any-return]

    return forward


def random_images(batch: int, side: int, device: str = "cpu") -> Tensor:
    """(B, 3, H, W) uint8, channels last in memory."""
    pixels = torch.randint(256, (batch, side, side, 3), dtype=torch.uint8, generator=generator(0, "pixels"))
    return pixels.to(device).permute(0, 3, 1, 2)


def work_of(module: nn.Module, conditions: Conditions) -> Work:
    """A batch of decoded images that lie on the device, recognised."""
    forward = forward_of(module, conditions)
    images = random_images(conditions.batch, conditions.size_px, conditions.device)
    return lambda: forward(images)


def decoding_work_of(
    module: nn.Module, conditions: Conditions, files: Sequence[Path], pipeline: Pipeline, workers: int
) -> Work:
    """A batch of image files read, decoded, resized, copied to the device and recognised, one after the other.

    Args:
        module: as for `work_of`.
        conditions: as for `work_of`.
        files: taken in turn, batch after batch.
        pipeline: its deterministic steps are applied.
        workers: threads that decode.
    """
    forward, device = forward_of(module, conditions), torch.device(conditions.device)
    pool, position = ThreadPoolExecutor(workers), 0

    def decode(file: Path) -> np.ndarray:
        with Image.open(file) as image:
            return pipeline.decode(image)

    def work() -> Tensor:
        nonlocal position
        batch = [files[(position + k) % len(files)] for k in range(conditions.batch)]
        position += conditions.batch
        return forward(to_images(np.stack(list(pool.map(decode, batch))), slice(None), device))

    return work


def training_step_of(module: Recogniser, conditions: Conditions) -> Work:
    """A step of SGD on all layers and all losses, with keypoints where the method needs them."""
    method, half = module.method, {"bf16": torch.bfloat16, "fp16": torch.float16}.get(conditions.dtype)
    method.train()
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-6, momentum=0.9)
    images = random_images(conditions.batch, conditions.size_px, conditions.device)
    labels = torch.arange(conditions.batch, device=images.device) % module.classes
    keypoints = None
    if "parts" in method.NEEDS:
        places = torch.rand(conditions.batch, len(KEYPOINTS), 3, generator=generator(0, "keypoints"))
        keypoints = (places * conditions.size_px).clamp(min=1).to(images.device)
        keypoints[..., 2] = 1

    def work() -> Tensor:
        with torch.autocast(conditions.device, dtype=half, enabled=half is not None):
            target = Target(labels, keypoints)
            loss = torch.stack(list(method.losses(method(images, target), target).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return work


def frames_row(speed: Speed, need: Need, energy: Energy | str, **more: Any) -> FramesRow:
    """A row of what was measured; the bound is added by `with_bound`, when the device's rates are known."""
    conditions = speed.conditions
    joule = {"energy_note": energy} if isinstance(energy, str) else _joule(energy)
    return FramesRow(
        device_type=conditions.device,
        batch=conditions.batch,
        size_px=conditions.size_px,
        dtype=conditions.dtype,
        layout=conditions.layout,
        compiled=conditions.compiled,
        decode=conditions.decode,
        threads=conditions.threads,
        frames_per_s=speed.fps,
        frames_per_s_low=speed.fps_low,
        frames_per_s_high=speed.fps_high,
        steady=speed.steady,
        warmup_s=speed.warmup_s,
        peak_mib=speed.peak_mib,
        peak_of=speed.peak_of,
        best_batch=bool(speed.tried),
        tried=[(trial.batch, trial.fps) for trial in speed.tried],
        stopped=speed.stopped,
        gflop_per_image=need.gflop or None,
        **joule,
        **more,
    )


def _joule(energy: Energy) -> dict[str, Any]:
    return {
        "joule_per_image": energy.joule_per_image,
        "joule_low": energy.joule_low,
        "joule_high": energy.joule_high,
        "power_w": energy.power_w,
        "sm_mhz": energy.sm_mhz,
        "memory_mhz": energy.memory_mhz,
        "held_down_by": list(dict.fromkeys((*energy.held_down_before, *energy.held_down_since))),
    }


def with_bound(row: FramesRow, found: Bound, rates: Rates) -> FramesRow:
    """The row beside what the device's rates allow."""
    return row.model_copy(
        update={
            "bound_fps": found.fps,
            "bound_by": found.limited_by,
            "share_of_bound": row.frames_per_s / found.fps,
            "peak_gflop_per_s": rates.flop_per_s / 1e9,
            "bandwidth_gb_per_s": rates.bytes_per_s / 1e9,
        }
    )
