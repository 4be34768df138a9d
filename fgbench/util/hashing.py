"""Content hashes: of JSON values in canonical form, of files, and of the source that computes values."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from fgbench.util.errors import FgbenchError

ID_LENGTH = 16
_PACKAGE = Path(__file__).parents[1]
_PRESENTATION = {
    "compare",
    "report",
    "statistics",
    "analysis.py",
    "anomalies.py",
    "bound.py",
    "catalogue.py",
    "claims.py",
    "cli.py",
    "columns.py",
    "console.py",
    "data_commands.py",
    "decision.py",
    "deviations.py",
    "differences.py",
    "doctor.py",
    "energy.py",
    "export.py",
    "frames.py",
    "identity.py",
    "journal.py",
    "markup.py",
    "memory.py",
    "papers.py",
    "per_sample.py",
    "phase_table.py",
    "phases.py",
    "pictures.py",
    "provenance.py",
    "ray_executor.py",
    "ray_rounds.py",
    "records.py",
    "report_commands.py",
    "run_commands.py",
    "run_table.py",
    "sheets.py",
    "speed.py",
    "timings.py",
    "verdict.py",
}


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces, so that equal values are equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_value(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of `value` in canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:ID_LENGTH]


def hash_file(path: Path) -> str:
    """SHA-256 of a file in hex, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_source(*modules: str) -> str:
    """A hash of every source file of fgbench that can change a measured value (not of the CLI, verdicts or report).

    Args:
        modules: imported ones of other packages that take part, such as that of a method; their whole packages count.
    """
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        relative = path.relative_to(_PACKAGE)
        if relative.parts[0] not in _PRESENTATION:
            digest.update(f"{relative.as_posix()}\0".encode() + path.read_bytes() + b"\0")
    for name in sorted({module.partition(".")[0] for module in modules} - {_PACKAGE.name}):
        for relative_path, content in _sources(name):
            digest.update(f"{name}/{relative_path}\0".encode() + content + b"\0")
    return digest.hexdigest()[:ID_LENGTH]


def _sources(package: str) -> list[tuple[str, bytes]]:
    """Name and content of the source files of an imported package, or module that is in none."""
    module = sys.modules[package]
    if folders := [Path(folder) for folder in getattr(module, "__path__", ())]:
        paths = [(path.relative_to(folder), path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    elif file := getattr(module, "__file__", None):
        paths = [(Path(Path(file).name), Path(file))]
    else:
        raise FgbenchError(
            f"{package} has no source file, so that its runs could not be told apart", "put it in a file"
        )
    return [(name.as_posix(), path.read_bytes()) for name, path in paths]
