"""Order of runs by the verdicts that they give for their time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fgbench.papers.printed import Paper
from fgbench.runs.run import Run


@dataclass(frozen=True, slots=True)
class RatedRuns:
    """The seeds of a recipe, which together decide its printed cells, after runs from whose networks they start."""

    runs: tuple[Run, ...]
    """The runs in order. Runs from whose networks others start stand only in the first group that needs them."""
    cells: int
    """Number of printed cells that the runs decide."""
    seconds: float
    """Estimated time of all runs."""

    @property
    def verdicts_per_min(self) -> float:
        """Decided cells a minute of estimated time."""
        return 60 * self.cells / max(self.seconds, 1e-9)


def decided_cells(run: Run, papers: Iterable[Paper]) -> int:
    """Return the number of printed cells that a run decides: none if it deviates from the experiment of its recipe.

    Frames per second are decided by a measurement of speed, not by a run.

    Args:
        run: the run.
        papers: all papers; a cell that cites another paper counts with the recipe of that paper.
    """
    if any(deviation.changes_experiment for deviation in run.deviations):
        return 0
    return sum(
        (cell.recipe, cell.data) == (run.recipe.name, run.settings.data) and cell.metric != "fps"
        for paper in papers
        for cell in paper.cells()
    )


def by_verdicts_per_min(runs: Sequence[Run], seconds: Mapping[str, float], papers: Iterable[Paper]) -> list[RatedRuns]:
    """Group runs that differ only in their seed, and order the groups by decided cells a minute.

    A group that starts from the networks of a later one is rated together with it, and the two become one group. Groups
    with the same rate, such as those that decide no cell, are ordered by their time.

    Args:
        runs: the runs.
        seconds: estimated time of each run, by id.
        papers: all papers.
    """
    papers = list(papers)
    groups: dict[tuple[str, str, object], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.recipe.key, run.profile, run.changes), []).append(run)
    rated = {
        group[0].id: RatedRuns(tuple(group), decided_cells(group[0], papers), sum(seconds[run.id] for run in group))
        for group in groups.values()
    }
    first_of = {run.id: first for first, group in rated.items() for run in group.runs}
    ordered: list[RatedRuns] = []
    while rated:
        chains = [_chain(first, rated, first_of) for first in rated]
        best = min(chains, key=lambda chain: (-_together(chain).verdicts_per_min, _together(chain).seconds))
        ordered.append(_together(best))
        for group in best:
            del rated[group.runs[0].id]
    return ordered


def _chain(first: str, rated: Mapping[str, RatedRuns], first_of: Mapping[str, str]) -> list[RatedRuns]:
    """Return a group after the groups that it starts from, as far as these are not ordered yet."""
    group = rated[first]
    parents = dict.fromkeys(first_of.get(run.parent.id, "") for run in group.runs if run.parent)
    return [*(before for parent in parents if parent in rated for before in _chain(parent, rated, first_of)), group]


def _together(chain: Sequence[RatedRuns]) -> RatedRuns:
    """Return several groups as one."""
    runs = tuple(run for group in chain for run in group.runs)
    return RatedRuns(runs, sum(group.cells for group in chain), sum(group.seconds for group in chain))


def fitting_first(groups: Iterable[RatedRuns], limit_s: float) -> tuple[list[RatedRuns], list[RatedRuns]]:
    """Return the groups that fit into a time one after the other, and those that do not fit.

    A group does not fit if it starts from the network of a run that does not. If a group that decides cells does not
    fit, the rest of the time is for it, and not for groups that decide none.
    """
    first: list[RatedRuns] = []
    rest: list[RatedRuns] = []
    left_out: set[str] = set()
    used_s = 0.0
    for group in sorted(groups, key=lambda group: not group.cells):
        waits = not group.cells and any(other.cells for other in rest)
        starts = {run.parent.id for run in group.runs if run.parent}
        fits = not waits and not starts & left_out and used_s + group.seconds <= limit_s
        left_out |= set() if fits else {run.id for run in group.runs}
        (first if fits else rest).append(group)
        used_s += group.seconds if fits else 0.0
    return first, rest
