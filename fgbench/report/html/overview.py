"""The first page: measured cells, papers, next steps, claims and runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fgbench.judge.adjustment import count_tests
from fgbench.judge.anomaly import Anomalies, Anomaly
from fgbench.judge.citations import counted_once
from fgbench.judge.claims import ClaimResult
from fgbench.judge.seed_interval import SeedInterval, seed_interval
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import Paper
from fgbench.records.record import Record
from fgbench.report.formatting import BADGES, Badge, published
from fgbench.report.html.data_origin import data_origin, recording_period
from fgbench.report.html.measured_rows import measured_rows
from fgbench.report.html.pages import Page
from fgbench.report.html.printed_cells import cell_anchor
from fgbench.report.html.run_groups import RunGroup, anomalies_of, by_protocol, latest_record
from fgbench.report.html.run_values import (
    any_device_peak,
    device_peak_mib,
    main_value_name,
    mean_value,
    mean_wall_s,
    peak_mib,
    test_fps,
)

OUTCOMES = tuple(outcome for outcome in BADGES if outcome != Outcome.CONTEXT)
"""Outcomes that are counted. The numbers of other groups are not judged."""
MEASURED = tuple(outcome for outcome in OUTCOMES if outcome not in {Outcome.BLOCKED, Outcome.NOT_RUN})
"""Outcomes of measured cells."""


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Number of cells with an outcome."""

    badge: Badge
    number: int
    share: float
    """Fraction of the judged cells, 0 to 1."""
    first: str
    """Anchor of the first of these cells; empty if there is none, and for all papers together."""
    measured: bool = True
    """True for an outcome of measured cells."""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """Outcomes of a paper."""

    paper: str
    """Id of the paper; empty for all papers together."""
    title: str
    published: str
    """Venue and year."""
    counts: tuple[OutcomeCount, ...]
    """One per outcome, in the order of `OUTCOMES`."""
    judged: int
    """Number of judged cells."""
    others: int
    """Number of cells of other groups."""
    cited: int
    """Number of cells that repeat a number of another paper here; they are judged and counted there."""

    @property
    def measured(self) -> int:
        """Number of measured cells."""
        return sum(count.number for count in self.counts if count.measured)

    @property
    def measured_counts(self) -> list[OutcomeCount]:
        """Counts of the outcomes of measured cells."""
        return [count for count in self.counts if count.measured]


@dataclass(frozen=True, slots=True)
class NextStep:
    """A command that measures, unblocks or decides cells."""

    command: str
    badge: Badge
    """Most frequent outcome of these cells."""
    reason: str
    """Reason of the first cell with that outcome."""
    cells: int
    papers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunLine:
    """A group of runs as a row."""

    title: str
    address: str
    """Link to the details of the runs."""
    profile: str
    control: str
    """Control experiment; empty for none."""
    data: str
    synthetic: bool
    seeds: int
    metric: str
    mean: float | None
    unit: str
    interval: SeedInterval
    """Interval of the mean over the seeds."""
    wall_s: float | None
    """Mean over the seeds; None for predictions from outside."""
    peak_mib: float | None
    """Maximum over the seeds; None for predictions from outside."""
    device_peak_mib: float | None
    """Memory of the GPU, maximum over the seeds; None on a CPU."""
    reused_features: bool
    """True if features of an earlier run were reused, so the time lacks their computation."""
    test_fps: float | None
    """Mean over the seeds."""
    finished: str
    """Date of the last run; empty if unknown."""
    anomalies: tuple[Anomaly, ...]


