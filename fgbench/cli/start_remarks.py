"""What is wrong with the run and the network from which a run started, for `fgbench show`."""

from pathlib import Path

from fgbench.judge.start_anomalies import start_anomalies
from fgbench.records.kept_networks import network_path, network_problem
from fgbench.records.record import Record, StartsFrom
from fgbench.records.store import store_of
from fgbench.util.errors import FgbenchError


def start_remarks(record: Record, results: Path) -> list[str]:
    """Return a sentence for each problem of the run and of the network from which a run started.

    The records of the runs before it are verified; whether their values are plausible is left to `fgbench verify`.

    Args:
        record: record of the run.
        results: results folder.
    """
    if record.starts_from is None:
        return []
    store, chain, unusable = store_of(results), {record.run_id: record}, set[str]()
    start: StartsFrom | None = record.starts_from
    while start and start.run_id not in chain and store.has(start.run_id):
        try:
            parent = store.read(start.run_id)
        except FgbenchError:
            unusable.add(start.run_id)
            break
        if store.wrong_parts(parent):
            unusable.add(parent.run_id)
        chain[parent.run_id], start = parent, parent.starts_from
    found = start_anomalies(list(chain.values()), unusable, {})
    remarks = [anomaly.text for run_id, anomaly in found if run_id == record.run_id]
    sha256 = record.starts_from.network_sha256
    if problem := network_problem(results, sha256):
        remarks.append(f"its starting network {problem}")
    elif not network_path(results, sha256).exists():
        remarks.append("its starting network is not here")
    return remarks
