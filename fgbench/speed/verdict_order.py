"""Order of runs by the verdicts that they give for their time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fgbench.papers.printed import Paper
from fgbench.runs.run import Run


@dataclass(frozen=True, slots=True)
class RatedRuns:
    """The seeds of a recipe, which together decide its printed cells."""

    runs: tuple[Run, ...]
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

    Args:
        run: the run.
        papers: all papers; a cell that cites another paper counts with the recipe of that paper.
    """
    if any(deviation.changes_experiment for deviation in run.deviations):
        return 0
    return sum(
        (cell.recipe, cell.data) == (run.recipe.name, run.settings.data) for paper in papers for cell in paper.cells()
    )


def by_verdicts_per_min(runs: Sequence[Run], seconds: Mapping[str, float], papers: Iterable[Paper]) -> list[RatedRuns]:
    """Group runs that differ only in their seed, and order the groups by decided cells a minute.

    Groups with the same rate, such as those that decide no cell, are ordered by their time.

    Args:
        runs: the runs.
        seconds: estimated time of each run, by id.
        papers: all papers.
    """
    papers = list(papers)
    groups: dict[tuple[str, str, object], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.recipe.key, run.profile, run.changes), []).append(run)
    rated = [
        RatedRuns(tuple(group), decided_cells(group[0], papers), sum(seconds[run.id] for run in group))
        for group in groups.values()
    ]
    return sorted(rated, key=lambda group: (-group.verdicts_per_min, group.seconds))


def within(groups: Iterable[RatedRuns], limit_s: float) -> list[RatedRuns]:
    """Return the groups that fit into a time one after the other; a group that does not fit is left out."""
    chosen, used_s = [], 0.0
    for group in groups:
        if used_s + group.seconds <= limit_s:
            chosen.append(group)
            used_s += group.seconds
    return chosen
