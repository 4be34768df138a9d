"""The cumulative match characteristic as inline SVG: the mean over splits, in a band from the least to the most."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from fgbench.records import Record
from fgbench.report.curve import BOTTOM, HEIGHT, LEFT, TOP, WIDTH


def cmc_curve(records: Sequence[Record]) -> Markup:
    """Rates by rank of some runs that differ in seed or split alone; nothing where there are none."""
    names = [name for name in records[0].values if name.startswith("cmc@")]
    if len(names) < 2:
        return Markup("")
    ranks = [int(name.removeprefix("cmc@")) for name in names]
    rates = [[record.values[name].value for record in records] for name in names]
    means = [sum(each) / len(each) for each in rates]
    right, ground = WIDTH - 8, HEIGHT - BOTTOM

    def height(percent: float) -> float:
        return ground - (ground - TOP) * percent / 100

    def point(rank: int, percent: float) -> str:
        x = LEFT + (right - LEFT) * (rank - ranks[0]) / (ranks[-1] - ranks[0])
        return f"{x:.1f},{height(percent):.1f}"

    line = " ".join(point(rank, mean) for rank, mean in zip(ranks, means, strict=True))
    ends = [(rank, min(each), max(each)) for rank, each in zip(ranks, rates, strict=True)]
    edge = [point(rank, most) for rank, _, most in ends] + [point(rank, least) for rank, least, _ in reversed(ends)]
    band = f'<polygon class="band" points="{" ".join(edge)}"></polygon>' if len(records) > 1 else ""
    label = "right among the first images, %"
    over = f", mean of {len(records)} runs, band from the least to the most" if len(records) > 1 else ""
    title = escape(f"{label}{over}: {means[0]:.1f} at rank 1, {means[-1]:.1f} at rank {ranks[-1]}")
    marks = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{height(v):.1f}" y2="{height(v):.1f}"/>'
        f'<text class="tick" x="{LEFT - 5}" y="{height(v) + 3:.1f}" text-anchor="end">{v}</text>'
        for v in (0, 50, 100)
    )
    return Markup(
        f'<div class="curves"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{title}</title>{marks}{band}'
        f'<polyline points="{line}"/>'
        f'<text class="label" x="{LEFT}" y="10">{label}</text>'
        f'<text class="tick" x="{LEFT}" y="{HEIGHT - 6}">{ranks[0]}</text>'
        f'<text class="tick" x="{right}" y="{HEIGHT - 6}" text-anchor="end">rank {ranks[-1]}</text></svg></div>'
    )
