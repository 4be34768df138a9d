"""Measured less printed as a small picture: every cell of a table on one scale."""

from collections.abc import Sequence

from markupsafe import Markup

from fgbench.judge.verdict import Verdict
from fgbench.report.formatting import BADGES, interval

WIDTH, HEIGHT = 120, 16


def _drawn(verdict: Verdict) -> bool:
    return verdict.mean is not None and verdict.decision is not None


def _shown(verdict: Verdict) -> list[float]:
    band, _ = interval(verdict)
    values = [verdict.mean] if band is None else [verdict.mean, band.low, band.high]
    return [value for value in values if value is not None]


def reach(verdicts: Sequence[Verdict]) -> float:
    """How far the strips of some cells go to either side: to what is farthest from its printed value."""
    ends = []
    for verdict in filter(_drawn, verdicts):
        ends += [2 * verdict.cell.margin, *(abs(value - verdict.cell.value) for value in _shown(verdict))]
    return max(ends, default=0.0)


def strip(verdict: Verdict, far: float) -> Markup:
    """The margin as a band about the printed value, the mean as a dot, its interval as a line.

    It is hidden from screen readers, as the numbers stand beside it.

    Args:
        verdict: nothing is drawn for one whose number does not answer the printed one.
        far: from `reach`.
    """
    if not _drawn(verdict) or verdict.mean is None:
        return Markup("")

    def x(value: float) -> float:
        return round(WIDTH / 2 + (WIDTH / 2 - 4) * (value - verdict.cell.value) / far, 1)

    cell, (band, _) = verdict.cell, interval(verdict)
    left, right = x(cell.value - cell.margin), x(cell.value + cell.margin)
    line = "" if band is None else f'<line x1="{x(band.low)}" x2="{x(band.high)}" y1="8" y2="8"/>'
    return Markup(
        f'<svg class="strip {BADGES[verdict.outcome].css}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<rect x="{left}" y="1" width="{right - left:.1f}" height="14"/>'
        f'<line class="printed" x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="0" y2="16"/>{line}'
        f'<circle cx="{x(verdict.mean)}" cy="8" r="3.5"/></svg>'
    )
