"""Networks that a run does not train: whether there are some, and their precision."""

from fgbench.methods import methods
from fgbench.papers.settings import Settings


def trains_networks(method: str, settings: Settings) -> bool:
    """Return True if a stage trains a network, or another part of the method before its head."""
    trunk = set(methods[method].TRUNK)
    return any(trunk & set(stage.train) for stage in settings.stages.values())


def uses_bf16(method: str, settings: Settings) -> bool:
    """Return True if the networks compute in bfloat16 outside of the training.

    Under `bf16-mixed` these are networks that no stage trains. Their maps are most of the work of a run. A trained
    network uses bfloat16 in the training only, and then predicts in float32.
    """
    return settings.precision == "bf16-mixed" and not trains_networks(method, settings)
