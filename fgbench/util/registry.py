"""Registries: named objects of one kind, which other packages extend by entry points."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from fgbench.util.errors import FgbenchError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Named objects of one kind: `@methods("bcnn")` adds one, `methods["bcnn"]` returns it.

    A name belongs to one object; registering it for a second one raises an error.

    Args:
        kind: what the objects are, in the singular, for messages.
        is_valid: True for an object of this kind.
        requirement: what an object of this kind must be, in words.
        group: entry point group by which other packages add objects; `fgbench.<kind>s` by default. Each entry names
            an object.
    """

    def __init__(
        self,
        kind: str,
        is_valid: Callable[[object], bool] = lambda candidate: True,
        requirement: str = "",
        *,
        group: str = "",
    ) -> None:
        self.kind, self.group = kind, group or f"fgbench.{kind}s"
        self._is_valid, self._requirement = is_valid, requirement
        self._objects: dict[str, T] = {}
        self._loaded = False

    def __call__(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers an object under `name`.

        Raises:
            FgbenchError: the decorator runs and the name is taken.
        """

        def add(candidate: T) -> T:
            if name in self._objects:
                raise FgbenchError(f"{self.kind} {name!r} is registered twice", "rename one of the two")
            self._objects[name] = candidate
            return candidate

        return add

    def __getitem__(self, name: str) -> T:
        """Return the object called `name`.

        Raises:
            FgbenchError: there is none; the message suggests the nearest name.
        """
        self._load()
        if name not in self._objects:
            raise FgbenchError(f"no {self.kind} named {name!r}; {nearest(name, self._objects)}")
        return self._objects[name]

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._objects

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._objects))

    def _load(self) -> None:
        """Add the objects of all entry points, once."""
        if self._loaded:
            return
        self._loaded = True  # now, because a module may use the registry while it is imported
        try:
            for entry in entry_points(group=self.group):
                self._add(entry)
        except BaseException:
            self._loaded = False  # the next use reports the error again
            raise

    def _add(self, entry: EntryPoint) -> None:
        """Add the object of an entry point, unless its own module has registered it with the decorator.

        Raises:
            FgbenchError: the object cannot be imported or is not of this kind, or its name is taken.
        """
        package = entry.dist.name if entry.dist else "a package"
        origin = f"the {self.kind} {entry.name!r} ({entry.value}, of {package})"
        try:
            candidate = entry.load()
        except (FgbenchError, KeyboardInterrupt):
            raise
        except BaseException as error:  # also SystemExit of a module that ends the program
            raise FgbenchError(
                f"{origin} cannot be imported: {type(error).__name__}: {error}", f"mend or uninstall {package}"
            ) from error
        if not self._is_valid(candidate):
            raise FgbenchError(f"{origin} is not {self._requirement}", f"mend or uninstall {package}")
        if self._objects.get(entry.name) is not candidate:
            self(entry.name)(candidate)
