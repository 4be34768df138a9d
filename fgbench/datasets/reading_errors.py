"""What to do after a data set could not be read, for errors that name only the file and the mistake in it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from fgbench.datasets import find
from fgbench.datasets.image_folder import PREFIX
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


@contextmanager
def with_next_step(name: str) -> Iterator[None]:
    """Add the next command to an error without one, raised in this block while a data set is read.

    Args:
        name: name of the data set.
    """
    try:
        yield
    except FgbenchError as error:
        if not error.hint:  # the error stays the same object, so that its kind and its cause are kept
            error.hint = next_step(name)
        raise


def next_step(name: str) -> str:
    """Return what to do with a data set whose files are not as they should be."""
    if name.startswith(PREFIX):
        return f"correct it, then: fgbench data check {shlex.quote(name)}"
    dataset = find(name)
    if dataset.make is not None:
        return f"move its folder out of {cache_folder() / 'data'}; the next command draws it again"
    if dataset.archive is None or not dataset.archive.url:
        return f"put the official file in its place, then: fgbench data check {name}"
    return f"put the official file in its place; fgbench data get {name} gets it again once its folder is moved away"
