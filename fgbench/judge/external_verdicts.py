"""Verdicts on results from outside fgbench: decided as those on its own runs, and marked as what they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fgbench.judge.anomaly import Anomalies
from fgbench.judge.verdict import Verdict, cell_value_name, judge, recipe_key
from fgbench.papers.printed import Cell
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Record


def external_verdicts(
    cell: Cell, records: Sequence[Record], recipes: Mapping[str, Recipe], anomalies: Anomalies | None = None
) -> list[Verdict]:
    """Return a verdict for each result from outside that answers a cell, in the order of the records.

    The files of one result are its seeds. A verdict has no command, because no run of fgbench would decide it.

    Args:
        cell: the printed number.
        records: records of any recipes; runs of fgbench are left out.
        recipes: all recipes, by key.
        anomalies: run id -> result of `fgbench.judge.anomalies.find_anomalies`.
    """
    results: dict[str, list[Record]] = {}
    for record in records:
        if record.external and record.recipe == recipe_key(cell) and record.has_value(cell_value_name(cell)):
            results.setdefault(record.identity, []).append(record)
    verdicts = [judge(cell, seeds, {}, recipes, anomalies) for seeds in results.values()]
    return [_marked(verdict) for verdict in verdicts if verdict.records]


def with_external(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return verdicts, each followed by those on results from outside for the same cell."""
    return [one for verdict in verdicts for one in (verdict, *verdict.external)]


def _marked(verdict: Verdict) -> Verdict:
    """Return the verdict with the facts that nobody has checked, and without the command of a run."""
    external = verdict.records[0].external
    assert external is not None
    return replace(verdict, reason=f"{verdict.reason}; {external.unchecked}", command="")
