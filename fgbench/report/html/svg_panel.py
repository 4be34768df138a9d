"""The frame of a small inline SVG: lines across with their values, words below, and a label above."""

from collections.abc import Iterable
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 300, 130, 38, 22, 16
RIGHT, GROUND = WIDTH - 8, HEIGHT - BOTTOM


def panel(
    title: str,
    label: str,
    drawn: str,
    marks: Iterable[tuple[float, str]],
    ticks: Iterable[tuple[float, str, str]],
    *,
    left: float = LEFT,
    right: float = RIGHT,
) -> Markup:
    """An SVG image.

    Args:
        title: the whole figure in words.
        label: what its heights are.
        drawn: SVG of what it shows, over the lines.
        marks: height in pixels of each line across, and its value in words.
        ticks: place in pixels, anchor and words of each word below.
        left: where the lines begin, in pixels.
        right: where they end.
    """
    lines = "".join(
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{left - 5}" y="{y + 3:.1f}" text-anchor="end">{escape(words)}</text>'
        for y, words in marks
    )
    below = "".join(
        f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(words)}</text>'
        for x, anchor, words in ticks
    )
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>{lines}{drawn}'
        f'<text class="label" x="{LEFT}" y="10">{escape(label)}</text>{below}</svg>'
    )


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """SVG of points in pixels joined by lines."""
    return f'<polyline points="{joined(points)}"/>'


def upright(kind: str, x: float) -> str:
    """SVG of a line from the ground to the top, of a class of the style sheet, at a place in pixels."""
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{GROUND}"/>'


def joined(points: Iterable[tuple[float, float]]) -> str:
    """Points in pixels as SVG writes them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
