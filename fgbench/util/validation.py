"""Base class of the models that are read from files, and validation errors in one line."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fgbench.util.errors import nearest

Count = Annotated[int, Field(ge=0, lt=2**53)]
"""A number of things, which JSON keeps exactly."""
MAX_QUOTED = 200
"""Longest quotation of a value in a message, in characters."""


class StrictModel(BaseModel):
    """A frozen model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first mistake of a validation error in one line; for an unknown key, with the most similar known key.

    Args:
        error: the error of pydantic.
        model: the model that was validated.
    """
    mistakes = error.errors()
    # A misspelt key is reported as unknown and as missing. The unknown key is more useful.
    first = next((mistake for mistake in mistakes if mistake["type"] == "extra_forbidden"), mistakes[0])
    path = [str(part) for part in first["loc"]]
    where = f"{'.'.join(path)!r}: " if path else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)!r}; {nearest(path[-1], _keys_at(model, path[:-1]))}"
    if first["type"] == "missing":
        return f"{where}missing"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{where}{message}"
    value = repr(first["input"])
    return f"{where}{message} (got {value if len(value) <= MAX_QUOTED else f'{value[:MAX_QUOTED]} …'})"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """Field names of the model at `path`; tuples and dictionaries of models are followed."""
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            continue
        types = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if models:
            model = models[0]
    return list(model.model_fields)
