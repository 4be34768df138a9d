"""Small pictures of measured minus printed; the cells of a table share one scale."""

from collections.abc import Sequence

from markupsafe import Markup

from fgbench.judge.verdict import Verdict
from fgbench.report.formatting import BADGES, interval

WIDTH, HEIGHT = 120, 16
"""Size of a picture in px."""


def _has_strip(verdict: Verdict) -> bool:
    return verdict.mean is not None and verdict.decision is not None


def _measured_values(verdict: Verdict) -> list[float]:
    """The mean and the ends of its interval."""
    ends = interval(verdict).ends
    values = [verdict.mean] if ends is None else [verdict.mean, ends.low, ends.high]
    return [value for value in values if value is not None]


def strip_range(verdicts: Sequence[Verdict]) -> float:
    """Return the largest difference from a printed value that the strips of some cells show."""
    differences = []
    for verdict in filter(_has_strip, verdicts):
        differences.append(2 * verdict.cell.margin)
        differences += [abs(value - verdict.cell.value) for value in _measured_values(verdict)]
    return max(differences, default=0.0)


def difference_strip(verdict: Verdict, largest: float) -> Markup:
    """Return an SVG: a band for the margin around the printed value, a dot for the mean, a line for its interval.

    Screen readers skip it: the numbers are beside it.

    Args:
        verdict: without a comparable number, the result is empty.
        largest: from `strip_range`.
    """
    if not _has_strip(verdict) or verdict.mean is None:
        return Markup("")

    def x(value: float) -> float:
        return round(WIDTH / 2 + (WIDTH / 2 - 4) * (value - verdict.cell.value) / largest, 1)

    cell, ends = verdict.cell, interval(verdict).ends
    left, right = x(cell.value - cell.margin), x(cell.value + cell.margin)
    line = "" if ends is None else f'<line x1="{x(ends.low)}" x2="{x(ends.high)}" y1="8" y2="8"/>'
    return Markup(
        f'<svg class="strip {BADGES[verdict.outcome].css}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<rect x="{left}" y="1" width="{right - left:.1f}" height="14"/>'
        f'<line class="printed" x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="0" y2="16"/>{line}'
        f'<circle cx="{x(verdict.mean)}" cy="8" r="3.5"/></svg>'
    )
