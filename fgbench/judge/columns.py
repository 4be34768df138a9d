"""Judge cells together: all numbers in one column of a table have one protocol."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fgbench.judge.adjustment import adjust_for_all
from fgbench.judge.anomaly import Anomalies
from fgbench.judge.citations import own_cells, with_citations
from fgbench.judge.equal_settings import with_equal_runs
from fgbench.judge.external_verdicts import external_verdicts
from fgbench.judge.protocol_diff import may_share_column, protocol_difference
from fgbench.judge.run_choice import closeness
from fgbench.judge.sensitivity import Bounds
from fgbench.judge.verdict import Outcome, Verdict, judge, recipe_key
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
    bounds: Bounds | None = None,
) -> dict[str, list[Verdict]]:
    """Return the verdicts on all cells by paper; all numbers of one column have one protocol.

    A number that one of the papers cites from another one is judged once, as a number of the other paper. Results from
    outside fgbench are judged by themselves and change no verdict on runs.

    Args:
        papers: by id.
        records: all available records.
        obstacles: recipe key -> why the `paper` profile of the recipe cannot run here.
        recipes: all recipes, by key.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
        bounds: result of `fgbench.judge.sensitivity.find_bounds`.
    """
    by_recipe: dict[str, list[Record]] = {}
    for record in with_equal_runs(records, recipes):
        by_recipe.setdefault(record.recipe, []).append(record)
    verdicts = {
        name: one_protocol_per_column(
            [
                _judged(cell, by_recipe.get(recipe_key(cell), []), obstacles, recipes, anomalies, bounds)
                for cell in own_cells(paper, papers)
            ]
        )
        for name, paper in papers.items()
    }
    return with_citations(papers, adjust_for_all(verdicts))


def _judged(
    cell: Cell,
    records: Sequence[Record],
    obstacles: Mapping[str, Obstacle],
    recipes: Mapping[str, Recipe],
    anomalies: Anomalies | None,
    bounds: Bounds | None,
) -> Verdict:
    """Return the verdict on a cell by its runs, with the verdicts by results from outside."""
    runs = [record for record in records if record.external is None]
    verdict = judge(cell, runs, obstacles, recipes, anomalies, bounds)
    return replace(verdict, external=tuple(external_verdicts(cell, records, recipes, anomalies)))


def one_protocol_per_column(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts without the numbers that have another protocol than their column.

    The protocol of a column is that of the runs closest to the printed conditions; of equally close ones that of the
    most cells, then of the most runs. If two protocols are equal in all this, the column has no protocol and no number.
    A cell that loses its number shows the difference of the protocols.

    Results from outside fgbench have the protocol of the runs on the whole real data. Without such runs, they are
    compared among themselves.
    """
    by_column: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        by_column.setdefault(_column(verdict.cell), []).append(verdict)
    leaders = {column: _leaders(_with_number(same)) for column, same in by_column.items()}
    external_leaders = {
        column: _leaders(
            [verdict for verdict in _with_number(same) if _on_whole_data(verdict.records[0])]
            or _with_number(result for verdict in same for result in verdict.external)
        )
        for column, same in by_column.items()
    }
    return [
        replace(
            _within_column(verdict, leaders[column]),
            external=tuple(_within_column(result, external_leaders[column]) for result in verdict.external),
        )
        for verdict in verdicts
        if (column := _column(verdict.cell))
    ]


def _with_number(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.mean is not None]


def _on_whole_data(record: Record) -> bool:
    changed = [
        d for d in record.deviations if d.changes_experiment and d.field.partition(".")[0] in {"data", "control"}
    ]
    return not (record.synthetic or changed)


def _column(cell: Cell) -> tuple[str, str]:
    table, _, column = cell.id.split("/")
    return table, column


def _leaders(verdicts: Sequence[Verdict]) -> list[Record]:
    """Return a record with the protocol of the column; one record for each protocol if several are equally good."""
    by_protocol = {verdict.records[0].protocol_hash: verdict.records[0] for verdict in verdicts}

    def sort_key(record: Record) -> tuple[object, ...]:
        sharing = [verdict for verdict in verdicts if may_share_column(verdict.records[0], record)]
        closest = max(closeness(verdict.records[0]) for verdict in sharing)
        return closest, len(sharing), sum(len(verdict.records) for verdict in sharing)

    sort_keys = {protocol: sort_key(record) for protocol, record in by_protocol.items()}
    best = [record for protocol, record in by_protocol.items() if sort_keys[protocol] == max(sort_keys.values())]
    return best[:1] if all(may_share_column(best[0], record) for record in best) else best


def _within_column(verdict: Verdict, leaders: Sequence[Record]) -> Verdict:
    """Return the verdict, without its number if its protocol is not that of the column."""
    if verdict.mean is None:
        return verdict
    first = verdict.records[0]
    if len(leaders) == 1 and may_share_column(first, leaders[0]):
        return verdict
    others = [[record] for record in leaders if not may_share_column(record, first)]
    between = protocol_difference([*others, verdict.records])
    reason = (
        f"the runs have another protocol than the column: {between}"
        if len(leaders) == 1
        else f"the column has runs of {len(leaders)} protocols, and none is closer to the printed conditions: {between}"
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
