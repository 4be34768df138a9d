"""Records on the command line: judged, rendered and verified."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fgbench.cli.console import out
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError

if TYPE_CHECKING:
    from fgbench.judge.anomalies import Anomalies
    from fgbench.records.record import Record
    from fgbench.report.html.pages import Page


def write_report(results: Path, folder: Path, benchmarks: Sequence[Path] = (), more: Sequence["Page"] = ()) -> Path:
    """Judge every cell by the records in `results` and render the pages into `folder`; returns the index page.

    With `more` pages beside those of records.

    Raises:
        FgbenchError: a file of `benchmarks` is not pytest-benchmark's.
    """
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.judge.claims import check_claims
    from fgbench.judge.columns import judge_papers
    from fgbench.records.store import store_of
    from fgbench.report.html.lazy_pictures import Pictures
    from fgbench.report.html.render import render
    from fgbench.report.html.speed_page import speed_page
    from fgbench.runs.planning import obstacles
    from fgbench.speed.bench_rows import read_session

    speed = speed_page([read_session(path) for path in benchmarks]) if benchmarks else None
    papers, recipes = load_papers(), load_recipes()
    store = store_of(results)
    records = store.records()
    anomalies = find_anomalies(records, store.outputs_or_none)
    verdicts = judge_papers(papers, records, obstacles(list(recipes.values())), recipes, anomalies)
    claims = check_claims(papers, records, store.outputs, recipes, anomalies)
    pictures = Pictures(store.all_pictures())
    page = render(papers, verdicts, claims, records, folder, pictures, speed, anomalies, store.outputs_or_none, more)
    _summarise([v.outcome for own in verdicts.values() for v in own], [claim.state for claim in claims])
    _show_anomalies(records, anomalies)
    return page


def _summarise(outcomes: Sequence[str], states: Sequence[str]) -> None:
    for what, words in (("cells", outcomes), ("claims", states)):
        counts = Counter(str(word) for word in words)
        out(f"{what}: {', '.join(f'{number} {word}' for word, number in counts.most_common())}")


def _show_anomalies(records: Sequence["Record"], anomalies: "Anomalies") -> None:
    for record in records:
        for anomaly in anomalies.get(record.run_id, ()):
            out(f"odd: {record.run_id} ({record.title}, seed {record.seed}): {anomaly.kind}: {anomaly.text}")


def verify_records(results: Path) -> bool:
    """Verify every record in a results folder, or in the folders in it; True when every one can be right.

    Prints what is wrong or odd.

    Raises:
        FgbenchError: there is no record.
    """
    from fgbench.records.store import campaigns

    right = [_verify(folder) for folder in campaigns(results)]
    return all(right)


def _verify(folder: Path) -> bool:
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.records.store import store_of

    store = store_of(folder)
    records = store.records()
    if not records:
        raise FgbenchError(f"no records in {store.folder}", "fgbench reproduce cub")
    bad = 0
    for record in records:
        wrong = store.verify(record)
        bad += bool(wrong)
        for line in wrong:
            out(f"{record.run_id} ({record.title}, seed {record.seed}): {line}")
    anomalies = find_anomalies(records, store.outputs_or_none)
    _show_anomalies(records, anomalies)
    out(
        f"{folder}: {len(records) - bad} of {len(records)} records verified: "
        "values recomputed from their per-sample outputs"
    )
    return not bad and not any(anomaly.voids for own in anomalies.values() for anomaly in own)
