"""Cells judged together: in a column of a table all numbers are of one protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fgbench.judge.anomalies import Anomalies
from fgbench.judge.protocol_diff import may_share_column, protocol_difference
from fgbench.judge.verdict import Outcome, Verdict, closeness, judge, recipe_key
from fgbench.papers.printed import Cell, Paper
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Record
from fgbench.util.errors import Obstacle


def judge_papers(
    papers: Mapping[str, Paper],
    records: Sequence[Record],
    obstacles: Mapping[str, Obstacle],
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None = None,
) -> dict[str, list[Verdict]]:
    """The verdicts on every cell of some papers, by paper, no column of a table having numbers of two protocols.

    Args:
        papers: by id.
        records: every record at hand.
        obstacles: recipe key -> why its `paper` profile cannot run here.
        recipes: every recipe there is, by key.
        anomalies: run id -> what `fgbench.judge.anomalies.find_anomalies` found.
    """
    by_recipe: dict[str, list[Record]] = {}
    for record in records:
        by_recipe.setdefault(record.recipe, []).append(record)
    return {
        name: one_protocol_per_column(
            [judge(cell, by_recipe.get(recipe_key(cell), []), obstacles, recipes, anomalies) for cell in paper.cells()]
        )
        for name, paper in papers.items()
    }


def one_protocol_per_column(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Verdicts without the numbers that are of another protocol than their column's.

    A column has the protocol of the runs that come closest to answering the printed numbers, and of equals that of most
    cells, then of most runs. Where two are equal in all that, it has none, and no number. A cell without a number shows
    the difference of the protocols instead.
    """
    columns: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.mean is not None:
            columns.setdefault(_column(verdict.cell), []).append(verdict)
    leaders = {column: _leaders(own) for column, own in columns.items()}
    return [
        verdict if verdict.mean is None else _with_column(verdict, leaders[_column(verdict.cell)])
        for verdict in verdicts
    ]


def _column(cell: Cell) -> tuple[str, str]:
    table, _, column = cell.id.split("/")
    return table, column


def _leaders(verdicts: Sequence[Verdict]) -> list[Record]:
    """A record of the protocol that a column has; of several where nothing says which it has."""
    firsts = {verdict.records[0].protocol_hash: verdict.records[0] for verdict in verdicts}

    def merit(record: Record) -> tuple[object, ...]:
        sharing = [verdict for verdict in verdicts if may_share_column(verdict.records[0], record)]
        nearest = max(closeness(verdict.records[0]) for verdict in sharing)
        return nearest, len(sharing), sum(len(verdict.records) for verdict in sharing)

    merits = {key: merit(record) for key, record in firsts.items()}
    best = [record for key, record in firsts.items() if merits[key] == max(merits.values())]
    return best[:1] if all(may_share_column(best[0], record) for record in best) else best


def _with_column(verdict: Verdict, leaders: Sequence[Record]) -> Verdict:
    """A verdict as it may stand beside the others of its column."""
    own = verdict.records[0]
    if len(leaders) == 1 and may_share_column(own, leaders[0]):
        return verdict
    others = [[record] for record in leaders if not may_share_column(record, own)]
    between = protocol_difference([*others, verdict.records])
    reason = (
        f"its runs are of another protocol than the column's: {between}"
        if len(leaders) == 1
        else f"the column has runs of {len(leaders)} protocols, and nothing says which is meant: {between}"
    )
    return replace(
        verdict,
        outcome=Outcome.NOT_COMPARABLE,
        reason=reason,
        mean=None,
        sampling=None,
        spread=None,
        decision=None,
        protocols=between,
    )
