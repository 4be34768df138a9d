"""The cumulative match characteristic as inline SVG: the mean over splits, in a band from the least to the most."""

from collections.abc import Sequence

from markupsafe import Markup

from fgbench.records.record import Record
from fgbench.report.html.svg_panel import GROUND, LEFT, RIGHT, TOP, joined, panel, polyline


def cmc_curve(records: Sequence[Record]) -> Markup:
    """Rates by rank of some runs that differ in seed or split alone; nothing where there are none."""
    names = [name for name in records[0].values if name.startswith("cmc@")]
    if len(names) < 2:
        return Markup("")
    ranks = [int(name.removeprefix("cmc@")) for name in names]
    rates = [[record.values[name].value for record in records] for name in names]
    means = [sum(each) / len(each) for each in rates]

    def y(percent: float) -> float:
        return GROUND - (GROUND - TOP) * percent / 100

    def line(percents: Sequence[float]) -> list[tuple[float, float]]:
        return [
            (LEFT + (RIGHT - LEFT) * (rank - ranks[0]) / (ranks[-1] - ranks[0]), y(percent))
            for rank, percent in zip(ranks, percents, strict=True)
        ]

    band, over = "", ""
    if len(records) > 1:
        edge = line([max(each) for each in rates]) + line([min(each) for each in rates])[::-1]
        band = f'<polygon class="band" points="{joined(edge)}"></polygon>'
        over = f", mean of {len(records)} runs, band from the least to the most"
    label = "right among the first images, %"
    drawn = panel(
        f"{label}{over}: {means[0]:.1f} at rank 1, {means[-1]:.1f} at rank {ranks[-1]}",
        label,
        band + polyline(line(means)),
        [(y(v), str(v)) for v in (0, 50, 100)],
        [(LEFT, "start", str(ranks[0])), (RIGHT, "end", f"rank {ranks[-1]}")],
    )
    return Markup('<div class="curves">{}</div>').format(drawn)
