"""Text of numbers, intervals and outcomes, shared by pages and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from fgbench.judge.claims import ClaimState
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Cell, Paper
from fgbench.records.record import Deviation, Record
from fgbench.statistics import Interval

NONE = "–"  # noqa: RUF001
"""Shown where there is no number."""


@dataclass(frozen=True, slots=True)
class Badge:
    """How an outcome is shown: shape, word and colour."""

    shape: str
    word: str
    css: str
    """Class of the style sheet, which sets the colour."""


BADGES = {
    Outcome.REPRODUCED: Badge("●", "reproduced", "good"),
    Outcome.EXCEEDS: Badge("▲", "exceeds", "over"),
    Outcome.NOT_REPRODUCED: Badge("▼", "not reproduced", "bad"),
    Outcome.INCONCLUSIVE: Badge("◆", "inconclusive", "open"),
    Outcome.NOT_COMPARABLE: Badge("◇", "not comparable", "aside"),
    Outcome.BLOCKED: Badge("■", "blocked", "block"),
    Outcome.NOT_RUN: Badge("○", "not run", "idle"),
    Outcome.CONTEXT: Badge("·", "context", "context"),
}
"""Badge of each outcome of a printed cell."""
CLAIM_BADGES = {
    ClaimState.HOLDS: Badge("●", "holds", "good"),
    ClaimState.CONTRADICTED: Badge("▼", "contradicted", "bad"),
    ClaimState.UNDECIDED: Badge("◆", "undecided", "open"),
    ClaimState.NOT_COMPARABLE: Badge("◇", "not comparable", "aside"),
    ClaimState.NOT_RUN: Badge("○", "not run", "idle"),
}
"""Badge of each state of a claim."""


def published(paper: Paper) -> str:
    """Return the venue and the year of a paper; a year in the name of the venue is not repeated."""
    return paper.venue if str(paper.year) in paper.venue else f"{paper.venue} {paper.year}"


def decimals(value: float) -> int:
    """Return the number of decimals of a printed value, at least one."""
    text = f"{value:.10f}".rstrip("0")
    return max(1, len(text.partition(".")[2]))


def number(value: float | None, places: int = 1) -> str:
    """Return a rounded number, or a dash for None and for a value that is not finite."""
    return NONE if value is None or not isfinite(value) else f"{value:.{places}f}"


def printed(cell: Cell) -> str:
    """Return the printed value with the decimals that the paper prints."""
    is_whole_number = cell.value == int(cell.value) and cell.unit != "%"
    return f"{cell.value:g}" if is_whole_number else number(cell.value, decimals(cell.value))


def interval(verdict: Verdict) -> tuple[Interval | None, str]:
    """Return the interval to show beside a mean, and the source of its variation."""
    if verdict.spread is not None:
        return verdict.spread, f"95 % over {len(verdict.records)} seeds"
    if verdict.sampling is not None:
        return verdict.sampling, "95 % for another test set"
    return None, ""


def all_deviations(records: Sequence[Record]) -> list[Deviation]:
    """Return the deviations of some records, the first one of each field."""
    by_field: dict[str, Deviation] = {}
    for record in records:
        for deviation in record.deviations:
            by_field.setdefault(deviation.field, deviation)
    return list(by_field.values())
