"""Programs that are killed, torn in a write, or refused a new file at every change of a file, and are started again."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from data_program import PERSONS, write_archive
from faults.case import Case
from kill_at_write import Ended, WarmProgram
from local_files import served
from night_folders import content, fewer, tonight

from fgbench.datasets import reid_datasets
from fgbench.records.store import store_of

Arguments = Callable[[Path], Sequence[str]]
Content = Callable[[Path], object]


class Attempt:
    """A command that is ended at an operation and then repeated; its result must be that of one whole execution.

    Args:
        program: the program.
        make: makes the folder anew, with everything that the command needs.
        arguments: of the folder.
        content: what counts of the folder afterwards.
        finished: part of the message of a repeated command that finds its work done; empty if it then succeeds.
    """

    def __init__(
        self, program: WarmProgram, make: Callable[[], Path], arguments: Arguments, content: Content, finished: str = ""
    ) -> None:
        self._program, self.make, self._arguments = program, make, arguments
        self._content, self._finished = content, finished
        folder = make()
        whole = self.run(folder)
        self._code, self.operations, self._expected = whole.code, whole.operations, content(folder)
        assert whole.code in {0, 1}, whole.output

    def run(self, folder: Path, at: int = 0, how: str = "kill") -> Ended:
        """Run the command; it ends at an operation, if one is given."""
        return self._program.run(self._arguments(folder), folder, at=at, how=how)

    def end(self, at: int, how: str) -> None:
        """End the command at an operation, repeat it, and compare the result."""
        folder = self.make()
        ended = self.run(folder, at, how)
        assert "Traceback" not in ended.output, (how, ended.last, ended.output)
        self.repeat(folder, (how, ended.last))

    def repeat(self, folder: Path, why: object) -> None:
        """Run the command once more, and compare the result."""
        again = self.run(folder)
        assert "Traceback" not in again.output, (why, again.output)
        is_finished = bool(self._finished) and self._finished in again.output
        assert again.code == self._code or is_finished, (why, again.output)
        assert self._content(folder) == self._expected, why

    def cases(self, kind: str, *, kill: int = 0, torn: int = 0, full: int = 0) -> Iterator[Case]:
        """Yield a case for every `kill`-th operation, and the same for the other ways to end; 0 for none."""
        for how, step in (("kill", kill), ("torn", torn), ("full", full)):
            for at in range(1, self.operations + 1, step) if step else ():
                yield f"{kind}, {how}", partial(self.end, at, how)


def new_folder(folder: Path) -> Path:
    """Return an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextmanager
def run_attempt(folder: Path, recipe: str, *, with_cache: bool = False) -> Iterator[Attempt]:
    """Give the attempt of one small run: its record has the same values, and it is there once.

    Args:
        folder: an empty folder.
        recipe: name of a recipe, such as `fv_sift`.
        with_cache: count the cache, which is empty at the start, as a part of the folder.
    """
    results = folder / "runs"
    os.environ["FGBENCH_CACHE"] = str(results / "cache" if with_cache else folder / "cache")
    with WarmProgram("run_program:main", ["torch", "fgbench.runs.execute"]) as program:
        yield Attempt(program, partial(new_folder, results), lambda f: [recipe, str(f)], _values)


def _values(folder: Path) -> object:
    """Return what counts of a results folder: files, values and array files."""
    store = store_of(folder)
    names = sorted(path.name for path in store.folder.iterdir())
    records = store.records()
    arrays = [hashlib.sha256((store.folder / record.outputs).read_bytes()).hexdigest() for record in records]
    work = sorted(path.name for path in (folder / "work").iterdir() if path.suffix != ".lock")
    values = [{name: value.value for name, value in record.values.items()} for record in records]
    assert all(not store.verify(record) for record in records)
    return names, values, arrays, work


@contextmanager
def report_attempt(folder: Path, source: Path) -> Iterator[Attempt]:
    """Give the attempt of a report of a results folder: all pages are those of one whole execution."""
    with WarmProgram(preload=["fgbench.report.build"]) as program:
        yield Attempt(
            program,
            partial(new_folder, folder / "pages"),
            lambda f: ["report", "--results", str(source), "--out", str(f)],
            lambda f: {path.name: path.read_bytes() for path in f.iterdir()},
        )


@contextmanager
def night_attempt(folder: Path, lost: int = 60, options: Sequence[str] = ()) -> Iterator[Attempt]:
    """Give the attempt of a second night: history, baselines and summary are those of one whole execution.

    Args:
        folder: an empty folder.
        lost: number of images that are lost since the first night.
        options: of `fgbench nightly`.
    """
    first, second, place = folder / "first", folder / "second", folder / "nightly"
    tonight(first)
    tonight(second, fewer(lost))
    with WarmProgram("night_program:judge", ["torch"]) as program:
        assert program.run(["nightly", "--results", str(first)]).code == 0

        def make() -> Path:
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(first, place)
            shutil.copytree(second / "tonight", place / "tonight")
            return place

        yield Attempt(
            program, make, lambda f: ["nightly", "--results", str(f), *options], content, finished="no folder"
        )


@contextmanager
def download_attempt(folder: Path, side: int = 4) -> Iterator[Attempt]:
    """Give the attempt of `fgbench data get`: the data set is there, once and whole.

    Args:
        folder: an empty folder.
        side: width of an image of the data set in pixels.
    """
    site, data = folder / "site", folder / "data"
    site.mkdir()
    os.environ["MD5_VIPER"] = write_archive(site / "VIPeR.zip", side)
    os.environ["FGBENCH_DATA"] = str(data)

    def whole(place: Path) -> object:
        assert len(reid_datasets["viper"].index()) == 2 * PERSONS
        return sorted(path.name for path in place.iterdir() if path.suffix != ".lock")

    with served(site) as address:
        os.environ["FGBENCH_URL_VIPER"] = f"{address}/VIPeR.zip"
        with WarmProgram("data_program:get", ["fgbench.datasets.obtain"]) as program:
            yield Attempt(program, partial(new_folder, data), lambda f: ["data", "get", "viper"], whole)
