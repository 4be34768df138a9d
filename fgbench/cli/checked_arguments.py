"""Checks of arguments of the functions of Python, with the bounds and messages of the options of the command line."""

from numbers import Integral
from typing import Any, get_args, get_type_hints

from fgbench.cli.options import Classes, Epochs, ExecutionOptions, Limit, Size
from fgbench.util.errors import FgbenchError

OPTIONS: dict[str, Any] = {
    "classes": Classes,
    "size": Size,
    "epochs": Epochs,
    "limit": Limit,
    "seed": get_type_hints(ExecutionOptions, include_extras=True)["seed"],
}
"""Argument -> type of the option of the same name, which has the smallest value."""


def checked_numbers(**values: object) -> dict[str, int | None]:
    """Return whole numbers as `int` after a check against the smallest value of their options.

    None stands for the default. Whole numbers of numpy are accepted.

    Args:
        values: the arguments by the name of their option.

    Raises:
        FgbenchError: a value is no whole number, or is too small; the message is that of the command line.
    """
    checked: dict[str, int | None] = {}
    for name, value in values.items():
        if value is None:
            checked[name] = None
            continue
        lowest = next(info.min for info in get_args(OPTIONS[name])[1:])
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise FgbenchError(
                f"Invalid value for '{name}': Input should be a valid integer",
                f"write a whole number, such as {name}=5",
            )
        if value < lowest:
            raise FgbenchError(
                f"Invalid value for '{name}': Input should be greater than or equal to {lowest}",
                f"write {name}={lowest} or more" + (", or leave it out" if name != "seed" else ""),
            )
        checked[name] = int(value)
    return checked
