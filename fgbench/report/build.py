"""Build the pages of a results folder: read the records, judge every cell and claim, render."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.anomaly import Anomalies
from fgbench.judge.citations import counted_once
from fgbench.judge.claims import check_claims
from fgbench.judge.columns import judge_papers
from fgbench.judge.sensitivity import find_bounds
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.report.html.lazy_pictures import Pictures
from fgbench.report.html.pages import Page
from fgbench.report.html.render import render
from fgbench.report.html.speed_page import speed_page
from fgbench.runs.planning import obstacles
from fgbench.speed.bench_rows import read_session


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


def build_report(
    results: Path, folder: Path, benchmarks: Sequence[Path] = (), extra_pages: Sequence[Page] = ()
) -> BuiltReport:
    """Judge every cell with the records of a results folder and render the pages.

    Args:
        results: folder with records.
        folder: where the pages are written.
        benchmarks: JSON files of pytest-benchmark, for the page on speed.
        extra_pages: further pages, such as the history of the nightly runs.

    Records that are damaged or were changed after they were written are left out; the pages say so.

    Raises:
        FgbenchError: a file of `benchmarks` was not written by pytest-benchmark, or the disk is full.
    """
    speed = speed_page([read_session(path) for path in benchmarks]) if benchmarks else None
    papers, recipes = load_papers(), load_recipes()
    store = store_of(results)
    records, left_out = store.usable_records()
    anomalies = find_anomalies(records, store.outputs)
    bounds = find_bounds(records, store.outputs)
    verdicts = judge_papers(papers, records, obstacles(list(recipes.values())), recipes, anomalies, bounds)
    claims = check_claims(papers, records, store.outputs, recipes, anomalies)
    pictures = Pictures(store.all_pictures())
    first_page = render(
        papers,
        verdicts,
        claims,
        records,
        folder,
        pictures,
        speed,
        anomalies,
        store.outputs,
        extra_pages,
        left_out,
        bounds,
    )
    return BuiltReport(
        first_page,
        records,
        left_out,
        [verdict.outcome for of_paper in verdicts.values() for verdict in counted_once(of_paper)],
        [claim.state for claim in claims],
        anomalies,
    )
