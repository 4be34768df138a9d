"""Files of recipes, `reproductions/<paper>/<data>.toml`: their tables, and files that take over those of another file.

A file holds one table for each recipe. A recipe has up to three tables of values, one for each origin: `paper` for
values that the paper prints, `code` for values of the official code where the paper does not give them, and `ours` for
values chosen here. `[defaults]` has the same three tables, for values that all recipes of the file share. `[profiles]`
holds the changes that smaller profiles make. A file with `like` takes over the recipes of another file: all, or those
that `only` names. Its `[changes]` replace values in all of them.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain

ORIGINS = ("paper", "code", "ours")
"""Origins of values."""


class Profile(StrictModel):
    """Changes that a profile makes to a recipe."""

    set: dict[str, Any] = {}
    """New values of fields of `Settings`. Tables are merged, except `stages`, which is replaced."""
    streams: dict[str, str] = {}
    """Replacement of each stream."""


class RecipeTable(StrictModel):
    """One recipe as it is written in its file."""

    title: str = ""
    method: str = ""
    like: str = ""
    """Another recipe of the file. It gives the method and the values that this recipe does not give."""
    variant: bool = False
    """True for an alternative to the recipe that reproduces the printed row; it runs only if asked for by name."""
    train: tuple[Literal["boxes", "parts"], ...] = ()
    """Annotations beyond class labels that training uses."""
    test: tuple[Literal["boxes", "parts"], ...] = ()
    """Annotations beyond class labels that testing uses."""
    paper: dict[str, Any] = {}
    """Values that the paper prints."""
    code: dict[str, Any] = {}
    """Values of the official code."""
    ours: dict[str, Any] = {}
    """Values chosen here."""
    profiles: dict[Literal["quick", "frozen"], Profile] = {}


class RecipeFile(StrictModel):
    """The content of `reproductions/<paper>/<data>.toml`."""

    data: str
    """Name of the data set."""
    like: str = ""
    """Name, without `.toml`, of another file in the folder, whose recipes are taken over for this data set."""
    only: tuple[str, ...] = ()
    """Names of the recipes that are taken over; empty for all. Only for a file with `like`."""
    changes: RecipeTable = RecipeTable()
    """Values that replace those of all recipes; only for a file with `like`."""
    defaults: RecipeTable = RecipeTable()
    recipes: dict[str, RecipeTable] = {}
    profiles: dict[Literal["quick", "frozen"], Profile] = {}


def read_recipe_file(path: Path) -> tuple[RecipeFile, list[str]]:
    """Return a file of recipes, with those that it takes over from another file, and the names of its recipes.

    The file may have more recipes than names: those that it leaves out may still be those that others are like.

    Raises:
        FgbenchError: The file is not valid, or it cannot be like the file that it names.
    """
    file = _read(path)
    if not file.like:
        if file.only:
            raise FgbenchError(f"{path}: only a file with 'like' has 'only'", "remove 'only', or add 'like'")
        return file, list(file.recipes)
    whole = _take_over(path, file)
    if unknown := [name for name in file.only if name not in whole.recipes]:
        raise FgbenchError(f"{path}: {file.like} has no recipe {unknown[0]!r}; {nearest(unknown[0], whole.recipes)}")
    return whole, [name for name in whole.recipes if not file.only or name in file.only or name in file.recipes]


def _take_over(path: Path, file: RecipeFile) -> RecipeFile:
    """Return the file with the recipes, defaults and profiles of the file it is like."""
    others = {other.stem for other in path.parent.glob("*.toml")} - {path.stem, "paper"}
    if file.like not in others:
        raise FgbenchError(f"{path}: it cannot be like {file.like!r}; {nearest(file.like, others)}")
    base = _read(path.with_name(f"{file.like}.toml"))
    if base.like:
        raise FgbenchError(f"{path}: {file.like} is itself like {base.like}", f'write like = "{base.like}"')
    if file.model_fields_set & {"defaults", "profiles"}:
        raise FgbenchError(
            f"{path}: a file with 'like' has no [defaults] and no [profiles] of its own",
            "write the values into [changes] or into the recipes",
        )
    if extra := sorted(file.changes.model_fields_set - set(ORIGINS)):
        raise FgbenchError(f"{path}: [changes] has no {extra[0]!r}, only values by origin: {', '.join(ORIGINS)}")
    return base.model_copy(
        update={"data": file.data, "changes": file.changes, "recipes": {**base.recipes, **file.recipes}}
    )


def _read(path: Path) -> RecipeFile:
    content = read_toml(path)
    try:
        return RecipeFile.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, RecipeFile)}") from error


def ancestry(where: str, name: str, file: RecipeFile) -> list[RecipeTable]:
    """Return the tables of the recipes that a recipe is like, farthest first, and its own table.

    Args:
        where: the place of the recipe, for messages.
        name: name of the recipe.
        file: its file.

    Raises:
        FgbenchError: The recipe is like an unknown one, or recipes are like each other.
    """
    names = [name]
    while parent := file.recipes[names[-1]].like:
        if parent in names or parent not in file.recipes:
            others = [other for other in file.recipes if other not in names]
            raise FgbenchError(f"{where}: it cannot be like {parent!r}; {nearest(parent, others)}")
        names.append(parent)
    return [file.recipes[ancestor] for ancestor in reversed(names)]
