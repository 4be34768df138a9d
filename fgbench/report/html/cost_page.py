"""Accuracy against cost: a chart per protocol and machine, because their numbers are not comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.judge.seed_interval import seed_interval
from fgbench.records.record import Record
from fgbench.report.formatting import interval_text
from fgbench.report.html.charts import Axis, Chart, log_axis
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.figures import ScatterPoint, scatter_chart
from fgbench.report.html.pages import Page
from fgbench.report.html.run_groups import (
    RunGroup,
    by_protocol,
    named_groups,
    protocol_text,
    sort_groups,
    table_groups,
)
from fgbench.report.html.run_values import (
    main_value_name,
    mean_value,
    mean_wall_s,
    peak_mib,
    positive_mean,
    test_fps,
    values_of,
)
from fgbench.report.html.speed_page import FramesLine, SpeedPage
from fgbench.util.counted import counted

MAX_CHARTS = 8
"""Charts of the page. Drawing a chart takes a tenth of a second; the tables have all runs."""
MAX_POINTS = 40
"""Numbered points of a chart."""
NETWORK_SETTINGS = ("backbones", "test_pipeline", "options")
"""Settings that change the cost of a network in test."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """Accuracy and cost of a group of runs."""

    number: int | None
    """Number of the point in the charts; None if it is not drawn."""
    name: str
    group: RunGroup
    value: float | None
    """Main value, the mean over the seeds."""
    test_fps: float | None
    wall_s: float
    peak_mib: float
    energy_kj: float | None
    """Energy of one run with all its phases."""


@dataclass(frozen=True, slots=True)
class CostTable:
    """Runs of one protocol on one machine."""

    caption: str
    """Description of the protocol."""
    machine: str
    value_name: str
    """Name of the main value."""
    charts: tuple[Chart, ...]
    rows: tuple[CostRow, ...]
    note: str
    """Runs that are not drawn."""


@dataclass(frozen=True, slots=True)
class BenchmarkedRuns:
    """Accuracy of runs against the frames per second of a benchmark under one set of conditions."""

    caption: str
    """Description of the protocol."""
    conditions: str
    charts: tuple[Chart, ...]


def cost_page(groups: Sequence[RunGroup], speed: SpeedPage | None) -> Page:
    """Return the page on accuracy and cost.

    Args:
        groups: all records by group; controls are left out.
        speed: benchmarks of frames per second and energy per image.
    """
    groups = [group for group in groups if not group[0].control]
    records = [record for group in groups for record in group]
    frames = [line.row for line in speed.frames] if speed else []
    energy_notes = sorted({row.energy_note for row in frames if row.energy_note})
    image_energy_missing = "" if any(row.joule_per_image for row in frames) else "; ".join(energy_notes)
    if not frames:
        image_energy_missing = "no benchmark was given"
    context = {
        "tables": _cost_tables(groups),
        "benchmarked": _benchmarked_runs(groups, speed.frames if speed else ()),
        "image_energy_missing": image_energy_missing,
        "energy_notes": sorted({record.cost.energy_note for record in records} - {""}),
        "any_energy": any(record.cost.energy_j is not None for record in records),
        "benchmarks": bool(frames),
    }
    return Page("costs", "Accuracy and cost", "costs.html.j2", data_origin(records), context=context)


def _cost_tables(groups: Sequence[RunGroup]) -> list[CostTable]:
    comparable: dict[tuple[str, str, str], list[RunGroup]] = {}
    for group in sort_groups(groups):
        first = group[0]
        key = (first.protocol_hash, _machine_text(first), main_value_name(group))
        comparable.setdefault(key, []).append(group)
    tables: list[CostTable] = []
    for (_, machine, value_name), same in comparable.items():
        charts_left = MAX_CHARTS - sum(len(table.charts) for table in tables)
        tables.append(_cost_table(machine, value_name, same, charts_left))
    return tables


def _cost_table(machine: str, value_name: str, groups: Sequence[RunGroup], charts_left: int) -> CostTable:
    # Rows: numbered if they have a value and a speed.
    kept, more = table_groups(groups)
    named = named_groups(kept)
    drawn = [(name, group) for name, group in named if values_of(group, value_name) and test_fps(group)][:MAX_POINTS]
    numbers = {group[0].identity: number for number, (_, group) in enumerate(drawn, 1)}
    rows = tuple(
        CostRow(
            number=numbers.get(group[0].identity),
            name=name,
            group=group,
            value=mean_value(group, value_name),
            test_fps=test_fps(group),
            wall_s=mean_wall_s(group),
            peak_mib=peak_mib(group),
            energy_kj=_energy_kj(group),
        )
        for name, group in named
    )
    # Charts: against speed, and against energy if each run has it.
    charts = []
    y = Axis(f"{value_name}, {groups[0][0].values[value_name].unit}")
    if len(drawn) > 1 and charts_left > 0:
        points = [_point(name, group, value_name, test_fps(group) or 0.0) for name, group in drawn]
        charts.append(_chart(f"{value_name} against speed", "test images per second", y, points))
        points = [_point(name, group, value_name, energy) for name, group in drawn if (energy := _energy_kj(group))]
        if len(points) == len(drawn) and charts_left > 1:
            charts.append(_chart(f"{value_name} against energy", "energy of a run, kJ", y, points))
    # Notes.
    rest = len(named) - len(drawn)
    notes = []
    if not charts and len(drawn) == 1:
        notes = ["No chart: there is only one run."]
    elif rest:
        notes = [f"{rest} of {len(named)} runs are not drawn: no value, no speed, or more than {MAX_POINTS} points."]
    elif not charts:
        notes = ["No chart."]
    note = " ".join(text for text in (*notes, more) if text)
    return CostTable(protocol_text(groups[0][0]), machine, value_name, tuple(charts), rows, note)


def _benchmarked_runs(groups: Sequence[RunGroup], frames: Sequence[FramesLine]) -> list[BenchmarkedRuns]:
    """Runs with the settings of the papers, against the benchmark of the same network."""
    paper_runs = [group for group in groups if group[0].profile == "paper" and not _has_other_network(group[0])]
    # Benchmarks of recognition by conditions and recipe.
    by_conditions: dict[str, dict[str, FramesLine]] = {}
    for line in frames:
        if line.row.task == "recognition":
            batch = "the fastest batch" if line.row.best_batch else f"batch of {line.row.batch}"
            by_conditions.setdefault(f"{line.conditions}, {batch}", {})[line.row.recipe] = line
    result: list[BenchmarkedRuns] = []
    for caption, same in by_protocol(sort_groups(paper_runs)):
        value_name = main_value_name(same[0])
        y = Axis(f"{value_name}, {same[0][0].values[value_name].unit}")
        for conditions, lines in by_conditions.items():
            joined = [
                (name, group, lines[recipe].row)
                for name, group in named_groups(same)
                if (recipe := group[0].recipe.partition("@")[0]) in lines and values_of(group, value_name)
            ]
            charts: list[Chart] = []
            for title, axis, field in (
                ("benchmarked speed", "frames/s", "frames_per_s"),
                ("energy of an image", "J/image, of the board", "joule_per_image"),
            ):
                points = [
                    _point(name, group, value_name, cost)
                    for name, group, row in joined
                    if (cost := getattr(row, field))
                ]
                if len(points) > 1 and len(charts) + sum(len(runs.charts) for runs in result) < MAX_CHARTS:
                    charts.append(_chart(f"{value_name} against {title}", axis, y, points))
            if charts:
                result.append(BenchmarkedRuns(caption, conditions, tuple(charts)))
    return result


def _has_other_network(record: Record) -> bool:
    return any(deviation.field.partition(".")[0] in NETWORK_SETTINGS for deviation in record.deviations)


def _point(name: str, group: RunGroup, value_name: str, cost: float) -> ScatterPoint:
    """A point of a group whose value is finite in every run."""
    shown = seed_interval(group, value_name)
    low, high = shown.ends or (None, None)
    method, mean = group[0].method.replace("_", " "), mean_value(group, value_name) or 0.0
    return ScatterPoint(method, name, cost, mean, low, high, interval_text(shown))


def _chart(title: str, x_title: str, y: Axis, points: Sequence[ScatterPoint]) -> Chart:
    highest, right = max(points, key=lambda point: point.y), max(points, key=lambda point: point.x)
    label = (
        f"{counted(len(points), 'run')}. Highest: {highest.name}, {highest.y:.1f} at {highest.x:.3g}. "
        f"Farthest to the right: {right.name}, {right.y:.1f} at {right.x:.3g}."
    )
    title = title if "@" in title else title.capitalize()
    return scatter_chart(title, label, log_axis(x_title, [point.x for point in points]), y, points)


def _machine_text(record: Record) -> str:
    """Device, threads and processes, on which the speed of a run depends."""
    provenance = record.provenance
    device = str(provenance.get("device") or "an unknown device")
    threads = "1 thread" if provenance.get("threads") == 1 else f"{provenance.get('threads')} threads"
    text = device if device != "cpu" else f"{provenance.get('cpu') or 'an unknown CPU'}, {threads}"
    processes = provenance.get("processes")
    return text if processes in {None, 1} else f"{text}, {processes} processes"


def _energy_kj(group: RunGroup) -> float | None:
    energy_j = positive_mean(group, lambda record: record.cost.energy_j)
    return None if energy_j is None else energy_j / 1000
