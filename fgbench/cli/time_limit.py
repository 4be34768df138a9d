"""`--within` of `fgbench run` and `fgbench reproduce`: the order of the runs, and the time at which they end."""

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from fgbench.cli.console import out
from fgbench.cli.estimates import Rates, estimated
from fgbench.papers.printed import load_papers
from fgbench.papers.settings import HALF
from fgbench.records.expectations import keep_expected, read_expected
from fgbench.records.phase_log import logged_phases
from fgbench.runs.executors.runner import WORK
from fgbench.runs.plan_graph import is_finished
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.speed.planned_costs import expected_cost
from fgbench.speed.verdict_order import by_verdicts_per_min, fitting_first
from fgbench.util.counted import counted
from fgbench.util.durations import parse_duration

RESERVE = 0.1
"""Share of the limit that is kept for the table of results and the report."""
SHORTEST_RESERVE_S, LONGEST_RESERVE_S = 5.0, 30.0


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """A time in which a command ends."""

    limit_s: float
    """Length in seconds."""
    started: float
    """Value of `time.monotonic()` at the start."""

    @classmethod
    def starting_now(cls, text: str) -> Self:
        """Return a limit such as `9m`.

        Raises:
            FgbenchError: the text is no duration.
        """
        return cls(parse_duration(text), time.monotonic())

    @property
    def deadline(self) -> float:
        """Value of `time.monotonic()` at which runs end, so that the rest of the command fits, too."""
        reserve = min(max(RESERVE * self.limit_s, SHORTEST_RESERVE_S), LONGEST_RESERVE_S, self.limit_s / 2)
        return self.started + self.limit_s - reserve

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())


def ordered_by_verdicts(plan: Plan, limit: TimeLimit, results: Path, *, profile: str, has_gpu: bool, jobs: int) -> Plan:
    """Estimate the cost of the runs of a plan, and put them in the order of verdicts a minute.

    Runs that fit into the limit come first. The others follow, so that the rest of the time is used.

    Args:
        plan: the runs.
        limit: the limit.
        results: results folder; the estimates are kept in it for the records of the runs.
        profile: name of the profile.
        has_gpu: True if the runs use a GPU.
        jobs: number of runs at the same time.

    Returns:
        The plan; its runs carry their estimated cost.
    """
    kept = [run for run in plan.runs if is_finished(results, run)]
    runs = _with_estimates([run for run in plan.runs if run not in kept], results, profile, has_gpu)
    seconds = {run.id: _left_s(run, results) for run in runs}
    groups = by_verdicts_per_min(runs, seconds, load_papers().values())
    first, rest = fitting_first(groups, limit.left_s * jobs)
    out(
        f"{counted(sum(len(group.runs) for group in first), 'run')} of {len(runs)} fit into {limit.left_s:.0f} s by "
        "their estimates; the others follow and are stopped at the time limit"
    )
    for group in (*first, *rest):
        about = "not estimated" if group.seconds == float("inf") else f"about {group.seconds / 60:.1f} min"
        what = ", then ".join(dict.fromkeys(run.what for run in group.runs))
        out(f"  {what}: {about}, {counted(group.cells, 'printed cell')}")
    return Plan((*kept, *(run for group in (*first, *rest) for run in group.runs)), plan.blocked)


def _left_s(run: Run, results: Path) -> float:
    """Return the estimated time of a run in seconds, without the phases that earlier calls have finished or begun."""
    if run.expected is None:
        return float("inf")
    done = logged_phases(results / WORK / run.id)
    return sum(max(0.0, expected - done.get(phase, 0.0)) for phase, expected in run.expected.phase_s.items())


def _with_estimates(runs: list[Run], results: Path, profile: str, has_gpu: bool) -> list[Run]:
    """Return runs with their estimated costs. An estimate of an earlier call is used again."""
    rates, bf16 = None, any(run.settings.precision == HALF for run in runs)
    rated = []
    for run in runs:
        expected = read_expected(results, run.id)
        if expected is None:
            rates = rates or Rates.of(profile, results, has_gpu=has_gpu, bf16=bf16)
            expected, _ = estimated(partial(expected_cost, run, rates.device, rates.host))
            if expected:
                keep_expected(results, run.id, expected)
        rated.append(replace(run, expected=expected))
    return rated
