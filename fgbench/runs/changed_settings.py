"""The settings of a recipe with the changes of the user."""

from dataclasses import replace
from typing import Any

from fgbench.backbones import split_stream
from fgbench.backbones.networks import VECTOR_TAPS
from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import FULL, HALF, Settings, Stage
from fgbench.runs.run import Changes
from fgbench.runs.set_values import known_names, with_values
from fgbench.util.errors import FgbenchError, nearest

AFTER_TRAINING = {"svm", "ranking", "mirror"}
"""Settings that the trained network does not depend on."""
PRECISIONS = (FULL, HALF)
"""Precisions of the networks, as Lightning Fabric names them."""


def changed_settings(recipe: Recipe, profile: str, changes: Changes) -> Settings:
    """Return the settings of a recipe under a profile, with the changes of the user.

    Raises:
        MissingError: the recipe does not define the profile.
        FgbenchError: the changes do not fit.
    """
    settings = with_changes(recipe.resolve(profile), changes, recipe.key)
    return with_values(settings, changes.set_values, recipe.key, recipe.method)


def changes_of_start(start: Recipe, profile: str, changes: Changes) -> Changes:
    """Return the changes of the user for a recipe from whose network another one starts.

    They are the same, except what cannot change the network: the recorded test accuracy, and values of the classifier
    after the training. Values of settings that the recipe does not have are left out.

    Args:
        start: the recipe from which the other one starts.
        profile: name of the profile.
        changes: the changes for the other recipe.
    """
    known = known_names(with_changes(start.resolve(profile), changes, start.key), start.method)

    def is_for_network(assignment: str) -> bool:
        name = assignment.partition("=")[0].strip()
        return name in known and name.partition(".")[0] not in AFTER_TRAINING

    kept = tuple(assignment for assignment in changes.set_values if is_for_network(assignment))
    return replace(changes, watch_test=False, watch_every=1, set_values=kept)


def with_changes(settings: Settings, changes: Changes, recipe: str = "the recipe") -> Settings:
    """Return the settings with the changes of the user.

    Raises:
        FgbenchError: an unknown precision, network or tap, a tap that does not fit, or a change without effect.
    """
    update: dict[str, Any] = {"data": changes.data} if changes.data else {}
    if changes.backbone is not None and not settings.backbones:
        raise FgbenchError(f"{recipe} has no network to replace", "leave out --backbone")
    if changes.precision is not None and not settings.backbones:
        raise FgbenchError(f"{recipe} has no network, so it has no precision", "leave out --precision")
    if changes.epochs is not None and not settings.stages:
        raise FgbenchError(f"{recipe} trains no network, so it has no epochs", "leave out --epochs")
    for name in ("train_pipeline", "test_pipeline"):
        pipeline = Pipeline.parse(getattr(settings, name))
        if changes.size is not None:
            pipeline = pipeline.resized(changes.size)
        if changes.recompress is not None:
            pipeline = pipeline.recompressed(changes.recompress)
        update[name] = str(pipeline)
    if changes.backbone is not None:
        update["backbones"] = tuple(_replaced(stream, changes.backbone) for stream in settings.backbones)
        if not any(weights.startswith(f"{split_stream(changes.backbone)[0]}.") for weights in settings.weights):
            update["weights"] = ()  # the recipe names no file of this network: accept any
    if changes.precision is not None:
        if changes.precision not in PRECISIONS:
            raise FgbenchError(
                f"no precision {changes.precision!r}; {nearest(changes.precision, PRECISIONS)}", "--precision 32-true"
            )
        update["precision"] = changes.precision
    if changes.epochs is not None:
        update["stages"] = {name: _shortened(stage, changes.epochs) for name, stage in settings.stages.items()}
    return settings.model_copy(update=update)


def _shortened(stage: Stage, epochs: int) -> Stage:
    """Return a stage with another number of epochs, without the drops of the learning rate that come later."""
    drops = tuple(drop for drop in stage.lr_drops if drop <= epochs)
    return stage.model_copy(update={"epochs": epochs, "lr_drops": drops})


def _replaced(stream: str, other: str) -> str:
    """Return a stream of another network: at its named tap if the stream is a map, at `pool` if it is a vector.

    The label after `#` stays.

    Raises:
        FgbenchError: the other network or its tap is unknown, or the tap is a vector and the stream is a map.
    """
    network, tap = split_stream(other)
    if split_stream(stream)[1] in VECTOR_TAPS:
        tap = tap if tap in VECTOR_TAPS else "pool"
    elif tap in VECTOR_TAPS:
        raise FgbenchError(f"{stream} is a map, {other} is a vector", f"name a map of {network}")
    plain = f"{network}:{tap}"
    split_stream(plain)
    return plain + "".join(stream.partition("#")[1:])
