"""The page on speed, from files of pytest-benchmark: hot paths with their peers, frames per second, scaling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fgbench.report.formatting import NONE, number
from fgbench.report.html.charts import Chart, log_axis
from fgbench.report.html.data_origin import DataOrigin
from fgbench.report.html.line_charts import ChartLine, line_chart
from fgbench.report.html.pages import Page
from fgbench.speed.bench_rows import BenchmarkSession, FramesRow, HotRow, ScalingRow, TimedRow

SECONDS_LABEL = "format(datum.value, '~s') + 's'"
"""Vega expression for a tick in seconds, such as 20ms."""


@dataclass(frozen=True, slots=True)
class HotLine:
    """fgbench on a hot path, compared with one peer or with a required time."""

    path: str
    peer: str
    seconds: float
    """Median time of fgbench."""
    ratio: float | None
    """Time of the peer over that of fgbench; None without a peer."""
    requirement: str
    met: bool | None
    """True if the requirement is met; None without a requirement."""
    times_floor: float | None
    """Time as a multiple of the lower bound of any implementation."""
    floor_counts: str
    """Operations and bytes that the lower bound counts."""
    threads: int
    machine: str


@dataclass(frozen=True, slots=True)
class FramesLine:
    """A row of the tables of frames per second."""

    row: FramesRow

    @property
    def batch(self) -> str:
        """Batch size, marked if it is the fastest one."""
        return f"{self.row.batch} (best)" if self.row.best_batch else str(self.row.batch)

    @property
    def conditions(self) -> str:
        """Conditions that the rows of a table share."""
        row = self.row
        threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
        conditions = (
            "training step" if row.task == "training step" else "",
            row.device,
            threads if row.device_type == "cpu" else "",
            row.dtype,
            f"compiled ({row.compiled})" if row.compiled else "",
            row.layout.replace("_", " "),
            "from files" if row.decode else "from pixels",
        )
        return ", ".join(text for text in conditions if text)

    @property
    def remarks(self) -> list[str]:
        """Remarks on the measurement."""
        row = self.row
        above_bound = row.share_of_bound and row.share_of_bound > 1
        remarks = [
            "" if row.steady else "not steady when the measurement began",
            f"clocks reduced by {' and '.join(row.held_down_by)}" if row.held_down_by else "",
            f"tried {', '.join(_trial(*trial) for trial in row.tried)}; {row.stopped}" if row.tried else "",
            "above the bound: the device was busy when its rates were measured" if above_bound else "",
            f"scores differ from fp32 by {row.difference_from_fp32:.1%}" if row.difference_from_fp32 else "",
        ]
        return [text for text in remarks if text]


@dataclass(frozen=True, slots=True)
class ScalingCurve:
    """Time as a function of size."""

    title: str
    axis: str
    """Name of the size."""
    expected: str
    """Expected exponent."""
    points: tuple[tuple[float, float], ...]
    """Size and seconds, by increasing size."""
    exponent: float | None
    """Fitted exponent; None with too few points."""
    low: float | None
    """Lower end of the 95 % interval of the exponent."""
    high: float | None
    """Upper end of the interval."""
    device: str
    threads: int

    @property
    def chart(self) -> Chart:
        """The curve on two logarithmic axes."""
        sizes, seconds = (list(values) for values in zip(*self.points, strict=True))
        fit = "too few points for an exponent"
        if self.exponent is not None:
            fit = f"exponent {self.exponent:.2f} ({number(self.low, 2)} to {number(self.high, 2)})"
        expected = f"; expected {self.expected}" if self.expected else ""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        label = f"{self.axis} {sizes[0]:g} to {sizes[-1]:g}: {duration(seconds[0])} to {duration(seconds[-1])}, {fit}."
        return line_chart(
            self.title,
            label,
            log_axis(self.axis, sizes),
            log_axis("time", seconds, SECONDS_LABEL),
            [ChartLine(self.title, "", self.points)],
            points=True,
            note=f"{fit}{expected}. {self.device}, {threads}",
        )


@dataclass(frozen=True, slots=True)
class SpeedPage:
    """Contents of the page on speed."""

    sessions: tuple[BenchmarkSession, ...]
    hot: tuple[HotLine, ...]
    frames: tuple[FramesLine, ...]
    curves: tuple[ScalingCurve, ...]

    @property
    def origin(self) -> DataOrigin:
        """First line of the page."""
        machines = " and ".join(dict.fromkeys(session.machine for session in self.sessions))
        return DataOrigin(False, f"Timed on {machines}. This page has times and no accuracies.")

    @property
    def files_by_session(self) -> dict[str, list[str]]:
        """Names of files by machine, time and commit, in words: `fgbench speed` writes a file for each recipe."""
        files: dict[str, list[str]] = {}
        for s in self.sessions:
            features = f" ({s.features})" if s.features else ""
            commit = f", commit {s.commit[:12]}" if s.commit else ""
            time = s.finished[:19].replace("T", " ")
            text = f"{s.machine}{features}; {s.platform}, Python {s.python}; {time}{commit}"
            files.setdefault(text, []).append(s.file)
        return files

    @property
    def frames_by_conditions(self) -> dict[str, list[FramesLine]]:
        """Frames per second by conditions."""
        by_conditions: dict[str, list[FramesLine]] = {}
        for line in self.frames:
            by_conditions.setdefault(line.conditions, []).append(line)
        return by_conditions

    @property
    def several_machines(self) -> bool:
        """True if the sessions ran on different machines, so that each row needs its machine."""
        return len({session.machine for session in self.sessions}) > 1


def speed_pages(speed: SpeedPage | None) -> list[Page]:
    """Return the page on speed; no page without benchmarks."""
    return [] if speed is None else [Page("speed", "Speed", "speed.html.j2", speed.origin)]


def speed_page(sessions: Sequence[BenchmarkSession]) -> SpeedPage:
    """Return the contents of the page on speed from some files of benchmarks."""
    return SpeedPage(
        sessions=tuple(sessions),
        hot=tuple(line for session, timed in _rows(sessions) for line in _hot_lines(session, timed)),
        frames=tuple(FramesLine(timed.row) for _, timed in _rows(sessions) if isinstance(timed.row, FramesRow)),
        curves=tuple(_curves(sessions)),
    )


def _rows(sessions: Sequence[BenchmarkSession]) -> list[tuple[BenchmarkSession, TimedRow]]:
    return [(session, timed) for session in sessions for timed in session.rows]


def _hot_lines(session: BenchmarkSession, timed: TimedRow) -> list[HotLine]:
    """A line per peer, and a line for the required time and for each other required value."""
    row = timed.row
    if not isinstance(row, HotRow):
        return []

    def line(peer: str, ratio: float | None, requirement: str, met: bool | None) -> HotLine:
        floor = (row.times_floor, row.floor_counts)
        return HotLine(timed.group, peer, timed.median_s, ratio, requirement, met, *floor, row.threads, session.machine)

    lines = []
    for peer, ratio in row.times_as_fast_as.items():
        least = row.at_least.get(peer)
        requirement = NONE if least is None else f"at least {least:g}"
        lines.append(line(peer, ratio, requirement, None if least is None else ratio >= least))
    if row.at_most_s is not None:
        lines.append(line(NONE, None, f"at most {duration(row.at_most_s)}", timed.median_s <= row.at_most_s))
    for word, limits in (("most", row.values_at_most), ("least", row.values_at_least)):
        for name, limit in limits.items():
            if (value := row.values.get(name)) is None:
                continue
            met = value <= limit if word == "most" else value >= limit
            lines.append(line(NONE, None, f"{name} {value:.4g}, at {word} {limit:.4g}", met))
    return lines or [line(NONE, None, NONE, None)]


def _curves(sessions: Sequence[BenchmarkSession]) -> list[ScalingCurve]:
    by_curve: dict[tuple[str, str], list[tuple[ScalingRow, float]]] = {}
    for session, timed in _rows(sessions):
        if isinstance(timed.row, ScalingRow):
            by_curve.setdefault((session.file, timed.row.curve), []).append((timed.row, timed.median_s))
    curves = []
    for rows in by_curve.values():
        first = rows[0][0]
        points = tuple(sorted((row.at, seconds) for row, seconds in rows))
        interval = first.exponent, first.exponent_low, first.exponent_high
        curves.append(
            ScalingCurve(first.curve, first.axis, first.expected, points, *interval, first.device, first.threads)
        )
    return curves


def _trial(batch: int, fps: float | None) -> str:
    return f"{batch}: {'out of memory' if fps is None else rate(fps)}"


def rate(value: float | None) -> str:
    """Return a rate without an exponent: 0.42, 8.1, 87, 1234; a dash for None."""
    if value is None:
        return NONE
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 20 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return a time in s, ms or µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


FILTERS: dict[str, Callable[..., str]] = {"rate": rate, "duration": duration}
"""Filters of the templates."""
