"""Order of runs by decided cells a minute."""

from dataclasses import replace

import mini
import pytest

from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Deviation
from fgbench.speed.verdict_order import by_verdicts_per_min, decided_cells, fitting_first

PAPERS = load_papers().values()
RECIPES = load_recipes()


@pytest.fixture(scope="module")
def made():
    """Runs of three recipes with the protocol of a small run and without deviations; two seeds of the first."""
    run = mini.run_of("fv_sift")
    runs = [
        replace(run, recipe=RECIPES[f"bcnn/{name}@cub"], settings=RECIPES[f"bcnn/{name}@cub"].settings, deviations=())
        for name in ("bcnn_dd", "bcnn_dm", "cbp_rm_dd")
    ]
    return [runs[0], replace(runs[0], seed=1), *runs[1:]]


def test_cells_count_with_those_that_cite_them_and_a_changed_experiment_decides_none(made):
    expected = [
        cell
        for paper in PAPERS
        for cell in paper.cells()
        if (cell.recipe, cell.data) == ("bcnn/bcnn_dm", "cub") and cell.metric != "fps"
    ]
    assert {cell.paper for cell in expected} == {"bcnn", "where_to_focus"}
    assert decided_cells(made[2], PAPERS) == len(expected)
    assert decided_cells(made[3], PAPERS) == 0  # compact pooling has no printed row of its own

    def deviating(changes: bool):
        return replace(
            made[2],
            deviations=(Deviation(field="x", recipe=1, run=2, origin="ours", changes_experiment=changes),),
        )

    assert decided_cells(deviating(True), PAPERS) == 0
    assert decided_cells(deviating(False), PAPERS) == len(expected)


def test_the_most_verdicts_a_minute_come_first_with_the_time_of_all_seeds(made):
    first, second, dm, compact = made
    cells, fewer = decided_cells(dm, PAPERS), decided_cells(first, PAPERS)
    assert fewer > 0
    times = {first.id: 30.0 * fewer, second.id: 30.0 * fewer, dm.id: 59.0 * cells, compact.id: 1.0}
    groups = by_verdicts_per_min(made, times, PAPERS)
    assert [group.runs for group in groups] == [(dm,), (first, second), (compact,)]
    assert groups[1].verdicts_per_min == pytest.approx(1.0)
    times[dm.id] = 61.0 * cells
    assert [group.runs[0] for group in by_verdicts_per_min(made, times, PAPERS)] == [first, dm, compact]


def test_groups_that_do_not_fit_into_the_time_follow_those_that_fit(made):
    first, second, dm, compact = made
    times = {first.id: 30.0, second.id: 30.0, dm.id: 500.0, compact.id: 20.0}
    groups = by_verdicts_per_min(made, times, PAPERS)
    fits, rest = fitting_first(groups, 80.0)
    assert [group.runs[0] for group in fits] == [first]
    assert [group.runs[0] for group in rest] == [
        dm,
        compact,
    ]  # which decides no cell
    assert fitting_first(groups, 570.0) == (fitting_first(groups, 600.0)[0][:2], [groups[-1]])
    assert fitting_first(groups, 10.0) == ([], groups)
    assert fitting_first(groups[-1:], 20.0) == (groups[-1:], [])


@pytest.fixture(scope="module")
def chain(made):
    """Two runs that start from the network of a third, which decides fewer cells a minute than the last run."""
    parent, other, second, first = made[0], made[2], replace(made[3], seed=1), made[3]
    return parent, [replace(first, parent=parent), replace(second, parent=parent, profile="frozen")], other


def test_a_run_comes_after_the_one_that_it_starts_from_and_the_two_are_rated_together(chain, monkeypatch):
    parent, (first, second), other = chain
    monkeypatch.setattr(
        "fgbench.speed.verdict_order.decided_cells", lambda run, papers: {parent.id: 1, other.id: 1}.get(run.id, 4)
    )
    times = {parent.id: 300.0, first.id: 60.0, second.id: 120.0, other.id: 100.0}
    groups = by_verdicts_per_min([second, first, other, parent], times, PAPERS)
    # 5 cells in 360 s with the first child; then 4 in 120 s, although without the network this was 5 in 420 s.
    assert [group.runs for group in groups] == [(parent, first), (second,), (other,)]
    assert [(group.cells, group.seconds) for group in groups] == [(5, 360.0), (4, 120.0), (1, 100.0)]


def test_a_run_does_not_fit_without_the_one_that_it_starts_from(chain, monkeypatch):
    parent, (first, second), other = chain
    monkeypatch.setattr("fgbench.speed.verdict_order.decided_cells", lambda run, papers: 1)
    times = {parent.id: 300.0, first.id: 60.0, second.id: 70.0, other.id: 310.0}
    groups = by_verdicts_per_min([parent, first, second, other], times, PAPERS)
    assert [group.runs for group in groups] == [(parent, first), (second,), (other,)]
    fits, rest = fitting_first(groups, 350.0)
    assert [group.runs for group in fits] == [(other,)]
    assert [group.runs for group in rest] == [(parent, first), (second,)]
