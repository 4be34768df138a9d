"""A hash of the code that can change measured values.

The hash covers the modules that a run executes and that compute values: starting from `fgbench.runs.execute`, imports
are followed through `VALUE_CODE`. A file that nothing imports is not in it. Each module enters as its syntax tree, so
that comments, docstrings, formatting and the messages of raised errors do not change the hash.
"""

import ast
import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import ID_LENGTH

PACKAGE = Path(__file__).parents[1]
START = "fgbench.runs.execute"
"""The module that executes a run."""
VALUE_CODE = (
    "fgbench.backbones",
    "fgbench.datasets",
    "fgbench.layers",
    "fgbench.methods",
    "fgbench.metrics",
    "fgbench.papers.settings",
    "fgbench.runs",
    "fgbench.statistics.intervals",
    "fgbench.util.numeric",
)
"""Packages and modules whose code can change a measured value."""
NOT_VALUE_CODE = (
    "fgbench.runs.executors",
    "fgbench.runs.planning",
    "fgbench.runs.run",
    "fgbench.runs.run_loggers",
    "fgbench.runs.training.loggers",
    "fgbench.runs.training.training_log",
)
"""Exceptions in `VALUE_CODE`: where runs are executed, how they are planned, and what logs them. Ids have the plan."""


class _Source(NamedTuple):
    """What the hash needs of a source file."""

    imported: tuple[str, ...]
    """Names of everything in fgbench that the file imports, and of the packages that contain it."""
    normal_form: str
    """The syntax tree as JSON, the same on every version of Python."""


def hash_code(*modules: str, package: Path = PACKAGE) -> str:
    """Return a hash of the code that can change measured values.

    Args:
        modules: names of imported modules of other packages that take part, such as the module of a method. All source
            files of their packages count.
        package: folder of the fgbench package; for tests.

    Raises:
        FgbenchError: a module of another package has no source file.
    """
    digest = hashlib.sha256()
    for name, path in sorted(value_modules(package).items()):
        digest.update(f"{name}\0{_read(path).normal_form}\0".encode())
    for other in sorted({module.partition(".")[0] for module in modules} - {"fgbench"}):
        for relative, path in _source_files(other):
            digest.update(f"{other}/{relative}\0{_read(path).normal_form}\0".encode())
    return digest.hexdigest()[:ID_LENGTH]


def value_modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the modules of fgbench that `hash_code` covers: name -> source file."""
    modules: dict[str, Path] = {}
    waiting = [START]
    while waiting:
        name = waiting.pop()
        if name in modules or not _has_values(name) or (path := _file_of(name, package)) is None:
            continue
        modules[name] = path
        waiting += _read(path).imported
    return modules


def _has_values(module: str) -> bool:
    return _is_in(module, VALUE_CODE) and not _is_in(module, NOT_VALUE_CODE)


def _is_in(module: str, places: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{place}.") for place in places)


def _file_of(module: str, package: Path) -> Path | None:
    """The source file of a module of fgbench; None for a name that is not a module, such as an imported function."""
    path = package.joinpath(*module.split(".")[1:])
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _read(path: Path) -> _Source:
    return _parse(path.read_bytes())


@cache
def _parse(content: bytes) -> _Source:
    """Parse a source file. A plan hashes the code many times, so the results for equal contents are kept."""
    tree = ast.parse(content)
    return _Source(tuple(_imported(tree)), json.dumps(_plain(tree), separators=(",", ":")))


def _imported(tree: ast.Module) -> list[str]:
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for parts in (name.split(".") for name in names):
            if parts[0] == "fgbench":
                imported += (".".join(parts[:end]) for end in range(2, len(parts) + 1))
    return imported


def _plain(node: Any) -> Any:
    """A syntax tree as nested lists, without docstrings and messages of errors, and without empty fields."""
    if isinstance(node, list):
        return [_plain(child) for child in node if not _is_docstring(child)]
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ["Raise", _plain(node.exc.func)]
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in {"ctx", "kind", "type_comment"})
        return [type(node).__name__, *([name, _plain(value)] for name, value in fields if value not in (None, []))]
    return repr(node)


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _source_files(package: str) -> list[tuple[str, Path]]:
    """Relative name and path of the source files of an imported package or single module."""
    module = sys.modules[package]
    if folders := [Path(folder) for folder in getattr(module, "__path__", ())]:
        return [
            (path.relative_to(folder).as_posix(), path) for folder in folders for path in sorted(folder.rglob("*.py"))
        ]
    if file := getattr(module, "__file__", None):
        return [(Path(file).name, Path(file))]
    raise FgbenchError(f"{package} has no source file, so that its code cannot be hashed", "save it in a file")
