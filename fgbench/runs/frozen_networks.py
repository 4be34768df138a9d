"""Networks and layers that a run does not train: their precision, and whether their maps can be cached."""

import torch

from fgbench.backbones import Backbone, load_backbone, split_stream
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods
from fgbench.papers.settings import HALF, Settings
from fgbench.util.errors import FgbenchError


def trains_networks(method: str, settings: Settings) -> bool:
    """Return True if a stage trains a network, or another part of the method before its head."""
    trunk = set(methods[method].TRUNK)
    return any(trunk & set(stage.train) for stage in settings.stages.values())


def sees_few_images(method: str, settings: Settings) -> bool:
    """Return True if fixed layers see only images and mirror images. Their maps can then be cached."""
    if settings.fixed_blocks:
        if methods[method].MAKES_IMAGES:
            return False
        return {step.name for step in Pipeline.parse(settings.train_pipeline).random} <= {"flip"}
    return all(set(stage.train) == {"classifier"} and not stage.augment for stage in settings.stages.values())


def check_fixed_blocks(recipe: str, method: str, settings: Settings) -> None:
    """Check that fixed blocks have an effect, and that the networks of a recipe have as many.

    Raises:
        FgbenchError: no stage trains a network, or a network has too few blocks.
    """
    if not settings.fixed_blocks:
        return
    if not (settings.backbones and trains_networks(method, settings)):
        raise FgbenchError(f"{recipe} trains no network, so that fixed_blocks has no effect", "leave fixed_blocks out")
    for stream in dict.fromkeys(settings.backbones):
        with torch.device("meta"):
            network = load_backbone(*split_stream(stream), pretrained=False)
        network.fix_blocks(settings.fixed_blocks)


def set_precision(network: Backbone, method: str, settings: Settings) -> None:
    """Divide a network after its fixed blocks, and set the precision in which it computes outside of the training."""
    network.uses_bf16 = uses_bf16(method, settings)
    if settings.fixed_blocks:
        network.fix_blocks(settings.fixed_blocks, bf16=settings.precision == HALF)


def uses_bf16(method: str, settings: Settings) -> bool:
    """Return True if the networks compute in bfloat16 outside of the training.

    Under `bf16-mixed` these are networks of runs whose stages train at most the head. The maps of the networks are most
    of the work of such a run. Other runs use bfloat16 in the training and in fixed blocks, and else predict in float32.
    """
    return settings.precision == HALF and not trains_networks(method, settings)
