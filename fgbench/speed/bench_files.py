"""Result files of pytest-benchmark in results folders, in its storage, and as the user names them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fgbench.speed.bench_rows import BENCHMARK_COMMAND, BenchmarkSession, FramesRow, parse_session, read_session
from fgbench.speed.speed_source import SpeedSource
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file

COPY = "a copy of another file, left out"
SPEED = "speed"
"""Name of the folder of benchmarks in a results folder."""


def speed_files(results: Path) -> list[Path]:
    """Return the files of benchmarks in a results folder: `speed/*.json`. Hidden files are left out."""
    return sorted((results / SPEED).glob("[!.]*.json"))


def benchmark_files(paths: Iterable[Path]) -> list[Path]:
    """Return files of benchmarks, and of folders all JSON files in them, such as those in `.benchmarks`.

    Hidden files are left out.

    Raises:
        FgbenchError: a folder has no JSON file.
    """
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("[!.]*.json")) if path.is_dir() else [path]
        if not inside:
            raise FgbenchError(f"{path} has no JSON file of pytest-benchmark", BENCHMARK_COMMAND)
        files += inside
    return files


def without_copies(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files without those that are copies of others, and the copies.

    A file that is listed several times is returned once. A file that cannot be read is no copy; its reader names the
    reason.
    """
    files = list({path.resolve(): path for path in reversed(files)}.values())[::-1]
    first: dict[str, Path] = {}
    for path in sorted(files, key=lambda path: len(path.name)):  # a copy has a longer name, such as `a (1).json`
        first.setdefault(_content_key(path), path)
    kept = set(first.values())
    return [path for path in files if path in kept], [path for path in files if path not in kept]


def _content_key(path: Path) -> str:
    """Return the hash of a file, or its path if it cannot be read."""
    try:
        return hash_file(path) if path.is_file() else str(path)
    except OSError:
        return str(path)


def read_speed(results: Path) -> tuple[list[BenchmarkSession], list[str]]:
    """Return the benchmarks of a results folder, and a sentence for each damaged file, which is left out."""
    sessions, damaged = [], []
    for file in without_copies(speed_files(results))[0]:
        try:
            sessions.append(read_session(file))
        except FgbenchError as error:
            damaged.append(f"{SPEED}/{file.name}: {error.args[0]}")
    return sessions, damaged


def read_named(paths: Sequence[Path], known: Iterable[Path] = ()) -> tuple[list[BenchmarkSession], list[str]]:
    """Return the benchmarks of files and folders that the user named, and a sentence for what is left out of each file.

    Args:
        paths: files and folders.
        known: files that are read already.

    Raises:
        FgbenchError: a file is not a result file of pytest-benchmark, or a file or a folder has no row of fgbench.
    """
    skipped = {path.resolve() for path in known}
    sessions: list[BenchmarkSession] = []
    left_out: list[str] = []
    for path in paths:
        files, copies = without_copies([file for file in benchmark_files([path]) if file.resolve() not in skipped])
        read = [parse_session(file) if path.is_dir() else read_session(file) for file in files]
        used = [session for session in read if session.rows]
        if files and not used:
            raise FgbenchError(f"no file in {path} has a row of fgbench", BENCHMARK_COMMAND)
        skipped |= {file.resolve() for file in files}
        left_out += [f"{copy.name}: {COPY}" for copy in copies]
        left_out += [f"{session.file}: {others_text(session.others)}" for session in read if session.others]
        sessions += used
    return sessions, left_out


def frames_of(sessions: Sequence[BenchmarkSession]) -> list[FramesRow]:
    """Return the rows of frames per second of some benchmarks, each with its origin."""
    return [
        timed.row.model_copy(update={"source": _source(session, timed.row)})
        for session in sessions
        for timed in session.rows
        if isinstance(timed.row, FramesRow)
    ]


def _source(session: BenchmarkSession, row: FramesRow) -> SpeedSource:
    return SpeedSource(
        file=session.file, sha256=session.sha256, commit=session.commit, code=row.code, measured=session.finished
    )


def others_text(number: int) -> str:
    """Return words on the rows of a file that are left out."""
    return f"{counted(number, 'benchmark')} of other projects left out"
