"""Types of the fields of paper files, and checks that several of their models share."""

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Literal, TypeGuard

from pydantic import PlainValidator

from fgbench.util.errors import nearest

Annotation = Literal["boxes", "parts"]
Metric = Literal["accuracy", "class_map", "cmc", "map", "pck", "pcp", "fps"]

_PARAMS: dict[str, set[str]] = {"cmc": {"rank"}, "pck": {"alpha", "part"}, "pcp": {"part"}}
"""Required parameters by metric; the other metrics have none."""


def _is_number(value: object) -> TypeGuard[float]:
    # Pydantic alone would accept "84.1" and true as numbers.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_printed(value: object) -> object:
    if value == "-" or _is_number(value):
        return value
    raise ValueError(f"neither a number nor '-' (got {value!r})")


def _check_param(value: object) -> object:
    if isinstance(value, str) or _is_number(value):
        return value
    raise ValueError(f"neither a number nor a string (got {value!r})")


def _check_margin(value: object) -> object:
    if isinstance(value, str) or (_is_number(value) and value > 0 and isfinite(value)):
        return value
    raise ValueError(f"neither a number above 0 nor the name of a margin (got {value!r})")


Printed = Annotated[float | Literal["-"], PlainValidator(_check_printed)]
Margin = Annotated[float | str, PlainValidator(_check_margin)]
"""A number, or the name of a margin that is derived: `<name>` of the same paper or `<paper>/<name>`."""
Params = dict[str, Annotated[str | int | float, PlainValidator(_check_param)]]


def check_unique(kind: str, ids: Sequence[str]) -> None:
    """Raise a ValueError if an id occurs twice."""
    for name in ids:
        if ids.count(name) > 1:
            raise ValueError(f"more than one {kind} has the id {name!r}")


def check_params(cell: str, metric: str, params: Params) -> None:
    """Raise a ValueError if a metric lacks a parameter or has an unknown one.

    Args:
        cell: name of the cell or claim, for the message.
        metric: name of the metric.
        params: parameters.
    """
    required = _PARAMS.get(metric, set())
    if unknown := sorted(set(params) - required):
        raise ValueError(f"{cell}: {metric} has no parameter {unknown[0]!r}; {nearest(unknown[0], required)}")
    if missing := sorted(required - set(params)):
        raise ValueError(f"{cell}: {metric} needs the parameter {missing[0]!r}")
