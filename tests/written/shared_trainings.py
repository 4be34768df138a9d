"""Prints what recipes save that start from the trained network of another recipe, as a Markdown table.

`python -m tests.written.shared_trainings` counts the recipes of each data set that `fgbench reproduce`
runs, with one seed.
"""

import sys
from collections.abc import Iterator
from itertools import groupby

from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.papers.settings import Stage
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates
from fgbench.speed.planned_costs import official_cost

H100 = gpu_rates("h100")
HEAD = (
    "Profile",
    "Data set",
    "Recipes",
    "that share",
    "Epochs, each alone",
    "shared",
    "Hours on an H100, each alone",
    "shared",
)


def rows(*, with_hours: bool = True) -> Iterator[tuple[str, ...]]:
    """Yield the rows: profiles that train networks, and data sets with recipes that share.

    Args:
        with_hours: estimate the hours under `paper`, which takes half a minute.
    """
    usual = sorted((recipe for recipe in load_recipes().values() if not recipe.variant), key=_data)
    for profile in ("quick", "paper"):
        for data, group in groupby(usual, key=_data):
            recipes = [recipe for recipe in group if profile == "paper" or recipe.profiles.get(profile)]
            sharing = [recipe for recipe in recipes if _shared(recipe, profile)]
            if not sharing or (profile == "quick" and data != "cub"):
                continue  # under quick, all data sets are the same generated birds
            own = sum(_epochs(recipe.own_settings(recipe.resolve(profile), profile).stages) for recipe in recipes)
            again = sum(_epochs(_shared(recipe, profile)) for recipe in sharing)
            hours, more = ("", "")
            if profile == "paper" and with_hours:
                spent = sum(_hours(recipe, "all") for recipe in recipes)
                hours, more = (
                    f"{spent + sum(_hours(_start(recipe), 'training') for recipe in sharing):.1f}",
                    f"{spent:.1f}",
                )
            name = "generated birds" if profile == "quick" else data
            yield profile, name, str(len(recipes)), str(len(sharing)), str(own + again), str(own), hours, more


def _data(recipe: Recipe) -> str:
    return recipe.settings.data


def _start(recipe: Recipe) -> Recipe:
    assert recipe.start is not None
    return recipe.start


def _shared(recipe: Recipe, profile: str) -> dict[str, Stage]:
    """Return the stages that another recipe trains."""
    settings = recipe.resolve(profile)
    own = recipe.own_settings(settings, profile).stages
    return {name: stage for name, stage in settings.stages.items() if name not in own}


def _epochs(stages: dict[str, Stage]) -> int:
    return sum(stage.epochs for stage in stages.values())


def _hours(recipe: Recipe, phase: str) -> float:
    """Return the estimated hours of one seed under `paper`: of a phase, or of all."""
    cost = official_cost(recipe, recipe.own_settings(recipe.settings, "paper"), H100, ASSUMED_HOST)
    assert cost is not None
    return (cost.wall_s if phase == "all" else cost.phase_s[phase]) / 3600


if __name__ == "__main__":
    for row in (HEAD, ("---",) * len(HEAD), *rows()):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
