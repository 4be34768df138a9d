"""The index: papers x outcomes at a glance, what to do next, and the runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fgbench.judge.anomalies import Anomalies, Anomaly
from fgbench.judge.verdict import Outcome, Verdict, sampling_interval
from fgbench.metrics.values import headline
from fgbench.papers.printed import Cell, Paper
from fgbench.records.record import Record
from fgbench.report.formatting import BADGES, Badge, published
from fgbench.report.html.model import mean_of, oddities, test_fps
from fgbench.statistics import Interval

OUTCOMES = tuple(outcome for outcome in BADGES if outcome != Outcome.CONTEXT)
"""The columns of the matrix; other groups' numbers are not ours to judge."""


def place(cell: Cell) -> str:
    """The anchor of a cell in its table, on the page of its paper."""
    return f"at-{cell.id.replace('/', '-')}"


@dataclass(frozen=True, slots=True)
class Count:
    """How many cells of a paper have an outcome."""

    badge: Badge
    number: int
    share: float
    """Of the paper's cells, from 0 to 1."""
    first: str
    """Anchor of the first of them; empty where there is none, and for all papers together."""


@dataclass(frozen=True, slots=True)
class Line:
    """A paper in the matrix."""

    paper: str
    """Its id; empty for all together."""
    title: str
    published: str
    counts: tuple[Count, ...]
    """One an outcome, in their order."""
    judged: int
    """How many cells are ours to judge."""
    others: int
    """How many are other groups' numbers."""


def matrix(papers: Mapping[str, Paper], verdicts: Mapping[str, Sequence[Verdict]]) -> list[Line]:
    """A line a paper, and one for all of them."""
    lines = [
        Line(name, paper.title, published(paper), *_counted(verdicts[name], linked=True))
        for name, paper in papers.items()
    ]
    everything = [verdict for own in verdicts.values() for verdict in own]
    return [*lines, Line("", "All papers", "", *_counted(everything, linked=False))]


def _counted(verdicts: Sequence[Verdict], *, linked: bool) -> tuple[tuple[Count, ...], int, int]:
    found: dict[Outcome, list[Verdict]] = {outcome: [] for outcome in BADGES}
    for verdict in verdicts:
        found[verdict.outcome].append(verdict)
    judged = len(verdicts) - len(found[Outcome.CONTEXT])
    counts = tuple(
        Count(
            BADGES[outcome],
            len(found[outcome]),
            len(found[outcome]) / judged if judged else 0.0,
            place(found[outcome][0].cell) if linked and found[outcome] else "",
        )
        for outcome in OUTCOMES
    )
    return counts, judged, len(found[Outcome.CONTEXT])


@dataclass(frozen=True, slots=True)
class Step:
    """Something to type that would get or decide numbers."""

    command: str
    badge: Badge
    """What most of the cells are now."""
    reason: str
    """Why, of the first of them."""
    cells: int
    papers: tuple[str, ...]


def next_steps(verdicts: Mapping[str, Sequence[Verdict]]) -> list[Step]:
    """What to type next, that for the most cells first."""
    found: dict[str, list[tuple[str, Verdict]]] = {}
    for name, own in verdicts.items():
        for verdict in own:
            if verdict.command:
                found.setdefault(verdict.command, []).append((name, verdict))
    steps = []
    for command, pairs in found.items():
        outcomes = [verdict.outcome for _, verdict in pairs]
        most = max(outcomes, key=outcomes.count)
        # Without the folders that were searched: they stand by the cells.
        reason = next(verdict.reason.partition(" (")[0] for _, verdict in pairs if verdict.outcome == most)
        papers = tuple(dict.fromkeys(name for name, _ in pairs))
        steps.append(Step(command, BADGES[most], reason, len(pairs), papers))
    return sorted(steps, key=lambda step: -step.cells)


@dataclass(frozen=True, slots=True)
class RunLine:
    """Runs that differ in their seed alone, as a row."""

    title: str
    address: str
    """Where they are told in full."""
    profile: str
    control: str
    """What control experiment it is; empty for none."""
    data: str
    synthetic: bool
    seeds: int
    metric: str
    mean: float | None
    unit: str
    sampling: Interval | None
    """Around the mean, for another test set."""
    wall_s: float
    """Mean over the seeds."""
    peak_mib: float
    """The highest."""
    spared: bool
    """Whether a network's work was done by an earlier run, so that the time is without it."""
    test_fps: float | None
    """Mean over the seeds."""
    finished: str
    """Day of the last of them; empty where it is not known."""
    odd: tuple[Anomaly, ...]


def run_line(group: Sequence[Record], address: str, anomalies: Anomalies) -> RunLine:
    """The row of some runs that differ in their seed alone."""
    first = group[0]
    metric = headline(first.values)
    value = first.values[metric]
    return RunLine(
        title=first.title,
        address=address,
        profile=first.profile,
        control=next((str(d.run) for d in first.deviations if d.field == "control"), ""),
        data=first.data.replace("_", " "),
        synthetic=first.synthetic,
        seeds=len(group),
        metric=metric,
        mean=mean_of(group, metric),
        unit=value.unit,
        sampling=sampling_interval(group, metric),
        wall_s=sum(record.cost.wall_s for record in group) / len(group),
        peak_mib=max(record.cost.peak_mib for record in group),
        spared=any(record.cost.recalled for record in group),
        test_fps=test_fps(group),
        finished=max(str(record.provenance.get("finished") or "") for record in group)[:10],
        odd=tuple(oddities(group, anomalies)),
    )
