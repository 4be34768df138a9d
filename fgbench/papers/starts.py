"""Recipes that start from the trained network of another recipe, so that their common stages are trained once.

The first stages of such a recipe are all stages of the other one, with equal values. Sharing them therefore changes no
value, only the time.
"""

from collections.abc import Mapping
from typing import Any

from fgbench.papers.settings import Settings, Stage
from fgbench.util.errors import FgbenchError, nearest

SHARED = ("data", "train_pipeline", "precision", "fixed_blocks")
"""Settings besides the stages that must be equal, because they change the trained network."""


def starting_recipe(key: str, start: str, data: str, recipes: Mapping[str, Any]) -> str:
    """Return the key of the recipe that another one starts from.

    Args:
        key: key of the recipe that starts from it.
        start: name of the recipe that it starts from, `<paper>/<recipe>`.
        data: data set of the recipe.
        recipes: all recipes by key `<paper>/<recipe>@<data>`.

    Raises:
        FgbenchError: there is no such recipe, or none for this data set.
    """
    if (other := f"{start}@{data}") in recipes:
        return other
    if elsewhere := sorted(known.partition("@")[2] for known in recipes if known.startswith(f"{start}@")):
        raise FgbenchError(
            f"{key} cannot start from {start!r}, which has no recipe for {data}, only for {', '.join(elsewhere)}",
            "write starts_from with a recipe for the same data set",
        )
    names = {known.partition("@")[0] for known in recipes if known.endswith(f"@{data}")} - {key.partition("@")[0]}
    raise FgbenchError(f"{key} cannot start from {start!r}: no such recipe; {nearest(start, names)}")


def check_shared_stages(key: str, settings: Settings, start: str, start_settings: Settings, profile: str) -> None:
    """Check that the stages of a recipe begin with all stages of the recipe that it starts from.

    Args:
        key: key of the recipe.
        settings: its settings under the profile.
        start: key of the recipe that it starts from.
        start_settings: the settings of that recipe under the profile.
        profile: name of the profile.

    Raises:
        FgbenchError: a stage is missing, is not among the first or differs, or another setting differs that changes the
            trained network.
    """
    where = f"{key} starts from {start}, but under {profile}"
    for field in SHARED:
        here, there = getattr(settings, field), getattr(start_settings, field)
        if here != there:
            raise FgbenchError(f"{where} its {field} is {here!r}, not {there!r}", f"make {field} equal in both")
    for number, (name, stage) in enumerate(start_settings.ordered_stages):
        if name not in settings.stages:
            raise FgbenchError(f"{where} it has no stage {name!r}", "copy the stages of the recipe that it starts from")
        if difference := _difference(settings.stages[name], stage):
            raise FgbenchError(f"{where} its stage {name!r} has {difference}", "make the stage equal in both")
        if settings.ordered_stages[number][0] != name:
            raise FgbenchError(f"{where} its stage {name!r} is not stage {number + 1}", "correct step")


def _difference(here: Stage, there: Stage) -> str:
    """Return the first value besides `step` in which two stages differ, in words; empty if they are equal."""
    fields = [field for field in Stage.model_fields if field != "step"]
    differing = next((field for field in fields if getattr(here, field) != getattr(there, field)), "")
    return differing and f"{differing} = {getattr(here, differing)!r}, not {getattr(there, differing)!r}"
