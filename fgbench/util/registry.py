"""Named things of one kind, and the entry points by which a third party adds to them."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from fgbench.util.errors import FgbenchError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """`@methods("bcnn")` adds, `methods["bcnn"]` finds. A name stands for one thing: a second is refused.

    Args:
        kind: what the things are, in the singular; other packages add to it by the entry point group
            `fgbench.<kind>s`, each entry naming an object.
        fits: True for an object that is such a thing.
        needs: what an object has to be, in words.
    """

    def __init__(self, kind: str, fits: Callable[[object], bool] = lambda thing: True, needs: str = "") -> None:
        self.kind, self._fits, self._needs = kind, fits, needs
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
            self._add(entry)

    def _add(self, entry: EntryPoint) -> None:
        """Add what another package offers; its module may have registered it by the decorator, too.

        Raises:
            FgbenchError: it cannot be imported, is not what it should be, or its name is taken.
        """
        where = f"the {self.kind} {entry.name!r} ({entry.value}, of {entry.dist.name if entry.dist else 'a package'})"
        try:
            thing = entry.load()
        except FgbenchError:
            raise
        except Exception as error:
            raise FgbenchError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
        if not self._fits(thing):
            raise FgbenchError(f"{where} is not {self._needs}")
        if self._things.get(entry.name) is not thing:
            self(entry.name)(thing)
