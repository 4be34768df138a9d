"""Build the pages of a results folder: read the records, judge every cell and claim, render."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.anomaly import Anomalies
from fgbench.judge.citations import counted_once
from fgbench.judge.claims import check_claims
from fgbench.judge.columns import judge_papers
from fgbench.judge.frame_verdicts import with_frames
from fgbench.judge.sensitivity import find_bounds
from fgbench.judge.speed_claims import with_speed_claims
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.report.html.lazy_pictures import Pictures
from fgbench.report.html.pages import Page
from fgbench.report.html.render import render
from fgbench.report.html.speed_page import speed_page
from fgbench.report.photographs import Photographs
from fgbench.runs.planning import obstacles
from fgbench.speed.bench_files import frames_of, read_named, read_speed, speed_files
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder, remove_leftovers


@dataclass(frozen=True, slots=True)
class BuiltReport:
    """The written pages and a summary of their contents."""

    first_page: Path
    records: list[Record]
    left_out: list[str]
    """A sentence for each record that was not used, because it is damaged or was changed."""
    outcomes: list[str]
    """Outcome of each printed cell; a number that one paper cites from another one counts once."""
    claim_states: list[str]
    """State of each claim."""
    anomalies: Anomalies
    """Run id -> anomalies of the record."""
    remarks: list[str]
    """A sentence for what is left out of each file of benchmarks that the user named."""


def write_pages(
    results: Path,
    folder: Path,
    benchmarks: Sequence[Path] = (),
    extra_pages: Sequence[Page] = (),
    *,
    pictures: bool = True,
) -> BuiltReport:
    """Make a folder for the pages unless it exists, and build the report in it, as `build_report`.

    Raises:
        FgbenchError: the folder has pages of another program or cannot be written; or as for `build_report`.
    """
    make_folder(folder)
    _refuse_other_pages(folder / "index.html")
    remove_leftovers(folder)
    return build_report(results, folder, benchmarks, extra_pages, pictures=pictures)


def build_report(
    results: Path,
    folder: Path,
    benchmarks: Sequence[Path] = (),
    extra_pages: Sequence[Page] = (),
    *,
    pictures: bool = True,
) -> BuiltReport:
    """Judge every cell with the records of a results folder and render the pages.

    Args:
        results: folder with records.
        folder: where the pages are written.
        benchmarks: JSON files of pytest-benchmark, or folders of them, for the page on speed and the printed frames per
            second. Those in `speed/` of the results folder are used, too.
        extra_pages: further pages, such as the history of the nightly runs.
        pictures: False to leave out all pictures of images: those of the runs, and photographs of mistakes.

    Records that are damaged or were changed after they were written are left out; the pages say so.

    Raises:
        FgbenchError: a file of `benchmarks` was not written by pytest-benchmark or has no row of fgbench, or the disk
            is full.
    """
    sessions, damaged = read_speed(results)
    named, remarks = read_named(benchmarks, speed_files(results))
    sessions += named
    speed = speed_page(sessions) if sessions else None
    papers, recipes = load_papers(), load_recipes()
    store = store_of(results)
    records, left_out = store.usable_records()
    left_out = [*left_out, *damaged]
    with store.remembering() as recall:
        anomalies = find_anomalies(records, store.outputs, store.unusable_ids(records), recall)
    bounds = find_bounds(records, store.outputs)
    blocked = obstacles(list(recipes.values()))
    verdicts = judge_papers(papers, records, blocked, recipes, anomalies, bounds)
    verdicts = with_frames(verdicts, frames_of(sessions))
    claims = check_claims(papers, records, store.outputs, recipes, anomalies, blocked)
    claims = with_speed_claims(claims, frames_of(sessions))
    of_runs = Pictures(store.all_pictures() if pictures else {})
    first_page = render(
        papers,
        verdicts,
        claims,
        records,
        folder,
        of_runs,
        speed,
        anomalies,
        store.outputs,
        extra_pages,
        left_out,
        bounds,
        Photographs() if pictures else None,
    )
    return BuiltReport(
        first_page,
        records,
        left_out,
        [verdict.outcome for of_paper in verdicts.values() for verdict in counted_once(of_paper)],
        [claim.state for claim in claims],
        anomalies,
        remarks,
    )


def _refuse_other_pages(page: Path) -> None:
    """Raise an error if a folder has a first page that fgbench did not write, so that it is not replaced."""
    if page.is_file() and b"fgbench" not in page.read_bytes()[:10_000]:
        raise FgbenchError(
            f"{page} is not a page of fgbench and is not replaced", "move it elsewhere, or name another folder"
        )
