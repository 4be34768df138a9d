"""`fgbench verify`."""

from pathlib import Path
from typing import Annotated

import typer

from fgbench.cli.options import RESULTS
from fgbench.util.errors import FgbenchError


def verify(
    results: Annotated[Path, typer.Argument(help="Results folder, or a folder of results folders.")] = RESULTS,
) -> None:
    """Recompute every value from its per-sample outputs; exit code 1 if one differs."""
    from fgbench.records.store import results_folders

    verified = [verify_folder(folder) for folder in results_folders(results)]
    raise typer.Exit(0 if all(verified) else 1)


def verify_folder(folder: Path) -> bool:
    """Verify every record of a results folder and print the problems; return True if there are none.

    Raises:
        FgbenchError: there is no record.
    """
    from fgbench.cli.console import out, print_anomalies
    from fgbench.judge.anomalies import find_anomalies
    from fgbench.records.store import store_of

    store = store_of(folder)
    records = store.records()
    if not records:
        raise FgbenchError(f"no records in {store.folder}", "fgbench reproduce cub")
    wrong_records = 0
    for record in records:
        problems = store.verify(record)
        wrong_records += bool(problems)
        for problem in problems:
            out(f"{record.run_id} ({record.title}, seed {record.seed}): {problem}")
    anomalies = find_anomalies(records, store.outputs_or_none)
    print_anomalies(records, anomalies)
    out(
        f"{folder}: {len(records) - wrong_records} of {len(records)} records verified: "
        "values recomputed from their per-sample outputs"
    )
    invalid = any(anomaly.invalidates_run for run_anomalies in anomalies.values() for anomaly in run_anomalies)
    return not wrong_records and not invalid
