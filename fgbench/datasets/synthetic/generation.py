"""Steps that are common to all synthetic data sets: target folder, worker processes, text files, settings hash."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fgbench.util import folders
from fgbench.util.errors import FgbenchError
from fgbench.util.files import storage_error
from fgbench.util.hashing import hash_value
from fgbench.util.processes import die_with_parent, processes_for_work

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Job = TypeVar("Job")
Result = TypeVar("Result")


def hash_settings(version: int, settings: "DataclassInstance") -> str:
    """Return a hash that identifies the files of a synthetic data set.

    Args:
        version: version of the drawing code.
        settings: settings of the data set.
    """
    return hash_value([version, asdict(settings)])


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `root` when the block ends (see `fgbench.util.folders`).

    Raises:
        FgbenchError: `root` exists, or the disk is full or cannot be written.
    """
    if root.exists():
        raise FgbenchError(f"{root} already exists", "remove it, or choose another folder")
    try:
        with folders.new_folder(root) as temporary:
            yield temporary
    except OSError as error:
        raise storage_error(error, root) from error


def draw_images(draw: Callable[[Job], Result], jobs: Sequence[Job], workers: int | None) -> list[Result]:
    """Call `draw` for every job, in worker processes.

    Args:
        draw: draws and saves the image of a job. It must be picklable, and depend on nothing but the job.
        jobs: one for each image.
        workers: number of processes. By default one for each CPU core, or 1 inside a daemon process.

    Returns:
        Results of `draw` in the order of `jobs`.
    """
    workers = workers or processes_for_work()
    if workers == 1:
        return [draw(job) for job in jobs]
    with ProcessPoolExecutor(workers, get_context("spawn"), die_with_parent) as pool:
        return list(pool.map(draw, jobs, chunksize=max(1, len(jobs) // (8 * workers))))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text into a UTF-8 file."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_readme(folder: Path, title: str, version: int, settings: "DataclassInstance") -> None:
    """Write a README file with the title, the version of the drawing code and the settings."""
    values = [f"{name} {value}" for name, value in asdict(settings).items()]
    write_lines(folder / "README", [title, f"generator {version}", *values])
