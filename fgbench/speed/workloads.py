"""Workloads to time: methods of recipes with random weights, from pixels or from files to scores."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fgbench.backbones import load_backbone, split_stream
from fgbench.datasets.image_reading import decoded_image
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
STAND_INS = "random weights, and for Fisher vectors a random mixture: the time is that of trained ones"


class Recogniser(nn.Module):
    """A method with a linear classifier, from images to scores.

    Args:
        method: A method with or without a softmax layer.
        classes: Number of scores.
    """

    def __init__(self, method: Method, classes: int) -> None:
        super().__init__()
        self.method, self.classes = method, classes
        self.weight: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) uint8 to scores (B, classes)."""
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
    """Return the method of a recipe with random weights, in inference mode.

    Args:
        recipe: The recipe.
        profile: Profile of the settings.
        device: `cpu` or `cuda`.
        classes: Number of classes.
        options: Options of the method that replace those of the recipe.
    """
    settings = recipe.resolve(profile)
    streams = _streams(recipe, settings)
    # Equal streams share one network.
    by_stream = {stream: load_backbone(*split_stream(stream), pretrained=False) for stream in dict.fromkeys(streams)}
    backbones = [by_stream[stream] for stream in streams]
    task = Task(classes, size_px(settings), KEYPOINTS if "parts" in recipe.train else ())
    all_options = options_of(recipe.method, {**settings.options, **options})
    method = methods[recipe.method](backbones, task, all_options, generator(0, "initial weights"))
    method = method.to(device).eval()
    if isinstance(method, FisherMethod):
        set_random_mixture(method, torch.device(device))
    return Recogniser(method, classes)


def _streams(recipe: Recipe, settings: Settings) -> Sequence[str]:
    """Return the streams that inference uses; FV-CNN uses its second stream only for fine-tuning."""
    return settings.backbones[:1] if recipe.method == "fv_cnn" else settings.backbones


def size_px(settings: Settings) -> int:
    """Return the side in pixels of the input images."""
    return Pipeline.parse(settings.test_pipeline).output_size


def set_random_mixture(method: FisherMethod, device: torch.device) -> None:
    """Give the method a random mixture, and a random projection, in place of fitted ones."""
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
    """Return the forward pass of a module under conditions.

    Half precision is applied by autocast. If compilation is asked for, the recurrence of Where to Focus stays eager.
    """
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(conditions.dtype)
    runnable = module
    if conditions.compiled:
        method = module.method if isinstance(module, Recogniser) else None
        if isinstance(method, SpatialLstmNet) and "head" not in vars(method):
            # Thousands of small products in sequence take many minutes to compile as one graph.
            method.head = torch.compiler.disable(method.head)  # type: ignore[method-assign,no-untyped-call]
        runnable = torch.compile(module, mode=conditions.compiled, dynamic=False)  # type: ignore[assignment]

    def forward(images: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(conditions.device, dtype=half, enabled=half is not None):
            return runnable(images)  # type: ignore[no-any-return]

    return forward


def random_images(batch: int, side: int, device: str = "cpu") -> Tensor:
    """Return images (B, 3, H, W) uint8, channels last in memory."""
    pixels = torch.randint(256, (batch, side, side, 3), dtype=torch.uint8, generator=generator(0, "pixels"))
    return pixels.to(device).permute(0, 3, 1, 2)


def work_of(module: nn.Module, conditions: Conditions) -> Work:
    """Return the recognition of a batch of decoded images on the device."""
    forward = forward_of(module, conditions)
    images = random_images(conditions.batch, conditions.size_px, conditions.device)
    return lambda: forward(images)


def decoding_work_of(
    module: nn.Module, conditions: Conditions, files: Sequence[Path], pipeline: Pipeline, workers: int
) -> Work:
    """Return the recognition of a batch of image files: read, decode, resize, copy to the device, forward pass.

    Args:
        module: Maps images to scores.
        conditions: Conditions of the forward pass.
        files: Image files; successive batches take successive files, in a cycle.
        pipeline: Preprocessing; its deterministic steps are applied.
        workers: Number of threads that decode.
    """
    forward, device = forward_of(module, conditions), torch.device(conditions.device)
    pool, position = ThreadPoolExecutor(workers), 0

    def decode(file: Path) -> np.ndarray:
        with decoded_image(file) as image:
            return pipeline.decode(image.rgb)

    def work() -> Tensor:
        nonlocal position
        batch = [files[(position + k) % len(files)] for k in range(conditions.batch)]
        position += conditions.batch
        return forward(to_images(np.stack(list(pool.map(decode, batch))), slice(None), device))

    return work


def training_step_of(module: Recogniser, conditions: Conditions) -> Work:
    """Return a training step of SGD on all layers and all losses, with keypoints if the method needs them."""
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


def frames_row(speed: Speed, need: Need, energy: Energy | str, **fields: Any) -> FramesRow:
    """Return a row of measured values; `with_bound` adds the bound, and `measure_alone` the hash of the code.

    Args:
        speed: Measured speed.
        need: Operations and bytes of an image.
        energy: Measured energy, or the reason why there is none.
        fields: Other fields of the row.
    """
    conditions = speed.conditions
    energy_fields = {"energy_note": energy} if isinstance(energy, str) else _energy_fields(energy)
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
        **energy_fields,
        **fields,
    )


def _energy_fields(energy: Energy) -> dict[str, Any]:
    return {
        "joule_per_image": energy.joule_per_image,
        "joule_low": energy.joule_low,
        "joule_high": energy.joule_high,
        "power_w": energy.power_w,
        "sm_mhz": energy.sm_mhz,
        "memory_mhz": energy.memory_mhz,
        "held_down_by": list(dict.fromkeys((*energy.held_down_before, *energy.held_down_since))),
    }


def with_bound(row: FramesRow, bound: Bound, rates: Rates) -> FramesRow:
    """Return the row with the bound and the rates of the device."""
    return row.model_copy(
        update={
            "bound_fps": bound.fps,
            "bound_by": bound.limited_by,
            "share_of_bound": row.frames_per_s / bound.fps,
            "peak_gflop_per_s": rates.flop_per_s / 1e9,
            "bandwidth_gb_per_s": rates.bytes_per_s / 1e9,
        }
    )
