"""Accuracy against cost: one chart a protocol and machine, as numbers of two do not stand side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from fgbench.judge.verdict import sampling_interval
from fgbench.metrics.values import headline
from fgbench.records.record import Record
from fgbench.report.html import model
from fgbench.report.html.charts import Axis, Chart
from fgbench.report.html.figures import Spot, scatter
from fgbench.report.html.groups import Group, first_rows, named, nearest_first, values_of
from fgbench.report.html.pages import Page
from fgbench.report.html.speed_page import FramesLine, SpeedPage

MOST_CHARTS = 8
"""A chart takes a tenth of a second to draw; what is not drawn is in the tables."""
MOST_SPOTS = 40
"""Points of a chart, which are numbered."""
MARGIN = 1.1
"""How far within the axis of cost its points lie."""
NETWORK = ("backbones", "test_pipeline", "options")
"""Settings that a network's cost in test depends on."""


@dataclass(frozen=True, slots=True)
class Row:
    """A run beside what it cost."""

    number: int | None
    """In the chart; None for one that is not drawn."""
    name: str
    group: Group
    value: float | None
    """Mean over seeds, in percent."""
    test_fps: float | None
    wall_s: float
    peak_mib: float
    energy_kj: float | None
    """Of one run, all its phases."""


@dataclass(frozen=True, slots=True)
class Board:
    """The runs of one protocol on one machine."""

    caption: str
    machine: str
    measured: str
    """What is on the upward axis."""
    charts: tuple[Chart, ...]
    rows: tuple[Row, ...]
    note: str
    """Why something is not drawn."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Numbers of records beside frames a second of a benchmark, under one set of conditions."""

    caption: str
    conditions: str
    charts: tuple[Chart, ...]


def cost_page(groups: Sequence[Group], speed: SpeedPage | None) -> Page:
    """The page on accuracy and cost.

    Args:
        groups: every record, those together that differ in their seed alone.
        speed: benchmarks of frames a second and J an image.
    """
    honest = [group for group in groups if not group[0].control]
    boards = _boards(honest)
    timed = _timed(honest, speed.frames if speed else ())
    rows = [line.row for line in speed.frames] if speed else []
    notes = sorted({row.energy_note for row in rows if row.energy_note})
    context = {
        "boards": boards,
        "timed": timed,
        "no_joule": "" if any(row.joule_per_image for row in rows) else "; ".join(notes) or "no benchmark was given",
        "no_energy": sorted({record.cost.energy_note for group in honest for record in group} - {""}),
        "any_energy": any(record.cost.energy_j is not None for group in honest for record in group),
        "benchmarks": bool(rows),
    }
    source = model.source([record for group in honest for record in group])
    return Page("costs", "Accuracy and cost", "costs.html.j2", source, context=context)


def _boards(groups: Sequence[Group]) -> list[Board]:
    places: dict[tuple[str, str, str], list[Group]] = {}
    for group in nearest_first(groups):
        first = group[0]
        places.setdefault((first.protocol_hash, _machine(first), headline(first.values)), []).append(group)
    boards: list[Board] = []
    for (_, machine, measured), own in places.items():
        room = MOST_CHARTS - sum(len(board.charts) for board in boards)
        boards.append(_board(machine, measured, own, room))
    return boards


def _board(machine: str, measured: str, groups: Sequence[Group], room: int) -> Board:
    kept, more = first_rows(groups)
    pairs = named(kept)
    drawn = [(name, group) for name, group in pairs if values_of(group, measured) and model.test_fps(group)][
        :MOST_SPOTS
    ]
    numbers = {group[0].identity: number for number, (_, group) in enumerate(drawn, 1)}
    rows = tuple(
        Row(
            numbers.get(group[0].identity),
            name,
            group,
            model.mean_of(group, measured),
            model.test_fps(group),
            sum(record.cost.wall_s for record in group) / len(group),
            max(record.cost.peak_mib for record in group),
            _energy(group),
        )
        for name, group in pairs
    )
    charts = []
    unit = groups[0][0].values[measured].unit
    up = Axis(f"{measured}, {unit}")
    if len(drawn) > 1 and room > 0:
        spots = [_spot(name, group, measured, model.test_fps(group) or 0.0) for name, group in drawn]
        charts.append(_chart(f"{measured} against speed", "test images a second", up, spots))
        spots = [_spot(name, group, measured, joule) for name, group in drawn if (joule := _energy(group))]
        if len(spots) == len(drawn) and room > 1:
            charts.append(_chart(f"{measured} against energy", "energy of a run, kJ", up, spots))
    left = len(pairs) - len(drawn)
    notes = [f"{left} of {len(pairs)} without a number or a speed, or beyond {MOST_SPOTS}, not drawn." if left else ""]
    if not charts and len(drawn) == 1:
        notes = ["One run alone is no comparison: no chart."]
    elif not charts and not left:
        notes = ["Not drawn: see the table."]
    note = " ".join(each for each in (*notes, more) if each)
    return Board(model.by_protocol(groups[:1])[0][0], machine, measured, tuple(charts), rows, note)


