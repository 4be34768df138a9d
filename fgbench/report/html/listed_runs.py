"""The runs that the pages list: all of them, or those behind the numbers and the latest ones if there are very many."""

from collections.abc import Collection, Iterable, Sequence

from fgbench.report.html.run_groups import RunGroup

MAX_LISTED = 5000
"""Largest number of rows of runs. A page of more rows takes seconds to open, and nobody reads it."""


def listed_groups(
    groups: Sequence[RunGroup], shown: Iterable[RunGroup], run_ids: Collection[str] = ()
) -> list[RunGroup]:
    """Return the groups that the pages list, in their order.

    Args:
        groups: all records by group.
        shown: groups that are listed in any case: those with details on the page of a paper.
        run_ids: runs whose groups are listed in any case: pages link to them.
    """
    if len(groups) <= MAX_LISTED:
        return list(groups)
    listed = {group[0].run_id for group in shown}
    listed |= {group[0].run_id for group in groups if any(record.run_id in run_ids for record in group)}
    others = [group for group in groups if group[0].run_id not in listed]
    others.sort(key=lambda group: max(record.finished for record in group), reverse=True)
    listed |= {group[0].run_id for group in others[: max(0, MAX_LISTED - len(listed))]}
    return [group for group in groups if group[0].run_id in listed]
