"""Choice of the runs that a verdict stands on: closest to the printed conditions, one protocol, one mean."""

from collections.abc import Iterable, Sequence

from fgbench.records.recompression import quality_of
from fgbench.records.record import Record, by_identity


def closeness(record: Record) -> tuple[bool, bool, bool, bool, int]:
    """Return a sort key: how close a run is to the printed conditions.

    Comparable runs first, then no controls, then real data, then images that were not compressed once more to measure
    the effect, then the fewest deviations that change the experiment.
    """
    return (
        record.comparable,
        not record.control,
        not record.synthetic,
        quality_of(record) is None,
        -sum(d.changes_experiment for d in record.deviations),
    )


def by_protocol(records: Iterable[Record]) -> list[list[Record]]:
    """Group records by their protocol, in the order of their first record."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.protocol_hash, []).append(record)
    return list(groups.values())


def closest_runs(records: Sequence[Record]) -> list[list[Record]]:
    """Return the runs closest to the printed conditions, one group for each protocol."""
    keys = [closeness(record) for record in records]
    nearest = max(keys)
    return by_protocol(record for record, key in zip(records, keys, strict=True) if key == nearest)


def run_sort_key(group: Sequence[Record]) -> tuple[tuple[bool, bool, bool, bool, int], int, str]:
    """Return a sort key of the seeds of a run: closest to the printed conditions, then most seeds, then latest."""
    return closeness(group[0]), len(group), max(record.finished for record in group)


def best_runs(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the group of records that differ only in their seed and that is last by `run_sort_key`."""
    best: Sequence[Record] = max(by_identity(records), key=run_sort_key)
    return tuple(best)
