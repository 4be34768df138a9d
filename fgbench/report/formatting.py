"""Text of numbers, intervals and outcomes, shared by pages and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from fgbench.judge.run_pairs import ClaimState
from fgbench.judge.seed_interval import SeedInterval, seed_interval
from fgbench.judge.verdict import Outcome, Verdict, cell_value_name
from fgbench.papers.printed import Cell, Paper
from fgbench.records.gpu_fields import gpu_fields
from fgbench.records.record import Deviation, Record
from fgbench.statistics import LEVEL, Interval

NONE = "–"  # noqa: RUF001
"""Shown where there is no number."""
MINUS = "−"  # noqa: RUF001
"""Minus sign of a difference, as wide as the plus sign."""
MEASURED_PLACES = 2
"""Decimals of a measured value and of its interval."""
TEST_INTERVAL = f"{100 - 200 * LEVEL:g} % over seeds, with the spread of the printed value"
"""Meaning of the interval of the test of a cell."""


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
    ClaimState.BLOCKED: Badge("■", "blocked", "block"),
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


def measured(value: float | None) -> str:
    """Return a measured value, with the same decimals everywhere."""
    return number(value, MEASURED_PLACES)


def signed(value: float | None) -> str:
    """Return a difference with its sign, with the decimals of a measured value."""
    return NONE if value is None or not isfinite(value) else f"{value:+.{MEASURED_PLACES}f}".replace("-", MINUS)


def interval(verdict: Verdict) -> SeedInterval:
    """Return the interval of the mean of a verdict; of frames per second, the quartiles."""
    if row := verdict.frames:
        return SeedInterval(Interval(row.frames_per_s_low, row.frames_per_s_high), "quartiles of the windows")
    return seed_interval(verdict.records, cell_value_name(verdict.cell))


def interval_text(shown: SeedInterval) -> str:
    """Return the ends of an interval, with the same decimals everywhere, or why there is none."""
    if shown.ends is None:
        return shown.about
    return f"{measured(shown.ends.low)} to {measured(shown.ends.high)}" if all(map(isfinite, shown.ends)) else NONE


def gpu_text(record: Record) -> str:
    """Return driver, libraries and TF32 of the GPU of a run; empty for a run without them, such as one on a CPU."""
    if (gpu := gpu_fields(record)) is None:
        return ""
    versions = (("driver", gpu.driver), ("CUDA", gpu.cuda), ("cuDNN", gpu.cudnn))
    parts = [f"{name} {NONE if version is None else version}" for name, version in versions]
    tf32 = {None: NONE, True: "allowed", False: "refused"}[gpu.tf32]
    return ", ".join([*parts, f"TF32 {tf32}"])


def all_deviations(records: Sequence[Record]) -> list[Deviation]:
    """Return the deviations of some records, the first one of each field."""
    by_field: dict[str, Deviation] = {}
    for record in records:
        for deviation in record.deviations:
            by_field.setdefault(deviation.field, deviation)
    return list(by_field.values())
