"""Accuracy against cost: a chart per protocol and machine, because their numbers are not comparable."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.judge.frame_verdicts import COMMAND
from fgbench.judge.seed_interval import seed_interval
from fgbench.records.record import Record
from fgbench.report.formatting import interval_text
from fgbench.report.html.charts import Axis, Chart
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.estimates import estimate_tables
from fgbench.report.html.figures import RangePoint, dot_chart
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
    any_device_peak,
    device_peak_mib,
    main_value_name,
    mean_and_interval,
    mean_value,
    mean_wall_s,
    peak_mib,
    positive_mean,
    test_fps,
    values_of,
)
from fgbench.report.html.speed_page import FramesLine, SpeedPage
from fgbench.report.html.trade_off import TradeOffPoint, short_names, trade_off_chart
from fgbench.report.names import method_name
from fgbench.util.counted import counted

MAX_CHARTS = 8
"""Charts of the page. Drawing a chart takes a tenth of a second; the tables have all runs."""
NETWORK_SETTINGS = ("backbones", "test_pipeline", "options")
"""Settings that change the cost of a network in test."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """Accuracy and cost of a group of runs."""

    name: str
    group: RunGroup
    value: float | None
    """Main value, the mean over the seeds."""
    test_fps: float | None
    wall_s: float | None
    peak_mib: float | None
    device_peak_mib: float | None
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
    """Runs that are not drawn, and runs without a speed."""


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
        groups: all records by group; controls and predictions from outside are left out.
        speed: benchmarks of frames per second and energy per image.
    """
    groups = [group for group in groups if not group[0].control and group[0].computed_here]
    records = [record for group in groups for record in group]
    frames = [line.row for line in speed.frames] if speed else []
    context = {
        "tables": _cost_tables(groups),
        "benchmarked": _benchmarked_runs(groups, speed.frames if speed else ()),
        "image_energy": any(row.joule_per_image for row in frames),
        "energy_notes": sorted({record.cost.energy_note for record in records} - {""}),
        "any_energy": any(record.cost.energy_j is not None for record in records),
        "any_device_peak": any_device_peak(groups),
        "speed_command": "" if all(test_fps(group) for group in groups) else f"{COMMAND} RECIPE",
        "benchmark_command": "" if frames else f"{COMMAND} RECIPE",
        "estimates": estimate_tables(groups),
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
    kept, more = table_groups(groups)
    named = named_groups(kept)
    rows = tuple(
        CostRow(
            name=name,
            group=group,
            value=mean_value(group, value_name),
            test_fps=test_fps(group),
            wall_s=mean_wall_s(group),
            peak_mib=peak_mib(group),
            device_peak_mib=device_peak_mib(group),
            energy_kj=_energy_kj(group),
        )
        for name, group in named
    )
    # Charts: against speed, the runs without a speed, and against energy if each run has it.
    charts = []
    y = f"{value_name}, {groups[0][0].values[value_name].unit}"
    drawn = [(name, group) for name, group in named if values_of(group, value_name)]
    if len(drawn) > 1 and charts_left > 0:
        with_speed = [(name, group, fps) for name, group in drawn if (fps := test_fps(group))]
        points = [_point(name, group, value_name, fps) for name, group, fps in with_speed]
        if points:
            charts.append(_chart(f"{value_name} against speed", "test images per second", y, points, is_speed=True))
        if len(points) < len(drawn):
            charts.append(_no_speed_chart(y, [pair for pair in drawn if not test_fps(pair[1])], value_name))
        energies = [(name, group, kj) for name, group in drawn if (kj := _energy_kj(group))]
        if len(energies) == len(drawn):
            points = [_point(name, group, value_name, kj) for name, group, kj in energies]
            charts.append(_chart(f"{value_name} against energy", "energy of a run, kJ", y, points, is_speed=False))
    # Notes.
    without_speed = [group for _, group in named if not test_fps(group)]
    no_chart = "No chart: there is only one run." if len(drawn) == 1 else "No chart."
    notes = ["" if charts else no_chart, _no_value_note(len(named) - len(drawn))]
    notes += [_no_speed_note(without_speed, len(named)), more]
    return CostTable(
        protocol_text(groups[0][0]),
        machine,
        value_name,
        tuple(charts),
        rows,
        " ".join(text for text in notes if text),
    )


def _no_speed_chart(axis: str, named: Sequence[tuple[str, RunGroup]], value_name: str) -> Chart:
    """Return a chart of the values of runs without a speed, highest first."""
    points = []
    for name, (_, group) in zip(short_names([name for name, _ in named]), named, strict=True):
        mean, low, high = mean_and_interval(group, value_name) or (0.0, 0.0, 0.0)
        points.append(RangePoint(value_name, name, mean, low, high))
    points.sort(key=lambda point: -point.mean)
    highest = points[0]
    label = f"{counted(len(points), 'run')}. Highest: {highest.name}, {highest.mean:.1f}."
    return dot_chart("Runs without a speed", label, Axis(axis), points)


def _no_value_note(missing: int) -> str:
    return f"{counted(missing, 'run')} without a value {'is' if missing == 1 else 'are'} not drawn." if missing else ""


def _no_speed_note(groups: Sequence[RunGroup], total: int) -> str:
    """Why some runs of a table have no speed."""
    if not groups:
        return ""
    reused = sum(any(record.cost.recalled for record in group) for group in groups)
    why = f"; {reused} used feature maps that an earlier run had stored" if reused else ""
    return f"{len(groups)} of {counted(total, 'run')} {'has' if len(groups) == 1 else 'have'} no speed{why}."


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
        y = f"{value_name}, {same[0][0].values[value_name].unit}"
        for conditions, lines in by_conditions.items():
            joined = [
                (name, group, lines[recipe].row)
                for name, group in named_groups(same)
                if (recipe := group[0].recipe.partition("@")[0]) in lines and values_of(group, value_name)
            ]
            charts: list[Chart] = []
            for title, axis, field, is_speed in (
                ("benchmarked speed", "frames/s", "frames_per_s", True),
                ("energy of an image", "J/image, of the board", "joule_per_image", False),
            ):
                points = [
                    _point(name, group, value_name, cost)
                    for name, group, row in joined
                    if (cost := getattr(row, field))
                ]
                if len(points) > 1 and len(charts) + sum(len(runs.charts) for runs in result) < MAX_CHARTS:
                    whole_title = f"{value_name} against {title}"
                    charts.append(_chart(whole_title, axis, y, points, is_speed=is_speed))
            if charts:
                result.append(BenchmarkedRuns(caption, conditions, tuple(charts)))
    return result


def _has_other_network(record: Record) -> bool:
    return any(deviation.field.partition(".")[0] in NETWORK_SETTINGS for deviation in record.deviations)


def _point(name: str, group: RunGroup, value_name: str, cost: float) -> TradeOffPoint:
    """A point of a group whose value is finite in every run."""
    shown = seed_interval(group, value_name)
    low, high = shown.ends or (None, None)
    method, mean = method_name(group[0].method), mean_value(group, value_name) or 0.0
    return TradeOffPoint(method, name, cost, mean, low, high, interval_text(shown))


def _chart(title: str, x: str, y: str, points: Sequence[TradeOffPoint], *, is_speed: bool) -> Chart:
    title = title if "@" in title else title.capitalize()
    return trade_off_chart(title, x, y, points, more_is_better=is_speed)


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
