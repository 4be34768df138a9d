"""Recipes: how a paper says to reproduce its numbers, with the origin of every value.

`reproductions/<paper>/<data>.toml` holds one table for each recipe. A recipe has up to three tables of values, one for
each origin: `paper` for values that the paper prints, `code` for values of the official code where the paper does not
give them, and `ours` for values chosen here. Together they give every required field of `Settings`.

`[defaults]` has the same three tables, for values that all recipes of the file share. `[profiles]` holds the changes
that smaller profiles make. A file with `like` takes over the recipes of another file; its `[changes]` replace values in
all of them.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from fgbench.papers.printed import reproductions_root
from fgbench.papers.settings import Settings
from fgbench.util.errors import FgbenchError, MissingError, nearest
from fgbench.util.json_toml import read_toml
from fgbench.util.validation import StrictModel, explain

ORIGINS = ("paper", "code", "ours")
PROFILES = ("quick", "frozen", "paper")


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
    changes: RecipeTable = RecipeTable()
    """Values that replace those of all recipes; only for a file with `like`."""
    defaults: RecipeTable = RecipeTable()
    recipes: dict[str, RecipeTable] = {}
    profiles: dict[Literal["quick", "frozen"], Profile] = {}


class Recipe(StrictModel):
    """A complete recipe: its own values, those of the recipes it is like, and the defaults."""

    name: str
    """`<paper>/<recipe>`; unique together with the data set."""
    title: str
    method: str
    variant: bool
    """True if the recipe runs only when asked for by name."""
    train: tuple[str, ...]
    """Annotations beyond class labels that training uses."""
    test: tuple[str, ...]
    """Annotations beyond class labels that testing uses."""
    settings: Settings
    """All values under the profile `paper`."""
    origins: dict[str, str]
    """`paper`, `code` or `ours` by dotted field name."""
    profiles: dict[str, tuple[Profile, ...]]
    """Changes of the smaller profiles; those of the file come before those of the recipe."""

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
                "recipe", f"{self.key} does not define the profile {profile}", "use the profile quick or paper"
            )
        values = self.settings.model_dump()
        for change in self.profiles.get(profile, ()):
            values["backbones"] = tuple(_replace_stream(stream, change.streams) for stream in values["backbones"])
            for field, value in change.set.items():
                merges = isinstance(value, dict) and isinstance(values.get(field), dict) and field != "stages"
                values[field] = {**values[field], **value} if merges else value
        return _validated_settings(values, f"profile {profile} of {self.key}")


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
        if path.name != "paper.toml":
            recipes |= {recipe.key: recipe for recipe in _load(path)}
    return recipes


def _load(path: Path) -> list[Recipe]:
    file = _read(path)
    if file.like:
        file = _take_over(path, file)
    return [_complete(path, name, file) for name in file.recipes]


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


def _complete(path: Path, name: str, file: RecipeFile) -> Recipe:
    """Return a recipe of a file with the values that it takes from other tables."""
    where = f"{path}: recipe {name!r}"
    tables = _ancestry(where, name, file)
    values: dict[str, Any] = {"data": file.data}
    origins: dict[str, str] = {}
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
    table = tables[-1]
    return Recipe(
        name=f"{path.parent.name}/{name}",
        title=table.title or name,
        method=next((ancestor.method for ancestor in reversed(tables) if ancestor.method), ""),
        variant=table.variant,
        train=table.train,
        test=table.test,
        settings=_validated_settings(values, where),
        origins=origins,
        profiles={
            profile: tuple(
                profiles[profile]
                for profiles in (file.profiles, *(ancestor.profiles for ancestor in tables))
                if profile in profiles
            )
            for profile in ("quick", "frozen")
        },
    )


def _ancestry(where: str, name: str, file: RecipeFile) -> list[RecipeTable]:
    """Return the tables of the recipes that a recipe is like, farthest first, and its own table."""
    names = [name]
    while parent := file.recipes[names[-1]].like:
        if parent in names or parent not in file.recipes:
            others = [other for other in file.recipes if other not in names]
            raise FgbenchError(f"{where}: it cannot be like {parent!r}; {nearest(parent, others)}")
        names.append(parent)
    return [file.recipes[ancestor] for ancestor in reversed(names)]


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
        raise FgbenchError(f"{where}: {error}") from error