def _timed(groups: Sequence[Group], frames: Sequence[FramesLine]) -> list[Timed]:
    """The papers' own settings, beside what a benchmark says of the same network on one device in one way."""
    whole = [group for group in groups if group[0].profile == "paper" and not _other_network(group[0])]
    ways: dict[tuple[str, str], dict[str, FramesLine]] = {}
    for line in frames:
        if line.row.task == "recognition":
            batch = "the fastest batch" if line.row.best_batch else f"batch of {line.row.batch}"
            ways.setdefault((line.conditions, batch), {})[line.row.recipe] = line
    found: list[Timed] = []
    for caption, own in model.by_protocol(nearest_first(whole)):
        measured = headline(own[0][0].values)
        up = Axis(f"{measured}, {own[0][0].values[measured].unit}")
        for (conditions, batch), lines in ways.items():
            joined = [
                (name, group, lines[recipe].row)
                for name, group in named(own)
                if (recipe := group[0].recipe.partition("@")[0]) in lines and values_of(group, measured)
            ]
            charts: list[Chart] = []
            for title, axis, field in (
                ("speed, timed apart", "frames/s", "frames_per_s"),
                ("energy of an image", "J/image, of the board", "joule_per_image"),
            ):
                spots = [
                    _spot(name, group, measured, cost) for name, group, row in joined if (cost := getattr(row, field))
                ]
                if len(spots) > 1 and len(charts) + sum(len(timed.charts) for timed in found) < MOST_CHARTS:
                    charts.append(_chart(f"{measured} against {title}", axis, up, spots))
            if charts:
                found.append(Timed(caption, f"{conditions}, {batch}", tuple(charts)))
    return found


def _other_network(record: Record) -> bool:
    return any(deviation.field.partition(".")[0] in NETWORK for deviation in record.deviations)


def _spot(name: str, group: Group, measured: str, cost: float) -> Spot:
    values = values_of(group, measured)
    mean, sampling = sum(values) / len(values), sampling_interval(group, measured)
    ends = (sampling.low, sampling.high) if sampling and isfinite(sampling.low + sampling.high) else ()
    return Spot(group[0].method.replace("_", " "), name, cost, mean, *ends)


def _chart(title: str, cost: str, up: Axis, spots: Sequence[Spot]) -> Chart:
    best, fastest = max(spots, key=lambda spot: spot.y), max(spots, key=lambda spot: spot.x)
    label = (
        f"{len(spots)} runs. The highest is {best.name}, {best.y:.1f} at {best.x:.3g}; the most on the axis of cost "
        f"has {fastest.name}, {fastest.x:.3g} with {fastest.y:.1f}."
    )
    return scatter(title.capitalize(), label, _logarithmic(cost, [spot.x for spot in spots]), up, spots)


def _logarithmic(title: str, values: Sequence[float]) -> Axis:
    """An axis whose numbers are 1, 2 and 5 times powers of ten, from below the least to above the most."""
    low, high = min(values) / MARGIN, max(values) * MARGIN
    steps = [factor * 10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1) for factor in (1, 2, 5)]
    below = max(step for step in steps if step <= low)
    above = min(step for step in steps if step >= high)
    ticks = tuple(step for step in steps if below <= step <= above)
    if len(ticks) > 6:
        ticks = tuple(step for step in ticks if f"{step:e}".startswith("1"))
    return Axis(title, below, above, True, ticks)


def _machine(record: Record) -> str:
    """What the speed of a run depends on beside itself."""
    given: Mapping[str, object] = record.provenance
    device = str(given.get("device") or "an unknown device")
    threads = "1 thread" if given.get("threads") == 1 else f"{given.get('threads')} threads"
    said = [device if device != "cpu" else f"{given.get('cpu') or 'an unknown CPU'}, {threads}"]
    if (processes := given.get("processes")) not in {None, 1}:
        said.append(f"{processes} processes")
    return ", ".join(said)


def _energy(group: Group) -> float | None:
    joules = model.mean_over(group, lambda record: record.cost.energy_j)
    return None if joules is None else joules / 1000
