"""`--data imagefolder:PATH`: the recipes that run on images of the user, and what is printed about these images."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.runs.run import Run
from fgbench.util.errors import FgbenchError

FIRST = "cub"
"""Data set whose recipe is taken if several data sets have a recipe of the same name."""
NEEDS = {"boxes": "boxes of the objects", "parts": "keypoints of the parts"}
"""Annotation -> its name in words."""


def recipes_for_own_images() -> dict[str, Recipe]:
    """Return the recipes by name: those of the data set `cub`, or else of the first that has one of this name."""
    recipes: dict[str, Recipe] = {}
    for recipe in load_recipes().values():
        if recipe.name not in recipes or recipe.settings.data == FIRST:
            recipes[recipe.name] = recipe
    return recipes


def missing_annotations(recipe: Recipe) -> str:
    """Return what a recipe needs beside images and classes, in words; empty if nothing."""
    if recipe.settings.ranking:
        return "identities of persons"
    return " and ".join(NEEDS[kind] for kind in dict.fromkeys((*recipe.train, *recipe.test)))


def check_needs(recipes: Mapping[str, Recipe], names: Iterable[str]) -> None:
    """Check that recipes need only images and classes.

    Args:
        recipes: all recipes, by name.
        names: names of the chosen recipes.

    Raises:
        FgbenchError: a recipe needs annotations that a folder of images does not have.
    """
    usable = [name for name, recipe in recipes.items() if not missing_annotations(recipe)]
    for name in names:
        if name not in usable:
            raise FgbenchError(
                f"{name} needs {missing_annotations(recipes[name])}, which a folder of images does not have",
                f"recipes that need only images and classes: {', '.join(usable)}",
            )


def lines_about(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the numbers of images of runs on images of the user, and a warning if training and test share images."""
    if not (runs and runs[0].changes.data):
        return
    protocol = runs[0].protocol
    yield (
        f"own images: {protocol.train_images:,} for training and {protocol.test_images:,} for test, "
        f"of {protocol.classes:,} classes; they answer no printed number"
    )
    for deviation in runs[0].deviations:
        if deviation.field == "data.leak":
            command = f"fgbench data check {shlex.quote(runs[0].settings.data)}"
            yield f"warning: {deviation.run} also training images, so that the accuracy is too high; see {command}"