def overview_page(
    papers: Mapping[str, Paper],
    verdicts: Mapping[str, Sequence[Verdict]],
    claims: Sequence[ClaimResult],
    groups: Sequence[RunGroup],
    addresses: Mapping[str, str],
    anomalies: Anomalies,
    not_listed: int = 0,
) -> Page:
    """Return the first page.

    Args:
        papers: by id.
        verdicts: by id of the paper.
        claims: of all papers.
        groups: the listed records by group.
        addresses: run id -> link to the details of the run.
        anomalies: run id -> anomalies of the record.
        not_listed: number of further groups.
    """
    records = [record for group in groups for record in group]
    context = {
        "matrix": matrix(papers, verdicts),
        "rows": measured_rows(papers, verdicts),
        "tests": count_tests(verdict for of_paper in verdicts.values() for verdict in counted_once(of_paper)),
        "steps": next_steps(verdicts),
        "claims": claims,
        "runs": [
            (protocol, [run_line(group, addresses[group[0].run_id], anomalies) for group in same])
            for protocol, same in by_protocol(groups)
        ],
        "not_listed": not_listed,
        "any_device_peak": any_device_peak(groups),
        "latest": latest_record(records) if records else None,
        "period": recording_period(records),
    }
    return Page("index", "Overview", "index.html.j2", data_origin(records), context=context)


def matrix(papers: Mapping[str, Paper], verdicts: Mapping[str, Sequence[Verdict]]) -> list[MatrixRow]:
    """Return a row per paper and a row for all papers."""
    rows = [
        MatrixRow(name, paper.title, published(paper), *_count_outcomes(verdicts[name], linked=True))
        for name, paper in papers.items()
    ]
    all_verdicts = [verdict for of_paper in verdicts.values() for verdict in of_paper]
    return [*rows, MatrixRow("", "All papers", "", *_count_outcomes(all_verdicts, linked=False))]


def _count_outcomes(verdicts: Sequence[Verdict], *, linked: bool) -> tuple[tuple[OutcomeCount, ...], int, int, int]:
    """Counts by outcome; numbers of judged cells, of cells of other groups, and of cells judged in another paper."""
    by_outcome: dict[Outcome, list[Verdict]] = {outcome: [] for outcome in BADGES}
    counted = counted_once(verdicts)
    for verdict in counted:
        by_outcome[verdict.outcome].append(verdict)
    others = len(by_outcome[Outcome.CONTEXT])
    judged = len(counted) - others
    counts = tuple(
        OutcomeCount(
            BADGES[outcome],
            len(by_outcome[outcome]),
            len(by_outcome[outcome]) / judged if judged else 0.0,
            cell_anchor(by_outcome[outcome][0].cell) if linked and by_outcome[outcome] else "",
            outcome in MEASURED,
        )
        for outcome in OUTCOMES
    )
    return counts, judged, others, len(verdicts) - len(counted)


def next_steps(verdicts: Mapping[str, Sequence[Verdict]]) -> list[NextStep]:
    """Return the commands of the verdicts; the command for the most cells is first."""
    by_command: dict[str, list[tuple[str, Verdict]]] = {}
    for paper, of_paper in verdicts.items():
        for verdict in counted_once(of_paper):
            if verdict.command:
                by_command.setdefault(verdict.command, []).append((paper, verdict))
    steps = []
    for command, pairs in by_command.items():
        outcomes = [verdict.outcome for _, verdict in pairs]
        most_frequent = max(outcomes, key=outcomes.count)
        # The searched folders, in brackets, are shown with the cells.
        reason = next(verdict.reason.partition(" (")[0] for _, verdict in pairs if verdict.outcome == most_frequent)
        papers = tuple(dict.fromkeys(paper for paper, _ in pairs))
        steps.append(NextStep(command, BADGES[most_frequent], reason, len(pairs), papers))
    return sorted(steps, key=lambda step: -step.cells)


def run_line(group: Sequence[Record], address: str, anomalies: Anomalies) -> RunLine:
    """Return the row of a group of runs."""
    first = group[0]
    metric = main_value_name(group)
    return RunLine(
        title=first.title,
        address=address,
        profile=first.profile,
        control=next((str(d.run) for d in first.deviations if d.field == "control"), ""),
        data=first.data_title,
        synthetic=first.synthetic,
        seeds=len(group),
        metric=metric,
        mean=mean_value(group, metric),
        unit=first.values[metric].unit,
        interval=seed_interval(group, metric),
        wall_s=mean_wall_s(group),
        peak_mib=peak_mib(group),
        device_peak_mib=device_peak_mib(group),
        reused_features=any(record.cost.recalled for record in group),
        test_fps=test_fps(group),
        finished=max(record.finished for record in group)[:10],
        anomalies=tuple(anomalies_of(group, anomalies)),
    )
