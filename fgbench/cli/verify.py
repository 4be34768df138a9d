"""`fgbench verify`."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fgbench.cli.next_steps import next_command
from fgbench.cli.options import RESULTS, AsJson, Positional, Results, existing
from fgbench.util.errors import FgbenchError

if TYPE_CHECKING:
    from fgbench.judge.anomaly import Anomalies
    from fgbench.records.record import Record


def verify(folder: Positional = None, as_json: AsJson = False, results: Results = RESULTS) -> None:
    """Check records, and recompute every value from its outputs.

    Seals and hashes are checked. A folder of results folders is checked, too. The exit code is 1 if something differs.
    """
    from fgbench.cli.console import Answer
    from fgbench.records.store import results_folders

    verified = []
    with Answer(as_json=as_json) as answer:
        for results_folder in results_folders(existing(folder or results)):
            facts = verify_folder(results_folder)
            verified.append(facts)
            answer.give({"folders": verified}, partial(_show, facts))
    raise typer.Exit(0 if all(facts["passed"] for facts in verified) else 1)


def verify_folder(folder: Path) -> dict[str, Any]:
    """Verify every record of a results folder.

    Returns:
        The numbers of records, the problems and anomalies as plain values, and whether the folder has passed.

    Raises:
        FgbenchError: there is no record.
    """
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.records.copied_files import copies, record_files
    from fgbench.records.kept_networks import NETWORKS, network_problem, unnamed_networks
    from fgbench.records.store import store_of

    store = store_of(folder)
    records, left_out = store.usable_records(values=False)
    if not records and not left_out:
        raise FgbenchError(f"no records in {store.folder}", next_command("reproduce", "cub", results=folder))
    problems: list[dict[str, Any]] = []
    unusable = store.unusable_ids(records)
    check_network = cache(partial(network_problem, folder))
    for record in records:
        texts = store.verify(record)
        if texts and store.wrong_parts(record):
            unusable.add(record.run_id)
        if record.network_sha256 and (problem := check_network(record.network_sha256)):
            texts.append(f"its network {problem}")
        if (start := record.starts_from) and (problem := check_network(start.network_sha256)):
            texts.append(f"the network of run {start.run_id}, from which it started, {problem}")
        problems += [_about(record) | {"problem": text} for text in texts]
    anomalies = _listed(records, find_anomalies(records, store.outputs, unusable))
    wrong = {problem["run"] for problem in problems}
    beside = sum(1 for _ in record_files(folder)) if store.folder != folder else 0
    return {
        "folder": str(folder),
        "passed": not (left_out or beside or problems or any(anomaly["invalidates_run"] for anomaly in anomalies)),
        "records": len(records) + len(left_out),
        "verified": len(records) - len(wrong),
        "left_out": left_out,
        "beside": beside,
        "problems": problems,
        "anomalies": anomalies,
        "copies": copies(store.folder),
        "without_record": store.without_record(),
        "unnamed_networks": [f"{NETWORKS}/{path.name}" for path in unnamed_networks(folder)],
        "external": sum(record.external is not None for record in records),
        "unsealed": sum(not record.sealed for record in records),
    }


def _about(record: "Record") -> dict[str, Any]:
    return {"run": record.run_id, "title": record.title, "seed": record.seed}


def _listed(records: "Sequence[Record]", anomalies: "Anomalies") -> list[dict[str, Any]]:
    """Return the anomalies of records as plain values."""
    return [
        _about(record) | {"kind": anomaly.kind, "text": anomaly.text, "invalidates_run": anomaly.invalidates_run}
        for record in records
        for anomaly in anomalies.get(record.run_id, ())
    ]


def _show(facts: dict[str, Any]) -> None:
    """Print what was verified in a results folder."""
    from fgbench.cli.console import out
    from fgbench.records.kept_networks import unnamed_text
    from fgbench.util.counted import counted
    from fgbench.util.plain_text import one_line

    for text in facts["left_out"]:
        out(text)
    if facts["beside"]:
        out(
            f"{counted(facts['beside'], 'record')} in {facts['folder']} itself and not in its folder records, which is "
            "the one that is read: move them there"
        )
    for row in facts["problems"]:
        out(one_line(f"{row['run']} ({row['title']}, seed {row['seed']}): {row['problem']}"))
    for row in facts["anomalies"]:
        out(one_line(f"anomaly: {row['run']} ({row['title']}, seed {row['seed']}): {row['kind']}: {row['text']}"))
    for name in facts["copies"]:
        out(f"{name} is a copy of another file and is not used: delete it")
    for name in facts["without_record"]:
        out(f"{name} is of no record: its run was interrupted, its record was deleted, or the file was renamed")
    for name in facts["unnamed_networks"]:
        out(unnamed_text(Path(name)))
    if facts["external"]:
        out(
            f"{counted(facts['external'], 'record')} of results from outside fgbench: nobody has checked how they were "
            "made"
        )
    if facts["unsealed"]:
        out(f"{counted(facts['unsealed'], 'record')} without a seal, in which only edits of values are found")
    out(
        f"{facts['folder']}: {facts['verified']} of {counted(facts['records'], 'record')} verified: "
        "values recomputed from their per-sample outputs"
    )
