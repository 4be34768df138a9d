"""Values of settings that the user sets by name, such as `svm.c=10` or `stages.finetune.lr=0.01`."""

import tomllib
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from fgbench.methods import methods
from fgbench.papers.recipes import flatten
from fgbench.papers.settings import Settings
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.validation import explain

REFUSED = {
    "data": "--data NAME",
    "weights": "fgbench weights get NAME, or --backbone",
    "starts_from": "write a recipe of your own",
}
"""Setting that has a command or an option of its own -> what to type instead."""


def with_values(settings: Settings, assignments: Sequence[str], recipe: str, method: str) -> Settings:
    """Return settings with the values that the user sets.

    Args:
        settings: the settings.
        assignments: `NAME=VALUE` each. The value is written as in TOML. Quotes around a text, and the brackets of a
            list, may be left out.
        recipe: key of the recipe, for messages.
        method: name of the method, whose options may be set.

    Raises:
        FgbenchError: an assignment without `=`, an unknown name, a value of another type, or a name that is set twice.
    """
    values = settings.model_dump(mode="json")
    known = known_names(settings, method)
    names = []
    for assignment in assignments:
        name, mark, text = (part.strip() for part in assignment.partition("="))
        if not mark:
            raise FgbenchError(f"--set {assignment!r} has no value", "write NAME=VALUE, such as --set svm.c=10")
        if name in REFUSED:
            raise FgbenchError(f"{name} cannot be set by --set", REFUSED[name])
        if name not in known:
            raise FgbenchError(f"{recipe} has no setting {name!r}; {nearest(name, known)}", f"fgbench show {recipe}")
        if name in names:
            raise FgbenchError(f"--set gives {name} twice", "leave one out")
        names.append(name)
        _set(values, name.split("."), _typed(text, annotation_of(name, method)))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise FgbenchError(f"--set: {explain(error, Settings)}", f"fgbench show {recipe}") from error


def known_names(settings: Settings, method: str) -> set[str]:
    """Return the names of the settings that can be set, with all options of a method."""
    options = {f"options.{name}" for name in methods[method].Options.model_fields}
    return {*flatten(settings.model_dump(mode="json")), *options} - set(REFUSED)


def annotation_of(name: str, method: str) -> Any:
    """Return the type of a setting by its dotted name: a field of `Settings`, or an option of a method.

    Args:
        name: a name of `known_names`.
        method: name of the method.
    """
    place, *parts = name.split(".")
    if place == "options":
        return methods[method].Options.model_fields[".".join(parts)].annotation
    kind: Any = Settings.model_fields[place].annotation
    for part in parts:
        inner = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)]
        if get_origin(kind) is dict:  # the name is a key of the table
            kind = get_args(kind)[1]
        elif inner:
            kind = inner[0].model_fields[part].annotation
    return kind


def _typed(text: str, kind: Any) -> Any:
    """Return the value of a text for a setting of some type.

    A text is taken as it is, with or without quotes. A list may be written without quotes and without brackets, with
    commas between its values; a single value is then a list of one.
    """
    value = _value(text)
    if kind is str:
        return value if isinstance(value, str) else text
    if get_origin(kind) not in {tuple, list} or isinstance(value, list):
        return value
    inner = value.strip() if isinstance(value, str) else text.strip()
    if inner[:1] + inner[-1:] in {"[]", "()"}:
        inner = inner[1:-1]
    parts = [part.strip() for part in inner.split(",")]
    return [_typed(part, get_args(kind)[0]) for part in parts if part]


def _value(text: str) -> Any:
    """Return the value of a text in TOML; the text itself if it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(values: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        values = values[part]
    values[path[-1]] = value
