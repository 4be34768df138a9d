"""The files of a finished run that a node of a cluster sends: those of its record, and its network if it was kept."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from fgbench.records.kept_networks import NETWORKS, kept_network, network_path, remove_replaced
from fgbench.records.store import store_of
from fgbench.runs.executors.runner import WORK
from fgbench.runs.run import Run
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_bytes
from fgbench.util.locks import locked


def started_from(record: bytes) -> str:
    """Return the SHA-256 of the network from which the run of a record file started; empty if it started from none."""
    return str((json.loads(record).get("starts_from") or {}).get("network_sha256", ""))


def drop_stale(folder: Path, run_id: str, network: bytes) -> None:
    """Remove a finished run of an earlier attempt from the folder of a node if it started from another network."""
    store = store_of(folder)
    if not store.has(run_id):
        return
    try:
        record = store.read(run_id)
    except FgbenchError:  # the run is executed again
        for path in store.folder.glob(f"{run_id}[.-]*"):
            path.unlink()
        return
    if record.starts_from is None or record.starts_from.network_sha256 != _sha256(network):
        take_files(folder, run_id)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def take_files(folder: Path, run_id: str) -> dict[str, bytes]:
    """Remove a finished run from the results folder of a node and return its files, name -> content.

    The names of the network and its card begin with `networks/`.
    """
    store = store_of(folder)
    sha256 = store.read(run_id).network_sha256
    path = network_path(folder, sha256)
    networks = [path, path.with_suffix(".json")] if sha256 else []
    contents = {f"{NETWORKS}/{file.name}": file.read_bytes() for file in networks}
    files = store.take(run_id)
    for file in networks:
        file.unlink(missing_ok=True)
    return files | contents


def add_files(results: Path, run: Run, files: Mapping[str, bytes]) -> None:
    """Write the files of a run that a node sent: the network first, the record last.

    Args:
        results: results folder.
        run: the run. If others need its network, its record here is replaced: its network is lost.
        files: name -> content, as `take_files` returns them.

    Raises:
        FgbenchError: the files do not belong to the run, are incomplete, or cannot be written; or the run started from
            another network than the one that was sent to the node.
    """
    if run.parent:
        started = started_from(files.get(f"{run.id}.json", b"{}"))
        if started != store_of(results).read(run.parent.id).network_sha256:
            raise FgbenchError(f"run {run.id} started from another network than that of run {run.parent.id}")
    networks = {name: content for name, content in files.items() if name.startswith(f"{NETWORKS}/")}
    record = {name: content for name, content in files.items() if name not in networks}
    if networks:
        sha256 = str(json.loads(record.get(f"{run.id}.json", b"{}")).get("network_sha256", ""))
        path = network_path(results, sha256)
        content = networks.get(f"{NETWORKS}/{path.name}", b"")
        card = f"{NETWORKS}/{path.with_suffix('.json').name}"
        if _sha256(content) != sha256 or set(networks) != {f"{NETWORKS}/{path.name}", card}:
            raise FgbenchError(f"the network of run {run.id} is not the file that its record names")
        write_bytes(path, content)
        write_bytes(path.with_suffix(".json"), networks[card])
    store = store_of(results)
    with locked(results / WORK / run.id):  # as a run of this machine with the same id
        replaced = kept_network(store, run.id)
        store.add(run.id, record, replace=run.network_needed)
        remove_replaced(results, replaced)
