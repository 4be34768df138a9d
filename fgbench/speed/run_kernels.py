"""The kernels of a run: of a batch of inference and of a step of each stage of training, with their memory.

Methods are built and called with meta tensors, which have sizes but no values, so that counting takes a second or less.
All sizes are those of float32.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from fgbench.backbones import Backbone, load_backbone, split_stream
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import Method, Target, Task, methods, options_of
from fgbench.methods.base import parameters_of
from fgbench.methods.fv_cnn import FisherMethod
from fgbench.papers.settings import Settings, Stage
from fgbench.runs.frozen_networks import sees_few_images
from fgbench.runs.row_files import inference_batch
from fgbench.speed.kernels import Kernel, KernelCounter, count_kernels, saved_bytes
from fgbench.speed.workloads import set_random_mixture
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import deterministic_operations, generator

META = "meta"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of images and classes of a run."""

    train_images: int
    test_images: int
    classes: int
    part_names: tuple[str, ...] = ()
    """Names of the keypoints that training sees."""


@dataclass(frozen=True, slots=True)
class StageKernels:
    """One stage of training."""

    name: str
    stage: Stage
    step: tuple[Kernel, ...]
    """Kernels of a step with the whole batch: forward pass, losses, backward pass, optimizer."""
    saved_bytes: float
    """Memory that the backward pass of a step keeps."""
    gradient_bytes: float
    """Gradients of the trained weights."""
    state_bytes: float
    """State of the optimizer."""
    features_shape: tuple[int, ...]
    """Features of an image if the trunk is computed once; empty if each step computes it."""
    fixed: tuple[Kernel, ...] = ()
    """Kernels of the fixed blocks of the networks for a batch, which are not in `step`."""


@dataclass(frozen=True, slots=True)
class RunKernels:
    """All kinds of batches of a run."""

    batch: int
    """Number of images of a batch of inference."""
    predict: tuple[Kernel, ...]
    """Kernels of a batch of inference."""
    trunk: tuple[Kernel, ...]
    """Kernels of a batch of the trunk; empty if no stage computes it alone."""
    stages: tuple[StageKernels, ...]
    weight_bytes: float
    """Weights and buffers of the method."""
    dims: int
    """Dimensions of the descriptor."""
    fits: bool = False
    """True if the method fits a part, such as a vocabulary, to the training images."""
    sees_few_images: bool = False
    """True if the networks see only images and mirror images, so that the maps of fixed blocks are computed once."""
    mixture: tuple[int, int, int] = (0, 0, 0)
    """Points, dimensions and components of the Gaussian mixture that it fits; zeros if there is none."""


def run_kernels(method: str, settings: Settings, sizes: Sizes) -> RunKernels:
    """Count the kernels of a run.

    Args:
        method: name of the method.
        settings: settings of the run.
        sizes: numbers of images and classes.

    Raises:
        FgbenchError: the settings do not fit the method.
    """
    try:
        # A run uses deterministic operations, and some of them are other kernels.
        with torch.device(META), deterministic_operations(warn_only=True):
            kernels = _count(_build(method, settings, sizes).to(META), settings, sizes)
    except RuntimeError as error:
        raise FgbenchError(f"{method}: its operations cannot be counted without values: {error}") from error
    return replace(kernels, sees_few_images=sees_few_images(method, settings))


def _count(method: Method, settings: Settings, sizes: Sizes) -> RunKernels:
    """Count the kernels of a method on the meta device."""
    if isinstance(method, FisherMethod):
        set_random_mixture(method, torch.device(META))
    test_px = Pipeline.parse(settings.test_pipeline).output_size
    train_px = Pipeline.parse(settings.train_pipeline).output_size
    batch = inference_batch(test_px)
    predict, outputs = _without_gradients(lambda: method.predict(_images(batch, test_px)))
    trunk: tuple[Kernel, ...] = ()
    stages = []
    for name, stage in settings.ordered_stages:
        shape: tuple[int, ...] = ()
        if set(stage.train) <= set(method.HEAD) and not stage.augment:
            trunk, features = _without_gradients(lambda: method.trunk(_images(batch, train_px)))
            shape = tuple(features.shape[1:])
        stages.append(_stage(method, name, stage, shape, train_px, sizes))
    return RunKernels(
        batch=batch,
        predict=predict,
        trunk=trunk,
        stages=tuple(stages),
        weight_bytes=_size_of([*method.parameters(), *method.buffers()]),
        dims=outputs.embedding.shape[1],
        fits=type(method).fit is not Method.fit,
        mixture=_mixture(method),
    )


