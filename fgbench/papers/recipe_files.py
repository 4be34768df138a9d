"""Files of recipes, `reproductions/<paper>/<data>.toml`: their tables, and files that take over those of another file.

A file holds one table for each recipe. A recipe has up to three tables of values, one for each origin: `paper` for
values that the paper prints, `code` for values of the official code where the paper does not give them, and `ours` for
values chosen here. `[defaults]` has the same three tables, for values that all recipes of the file share. `[profiles]`
holds the changes that smaller profiles make. A file with `like` takes over the recipes of another file: all, or those
that `only` names. Its `[changes]` replace values in all of them, and its `[pipelines]` parts of their pipelines.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import PrivateAttr, ValidationError

from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain

ORIGINS = ("paper", "code", "ours")
"""Origins of values."""
OTHER_FILES = ("paper", "sources")
"""Files in the folder of a paper that are not files of recipes."""


class Profile(StrictModel):
    """Changes that a profile makes to a recipe."""

    set: dict[str, Any] = {}
    """New values of fields of `Settings`. Tables are merged, except `stages`, which is replaced."""
    streams: dict[str, str] = {}
    """Replacement of each stream."""


class Difference(StrictModel):
    """A step that fgbench computes in another way than the official code."""

    code: str
    """The step in the official code."""
    here: str
    """The step in fgbench."""


class RecipeTable(StrictModel):
    """One recipe as it is written in its file."""

    title: str = ""
    method: str = ""
    like: str = ""
    """Another recipe of the file. It gives the method and the values that this recipe does not give."""
    variant: bool = False
    """True for an alternative to the recipe that reproduces the printed row; it runs only if asked for by name."""
    only_paper: bool = False
    """True for a recipe that runs under the profile `paper` alone. Another recipe does the same under the others."""
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
    differs: dict[str, Difference] = {}
    """Differences to the official code, by short names. A recipe that is like this one has them too."""
    profiles: dict[Literal["quick", "frozen"], Profile] = {}
    _place: str = PrivateAttr("")
    """`<file>.<recipe>` of the table in the recipe files; `defaults` and `changes` in the place of a recipe."""
    _moved: dict[str, str] = PrivateAttr(default_factory=dict)
    """Places of values that the table of another file replaced, by setting."""

    def place_of(self, setting: str) -> str:
        """Return `<file>.<recipe>` where a value of this table is written."""
        return self._moved.get(setting, self._place)


class Pipelines(StrictModel):
    """Parts of pipelines that the paper replaces for a data set."""

    replaced: dict[str, str] = {}
    """Parts, each with the part in its place."""
    not_in: tuple[str, ...] = ()
    """Recipes that keep their own pipelines, because they follow another source."""


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
    pipelines: Pipelines = Pipelines()
    """Parts of pipelines that differ for this data set; only for a file with `like`."""
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
        for name in file.model_fields_set & {"only", "pipelines"}:
            if getattr(file, name):
                raise FgbenchError(f"{path}: only a file with 'like' has {name!r}", f"remove {name!r}, or add 'like'")
        return file, list(file.recipes)
    whole = _take_over(path, file)
    if unknown := [name for name in file.only if name not in whole.recipes]:
        raise FgbenchError(f"{path}: {file.like} has no recipe {unknown[0]!r}; {nearest(unknown[0], whole.recipes)}")
    return whole, [name for name in whole.recipes if not file.only or name in file.only or name in file.recipes]


def _take_over(path: Path, file: RecipeFile) -> RecipeFile:
    """Return the file with the recipes, defaults and profiles of the file it is like."""
    others = {other.stem for other in path.parent.glob("*.toml")} - {path.stem, *OTHER_FILES}
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
    replaced, keep = file.pipelines.replaced, file.pipelines.not_in
    if unknown := [name for name in keep if name not in base.recipes]:
        raise FgbenchError(f"{path}: {file.like} has no recipe {unknown[0]!r}; {nearest(unknown[0], base.recipes)}")
    texts = [text for table in (base.defaults, *base.recipes.values()) for _, _, text in _pipelines(table)]
    if unused := [part for part in replaced if not any(part in text for text in texts)]:
        raise FgbenchError(f"{path}: no recipe of {file.like} has the pipeline {unused[0]!r}", "remove it")
    place = f"{path.stem}.pipelines"
    recipes = {
        name: table if name in keep else _with_pipelines(table, replaced, place) for name, table in base.recipes.items()
    }
    return base.model_copy(
        update={
            "data": file.data,
            "changes": file.changes,
            "defaults": _with_pipelines(base.defaults, replaced, place),
            "recipes": {**recipes, **file.recipes},
        }
    )


def _pipelines(table: RecipeTable) -> list[tuple[str, str, str]]:
    """Return origin, name and text of the pipelines of a table."""
    names = ("train_pipeline", "test_pipeline")
    return [
        (origin, name, str(getattr(table, origin)[name]))
        for origin in ORIGINS
        for name in names
        if name in getattr(table, origin)
    ]


def _with_pipelines(table: RecipeTable, replaced: Mapping[str, str], place: str) -> RecipeTable:
    """Return a table in which parts of pipelines are replaced; the paper is the origin of changed pipelines.

    Args:
        table: the table.
        replaced: parts of pipelines, each with the part in its place.
        place: where the changed pipelines are written.
    """
    values = {origin: dict(getattr(table, origin)) for origin in ORIGINS}
    moved = {}
    for origin, name, text in _pipelines(table):
        changed = text
        for part, other in replaced.items():
            changed = changed.replace(part, other)
        if changed != text:
            del values[origin][name]
            values["paper"][name] = changed
            moved[name] = place
    changed_table = table.model_copy(update=values)
    changed_table._moved = moved
    return changed_table


def _read(path: Path) -> RecipeFile:
    content = read_toml(path)
    try:
        file = RecipeFile.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, RecipeFile)}") from error
    for name, table in {**file.recipes, "defaults": file.defaults, "changes": file.changes}.items():
        table._place = f"{path.stem}.{name}"
    return file


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
