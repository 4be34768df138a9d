"""Named things of one kind, and the entry points by which a third party adds to them."""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from fgbench.errors import FgbenchError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """`@methods("bcnn")` adds, `methods["bcnn"]` finds. A name stands for one thing: a second is refused.

    Args:
        kind: what the things are, in the singular; other packages add to it by the entry point group
            `fgbench.<kind>s`, each entry naming an object.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._loaded = False

    def __call__(self, name: str) -> Callable[[T], T]:
        """Decorator that registers what follows under `name`; raises FgbenchError when the name is taken."""

        def add(thing: T) -> T:
            if name in self._things:
                raise FgbenchError(f"{self.kind} {name!r} is registered twice")
            self._things[name] = thing
            return thing

        return add

    def __getitem__(self, name: str) -> T:
        """The thing called `name`; raises FgbenchError that names the nearest one."""
        self._load()
        if name not in self._things:
            raise FgbenchError(f"no {self.kind} named {name!r}; {nearest(name, self._things)}")
        return self._things[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._things))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for entry in entry_points(group=f"fgbench.{self.kind}s"):
            self(entry.name)(entry.load())
