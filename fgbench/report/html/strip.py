"""Small pictures of measured minus printed; the cells of a table share one scale.

The scale fits all means and margins. An interval that is much wider than those of the other cells is cut at the end of
the axis, and an arrow marks the cut. Its whole length is in the title of the picture.
"""

import math
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup

from fgbench.judge.verdict import Verdict
from fgbench.report.formatting import BADGES, interval, interval_text

WIDTH, HEIGHT = 120, 16
"""Size of a picture in px."""
INSET = 4
"""Space beside the axis in px."""
NICE = (1, 1.5, 2, 3, 4, 5, 6, 8)
"""Leading digits of the ends of an axis."""
WIDE = 2.0
"""Half of an axis over the median that the cells need. Longer intervals are cut."""


def _is_drawn(verdict: Verdict) -> bool:
    """Return True if there is a finite measured number that is not frames per second."""
    return verdict.mean is not None and math.isfinite(verdict.mean) and not verdict.frames


def _band(verdict: Verdict) -> float:
    """Return half of the width of the margin; 0 if the run is not comparable, so that a margin means nothing."""
    return verdict.cell.margin if verdict.decision is not None else 0.0


def _needed(verdict: Verdict) -> float:
    """Return the half axis that the mean and the margin of a drawn cell need."""
    return max(abs((verdict.mean or 0.0) - verdict.cell.value), 1.2 * _band(verdict))


def _needed_with_interval(verdict: Verdict) -> float:
    """Return the half axis that a drawn cell needs with its interval."""
    ends = interval(verdict).ends
    lengths = [] if ends is None else [abs(end - verdict.cell.value) for end in ends if math.isfinite(end)]
    return max(_needed(verdict), *lengths) if lengths else _needed(verdict)


def axis_end(verdicts: Sequence[Verdict]) -> float:
    """Return the right end of the axis that some cells share: a round number; 0 without a measured number.

    Every mean and every margin fits. Intervals fit up to `WIDE` times the median length, so one wide interval does not
    make the pictures of all other cells small.
    """
    drawn = [verdict for verdict in verdicts if _is_drawn(verdict)]
    if not drawn:
        return 0.0
    with_intervals = [_needed_with_interval(verdict) for verdict in drawn]
    largest = max(*map(_needed, drawn), min(max(with_intervals), WIDE * median(with_intervals)))
    if not largest:
        return 0.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next((digit * power for digit in NICE if digit * power >= largest), 10 * power)


def any_cut(verdicts: Sequence[Verdict], end: float) -> bool:
    """Return True if an interval of some cells is longer than the axis.

    Args:
        verdicts: the cells of a table.
        end: from `axis_end`.
    """
    return any(_needed_with_interval(verdict) > end for verdict in verdicts if _is_drawn(verdict))


def axis_ticks(end: float) -> Markup:
    """Return an SVG with the numbers of an axis from `-end` to `end`, as wide as a strip."""
    places = ((0, "start", f"−{end:g}"), (WIDTH / 2, "middle", "0"), (WIDTH, "end", f"+{end:g}"))  # noqa: RUF001
    texts = "".join(f'<text x="{x:g}" y="12" text-anchor="{anchor}">{text}</text>' for x, anchor, text in places)
    return Markup(f'<svg class="strip ticks" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{texts}</svg>')


def difference_strip(verdict: Verdict, end: float) -> Markup:
    """Return an SVG: a band for the margin around the printed value, a dot for the mean, a line for its interval.

    Screen readers skip it: the numbers are beside it.

    Args:
        verdict: without a measured number, the result is empty. A run that is not comparable has no band.
        end: from `axis_end`.
    """
    if verdict.mean is None or not _is_drawn(verdict) or not end:
        return Markup("")

    def x(difference: float) -> float:
        return round(WIDTH / 2 + (WIDTH / 2 - INSET) * difference / end, 1)

    cell, shown, band = verdict.cell, interval(verdict), _band(verdict)
    margin = f'<rect x="{x(-band)}" y="1" width="{x(band) - x(-band):.1f}" height="14"/>' if band else ""
    title = line = ""
    if shown.ends is not None:
        low, high = shown.ends.low - cell.value, shown.ends.high - cell.value
        left, right = (x(min(max(difference, -end), end)) for difference in (low, high))
        line = f'<line x1="{left}" x2="{right}" y1="8" y2="8"/>{_arrow(left, -1) if low < -end else ""}'
        line += _arrow(right, 1) if high > end else ""
        if low < -end or high > end:
            title = f"<title>The interval is longer than the axis: {interval_text(shown)}</title>"
    return Markup(
        f'<svg class="strip {BADGES[verdict.outcome].css}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{title}'
        f'<line class="axis" x1="{INSET}" x2="{WIDTH - INSET}" y1="15.5" y2="15.5"/>{margin}'
        f'<line class="printed" x1="{WIDTH / 2:g}" x2="{WIDTH / 2:g}" y1="0" y2="16"/>{line}'
        f'<circle cx="{x(verdict.mean - cell.value)}" cy="8" r="3.5"/></svg>'
    )


def _arrow(x: float, direction: int) -> str:
    """Return an arrow head at the end of an axis that points to the left (-1) or to the right (1)."""
    tip, back = x + direction * INSET, x - direction * 2
    return f'<path class="cut" d="M{back:g} 4L{tip:g} 8L{back:g} 12Z"/>'
