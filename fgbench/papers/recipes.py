"""Recipes: how a paper says to reproduce its numbers, with the origin of every value.

The tables of a recipe together give every required field of `Settings`; see `fgbench.papers.recipe_files`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipe_files import (
    ORIGINS,
    OTHER_FILES,
    Difference,
    Profile,
    RecipeFile,
    ancestry,
    read_recipe_file,
)
from fgbench.papers.settings import Settings
from fgbench.papers.starts import starting_recipe
from fgbench.util.errors import FgbenchError, MissingError, nearest
from fgbench.util.validation import StrictModel, explain

PROFILES = ("quick", "frozen", "paper")


class Recipe(StrictModel):
    """A complete recipe: its own values, those of the recipes it is like, and the defaults."""

    name: str
    """`<paper>/<recipe>`; unique together with the data set."""
    title: str
    method: str
    variant: bool
    """True if the recipe runs only when asked for by name."""
    only_paper: bool
    """True if the recipe runs under the profile `paper` alone."""
    train: tuple[str, ...]
    """Annotations beyond class labels that training uses."""
    test: tuple[str, ...]
    """Annotations beyond class labels that testing uses."""
    settings: Settings
    """All values under the profile `paper`."""
    origins: dict[str, str]
    """`paper`, `code` or `ours` by dotted field name."""
    places: dict[str, str]
    """`<file>.<recipe>` where each value is written, by dotted field name."""
    differs: dict[str, Difference]
    """Steps that differ from the official code, by short names."""
    profiles: dict[str, tuple[Profile, ...]]
    """Changes of the smaller profiles; those of the file come before those of the recipe."""
    start: "Recipe | None" = None
    """The recipe from whose trained network this one starts; None if it trains all of its stages itself."""

    @property
    def key(self) -> str:
        """`<paper>/<recipe>@<data>`."""
        return f"{self.name}@{self.settings.data}"

    @cached_property
    def paper(self) -> str:
        """Id of the paper."""
        return self.name.split("/")[0]

    def resolve(self, profile: str) -> Settings:
        """Return the settings under a profile.

        Raises:
            FgbenchError: The profile is unknown, or its changes are not valid.
            MissingError: The recipe does not define the profile.
        """
        if profile not in PROFILES:
            raise FgbenchError(f"no profile named {profile!r}; {nearest(profile, PROFILES)}")
        if profile != "paper" and not self.profiles.get(profile):
            raise MissingError(
                "recipe",
                f"{self.key} does not define the profile {profile}",
                f"use the profile {'paper' if self.only_paper else 'quick or paper'}",
            )
        values = self.settings.model_dump()
        for change in self.profiles.get(profile, ()):
            values["backbones"] = tuple(_replace_stream(stream, change.streams) for stream in values["backbones"])
            for field, value in change.set.items():
                merges = isinstance(value, dict) and isinstance(values.get(field), dict) and field != "stages"
                values[field] = {**values[field], **value} if merges else value
        settings = _validated_settings(values, f"profile {profile} of {self.key}")
        if settings.starts_from not in {"", self.settings.starts_from}:
            raise FgbenchError(
                f"profile {profile} of {self.key} starts from another recipe",
                f'set starts_from to "{self.settings.starts_from}" or "" in the profile',
            )
        return settings

    def own_settings(self, settings: Settings, profile: str) -> Settings:
        """Return settings of this recipe with only the stages that it trains itself."""
        shared = self.start.resolve(profile).stages if self.start and settings.starts_from else {}
        own = {name: stage for name, stage in settings.stages.items() if name not in shared}
        return settings.model_copy(update={"stages": own})


def _replace_stream(stream: str, replacements: dict[str, str]) -> str:
    """Return the replacement of a stream; a replacement of the unlabelled stream keeps the label."""
    unlabelled, mark, label = stream.partition("#")
    return replacements.get(stream) or replacements.get(unlabelled, unlabelled) + mark + label


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one table with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def load_recipes(root: Path | None = None) -> dict[str, Recipe]:
    """Return every recipe by key `<paper>/<recipe>@<data>`.

    Args:
        root: Folder of papers; None for `reproductions_root()`.

    Raises:
        FgbenchError: A file is not valid, or a recipe is incomplete. The message names the file, the field and the
            nearest known field.
    """
    recipes: dict[str, Recipe] = {}
    for path in sorted((root or reproductions_root()).glob("*/*.toml")):
        if path.stem not in OTHER_FILES:
            file, names = read_recipe_file(path)
            completed = (_complete(path, name, file) for name in names)
            recipes |= {recipe.key: recipe for recipe in completed}
    return with_starts(recipes)


def _complete(path: Path, name: str, file: RecipeFile) -> Recipe:
    """Return a recipe of a file with the values that it takes from other tables."""
    where = f"{path}: recipe {name!r}"
    tables = ancestry(where, name, file)
    values: dict[str, Any] = {"data": file.data}
    origins: dict[str, str] = {}
    places: dict[str, str] = {}
    # Later tables replace values of earlier ones; within a table each value has one origin.
    for table in (file.defaults, *tables, file.changes):
        origins_in_table: dict[str, str] = {}
        for origin in ORIGINS:
            flat = flatten(getattr(table, origin))
            if repeated := sorted(set(flat) & set(origins_in_table)):
                first = origins_in_table[repeated[0]]
                raise FgbenchError(f"{where}: {repeated[0]!r} is given under {first!r} and under {origin!r}")
            origins_in_table |= dict.fromkeys(flat, origin)
            for key, value in flat.items():
                _set_nested(values, key, value)
        origins |= origins_in_table
        places |= {key: table.place_of(key) for key in origins_in_table}
    table = tables[-1]
    return Recipe(
        name=f"{path.parent.name}/{name}",
        title=table.title or name,
        method=next((ancestor.method for ancestor in reversed(tables) if ancestor.method), ""),
        variant=table.variant,
        only_paper=table.only_paper,
        train=table.train,
        test=table.test,
        settings=_validated_settings(values, where),
        origins=origins,
        places=places,
        differs={name: step for table in (file.defaults, *tables) for name, step in table.differs.items()},
        profiles={
            profile: tuple(
                profiles[profile]
                for profiles in (file.profiles, *(ancestor.profiles for ancestor in tables))
                if profile in profiles
            )
            for profile in (() if table.only_paper else ("quick", "frozen"))
        },
    )


def _set_nested(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _validated_settings(values: dict[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise FgbenchError(f"{where}: {explain(error, Settings)}") from error
    except FgbenchError as error:
        raise FgbenchError(f"{where}: {error.args[0]}", error.hint) from error


def with_starts(recipes: dict[str, Recipe]) -> dict[str, Recipe]:
    """Return recipes with the recipes that they start from.

    Raises:
        FgbenchError: a recipe starts from an unknown recipe or from one without this data set, or recipes start from
            each other in a circle.
    """
    complete: dict[str, Recipe] = {}

    def resolved(key: str, chain: tuple[str, ...]) -> Recipe:
        recipe = recipes[key]
        if key not in complete:
            start = recipe.settings.starts_from
            if start:
                other = starting_recipe(key, start, recipe.settings.data, recipes)
                if other in (*chain, key):
                    names = " -> ".join((*chain, key, other))
                    raise FgbenchError(f"recipes start from each other: {names}", f"remove starts_from of {key}")
                recipe = recipe.model_copy(update={"start": resolved(other, (*chain, key))})
            complete[key] = recipe
        return complete[key]

    return {key: resolved(key, ()) for key in recipes}
