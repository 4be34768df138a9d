"""Anomalies of runs that started from the trained network of another run: the record of that run is not sound."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from fgbench.judge.anomaly import Anomaly
from fgbench.records.record import Record


def start_anomalies(
    records: Sequence[Record], unusable: Collection[str], known: Mapping[str, Sequence[Anomaly]]
) -> Iterator[tuple[str, Anomaly]]:
    """Yield an anomaly for each run whose starting network is of a run that is invalid, absent or was trained again.

    An invalid run invalidates those that started from its network, and those that started from theirs.

    Args:
        records: all records that can be used.
        unusable: ids of runs whose records are in the same folder, but cannot be used.
        known: other anomalies by run id.
    """
    by_id = {record.run_id: record for record in records}
    invalid = {run_id for run_id, found in known.items() if any(anomaly.invalidates_run for anomaly in found)}

    def is_invalid(run_id: str, seen: frozenset[str] = frozenset()) -> bool:
        if run_id in invalid or run_id in unusable:
            return True
        record = by_id.get(run_id)
        start = record.starts_from if record else None
        return bool(start and run_id not in seen and is_invalid(start.run_id, seen | {run_id}))

    for record in records:
        if (start := record.starts_from) is None:
            continue
        parent, begin = by_id.get(start.run_id), f"it started from the network of run {start.run_id} of {start.recipe}"
        if start.run_id in unusable:
            yield record.run_id, Anomaly("invalid start", f"{begin}, whose record is damaged or was changed")
        elif is_invalid(start.run_id):
            yield record.run_id, Anomaly("invalid start", f"{begin}, which cannot be right")
        elif parent is None:
            yield record.run_id, Anomaly("start", f"{begin}, whose record is not here, so it cannot be checked")
        elif parent.network_sha256 != start.network_sha256:
            now = f"keeps network {parent.network_sha256[:16]}" if parent.network_sha256 else "keeps no network"
            text = f"{begin}, which was trained again: it {now}, not {start.network_sha256[:16]}"
            yield record.run_id, Anomaly("start", text)
