"""The page on speed, from files of pytest-benchmark: hot paths beside their peers, frames a second, scaling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fgbench.report.formatting import NONE
from fgbench.report.html.model import Source
from fgbench.speed.bench_rows import BenchmarkSession, FramesRow, HotRow, ScalingRow, TimedRow


@dataclass(frozen=True, slots=True)
class HotLine:
    """fgbench on a hot path beside one peer, or beside what is asked of it alone."""

    path: str
    beside: str
    seconds: float
    """fgbench's median."""
    ratio: float | None
    """How many times as fast as the peer; None without one."""
    asked: str
    kept: bool | None
    """Whether what is asked is kept; None where nothing is."""
    times_floor: float | None
    floor_counts: str
    threads: int
    machine: str


@dataclass(frozen=True, slots=True)
class FramesLine:
    """A row of frames a second."""

    row: FramesRow

    @property
    def batch(self) -> str:
        """The batch, and how it was chosen."""
        return f"{self.row.batch} (best)" if self.row.best_batch else str(self.row.batch)

    @property
    def conditions(self) -> str:
        """All that is the same for the rows of a table."""
        row = self.row
        threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
        said = (
            "training step" if row.task == "training step" else "",
            row.device,
            threads if row.device_type == "cpu" else "",
            row.dtype,
            f"compiled ({row.compiled})" if row.compiled else "",
            row.layout.replace("_", " "),
            "from files" if row.decode else "from pixels",
        )
        return ", ".join(word for word in said if word)

    @property
    def remarks(self) -> list[str]:
        """What to know of the row."""
        row = self.row
        found = [
            "" if row.steady else "not steady when the measurement began",
            f"clocks held down by {' and '.join(row.held_down_by)}" if row.held_down_by else "",
            f"tried {', '.join(_trial(*trial) for trial in row.tried)}; {row.stopped}" if row.tried else "",
            "more than the bound: the device was busy when its rates were measured"
            if row.share_of_bound and row.share_of_bound > 1
            else "",
            f"scores differ from fp32 by {row.difference_from_fp32:.1%}" if row.difference_from_fp32 else "",
        ]
        return [text for text in found if text]


@dataclass(frozen=True, slots=True)
class ScalingCurve:
    """Cost against size."""

    title: str
    axis: str
    expected: str
    points: tuple[tuple[float, float], ...]
    """Size and seconds, the smallest first."""
    exponent: float | None
    low: float | None
    high: float | None
    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class SpeedPage:
    """What the page shows."""

    sessions: tuple[BenchmarkSession, ...]
    hot: tuple[HotLine, ...]
    frames: tuple[FramesLine, ...]
    curves: tuple[ScalingCurve, ...]

    @property
    def source(self) -> Source:
        """The first line of the page."""
        machines = " and ".join(dict.fromkeys(session.machine for session in self.sessions))
        return Source(False, f"Timed on {machines}. This page has times, and no accuracy.")

    @property
    def tables(self) -> dict[str, list[FramesLine]]:
        """Frames a second by conditions."""
        found: dict[str, list[FramesLine]] = {}
        for line in self.frames:
            found.setdefault(line.conditions, []).append(line)
        return found

    @property
    def several(self) -> bool:
        """Whether the machines differ, and so have to be said row by row."""
        return len({session.machine for session in self.sessions}) > 1


def speed_page(sessions: Sequence[BenchmarkSession]) -> SpeedPage:
    """The rows of some files of benchmarks, by kind."""
    return SpeedPage(
        sessions=tuple(sessions),
        hot=tuple(line for s, timed in _rows(sessions) for line in _hot(s, timed)),
        frames=tuple(FramesLine(timed.row) for _, timed in _rows(sessions) if isinstance(timed.row, FramesRow)),
        curves=tuple(_curves(sessions)),
    )


def _rows(sessions: Sequence[BenchmarkSession]) -> list[tuple[BenchmarkSession, TimedRow]]:
    return [(session, timed) for session in sessions for timed in session.rows]


def _hot(session: BenchmarkSession, timed: TimedRow) -> list[HotLine]:
    row = timed.row
    if not isinstance(row, HotRow):
        return []

    def line(beside: str, ratio: float | None, asked: str, kept: bool | None) -> HotLine:
        fixed = (row.times_floor, row.floor_counts, row.threads, session.machine)
        return HotLine(timed.group, beside, timed.median_s, ratio, asked, kept, *fixed)

    lines = []
    for peer, ratio in row.times_as_fast_as.items():
        least = row.at_least.get(peer)
        asked = NONE if least is None else f"at least {least:g}"
        lines.append(line(peer, ratio, asked, None if least is None else ratio >= least))
    if row.at_most_s is not None:
        lines.append(line(NONE, None, f"at most {duration(row.at_most_s)}", timed.median_s <= row.at_most_s))
    return lines or [line(NONE, None, NONE, None)]


def _curves(sessions: Sequence[BenchmarkSession]) -> list[ScalingCurve]:
    found: dict[tuple[str, str], list[tuple[ScalingRow, float]]] = {}
    for session, timed in _rows(sessions):
        if isinstance(timed.row, ScalingRow):
            found.setdefault((session.file, timed.row.curve), []).append((timed.row, timed.median_s))
    curves = []
    for points in found.values():
        first = points[0][0]
        places = tuple(sorted((row.at, seconds) for row, seconds in points))
        interval = first.exponent, first.exponent_low, first.exponent_high
        curves.append(
            ScalingCurve(first.curve, first.axis, first.expected, places, *interval, first.device, first.threads)
        )
    return curves


def _trial(batch: int, fps: float | None) -> str:
    return f"{batch}: {'out of memory' if fps is None else rate(fps)}"


def rate(value: float | None) -> str:
    """A number of some digits, without an exponent: 0.42, 8.1, 87, 1234; a dash where there is none."""
    if value is None:
        return NONE
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 20 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


FILTERS: dict[str, Callable[..., str]] = {"rate": rate, "duration": duration}