def _mixture(method: Method) -> tuple[int, int, int]:
    """Return points, dimensions and components of the Gaussian mixture that a method fits."""
    if not isinstance(method, FisherMethod) or method.gmm is None:
        return 0, 0, 0
    words = method.options.words
    return words * method.options.samples_per_word, method.gmm.means.shape[1], words


def _build(kind: str, settings: Settings, sizes: Sizes) -> Method:
    """Return a method without the values of its weights."""
    by_stream = {
        stream: load_backbone(*split_stream(stream), pretrained=False) for stream in dict.fromkeys(settings.backbones)
    }
    if settings.fixed_blocks:
        for network in by_stream.values():
            network.fix_blocks(settings.fixed_blocks)
    backbones = [by_stream[stream] for stream in settings.backbones]
    task = Task(sizes.classes, Pipeline.parse(settings.test_pipeline).output_size, sizes.part_names)
    options = options_of(kind, settings.options)
    return methods[kind](backbones, task, options, generator(0, "initial weights")).eval()


def _stage(method: Method, name: str, stage: Stage, features: tuple[int, ...], side: int, sizes: Sizes) -> StageKernels:
    """Count a step of a stage; with features of the trunk if their shape is given."""
    batch = min(stage.batch_size, sizes.train_images)
    # The groups of the stage are trained, as in the training itself.
    method.requires_grad_(False).eval()
    trained = list({id(p): p for group in stage.train for p in parameters_of(method, group)}.values())
    for parameter in trained:
        parameter.requires_grad_()
    for group in stage.train:
        for module in method.modules_of(group):
            module.train()
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam(trained, lr=stage.lr)
        if stage.optimizer == "adam"
        else torch.optim.SGD(trained, lr=stage.lr, momentum=stage.momentum)
    )
    target = _target(batch, side, sizes)
    inputs = torch.rand(batch, *features) if features else _images(batch, side)
    kept = 0.0

    def step() -> None:
        nonlocal kept
        with saved_bytes([*method.parameters(), *method.buffers(), inputs]) as kept_now:
            outputs = method.head(inputs, target) if features else method(inputs, target)
            losses = method.losses(outputs, target)
            loss = torch.stack([losses[loss] for loss in stage.losses or losses]).sum()
        kept = kept_now[0]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    count_kernels(step)  # allocates the state of the optimizer
    kernels, fixed = _count_apart(method, step)
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return StageKernels(
        name=name,
        stage=stage,
        step=kernels,
        saved_bytes=kept,
        gradient_bytes=_size_of(trained),
        state_bytes=_size_of(states),
        features_shape=features,
        fixed=fixed,
    )


def _count_apart(method: Method, step: Callable[[], None]) -> tuple[tuple[Kernel, ...], tuple[Kernel, ...]]:
    """Return the kernels of a step, and apart from them those of the fixed blocks of all networks."""
    counter, fixed = KernelCounter(), list[Kernel]()

    def moved(compute: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        before = len(counter.kernels)
        maps = compute(images)
        fixed.extend(counter.kernels[before:])
        del counter.kernels[before:]
        return maps

    networks = [module for module in method.modules() if isinstance(module, Backbone) and module.fixed_parameters]
    for network in networks:
        network.cache = partial(moved, network.fixed_maps)
    with counter:
        step()
    for network in networks:
        network.cache = None
    return tuple(counter.kernels), tuple(fixed)


def _target(batch: int, side: int, sizes: Sizes) -> Target:
    """Return labels, and keypoints in the middle of the images if the method sees them."""
    labels = torch.zeros(batch, dtype=torch.int64)
    if not sizes.part_names:
        return Target(labels)
    keypoints = torch.full((batch, len(sizes.part_names), 3), side / 2)
    keypoints[..., 2] = 1
    return Target(labels, keypoints)


def _images(batch: int, side: int) -> Tensor:
    """Return images (B, 3, H, W) uint8, channels last in memory."""
    return torch.zeros(batch, side, side, 3, dtype=torch.uint8).permute(0, 3, 1, 2)


def _without_gradients(work: Callable[[], Result]) -> tuple[tuple[Kernel, ...], Result]:
    """Return the kernels of a function, and its result."""
    results: list[Result] = []
    with torch.no_grad():
        kernels = count_kernels(lambda: results.append(work()))
    return tuple(kernels), results[0]


def _size_of(tensors: Iterable[Tensor]) -> float:
    return float(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
