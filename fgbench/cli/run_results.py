"""What the runs of a plan gave: as plain values, and as printed lines."""

import re
from pathlib import Path
from typing import Any

from fgbench.cli.console import Answer, out, table
from fgbench.cli.next_steps import next_after_runs, next_command, print_next
from fgbench.metrics.values import headline
from fgbench.records.record import Record
from fgbench.records.run_log import log_path
from fgbench.records.store import store_of
from fgbench.runs.executors.pool import Failure
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan
from fgbench.runs.run import Run
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_text
from fgbench.util.hashing import hash_value

FAILURES = "failures"
"""Name of the folder of tracebacks in a results folder."""


def give_results(answer: Answer, plan: Plan, result: Result, results: Path) -> None:
    """Answer with the values and costs of finished runs, the numbers of runs, failures, and blocked recipes."""
    facts = result_facts(plan, result, results)
    answer.give(facts, lambda: _show(facts))


def give_next(answer: Answer, plan: Plan, result: Result, results: Path, *, has_report: bool = False) -> None:
    """Answer with the commands that lead further: the log of a failed run, the report, and a finished run.

    Args:
        answer: receives the commands.
        plan: the runs.
        result: what came of them.
        results: results folder.
        has_report: True if the report has been written.
    """
    failed = {failure.name for failure in result.failures}
    logs = [run.id for run in plan.runs if run.title in failed and log_path(results, run.id).is_file()]
    finished = [run.id for run in plan.runs if store_of(results).has(run.id)]
    commands = [next_command("log", run_id, results=results) for run_id in logs[:1]]
    commands += next_after_runs(finished, results, has_report=has_report)
    answer.give({"next": commands}, lambda: print_next(commands))


def result_facts(plan: Plan, result: Result, results: Path) -> dict[str, Any]:
    """Return values and costs of finished runs, the numbers of runs, failures, and blocked recipes as plain values.

    The traceback of a failure is written to a file.

    Args:
        plan: the runs.
        result: what came of them.
        results: results folder.
    """
    store = store_of(results)
    finished = [run for run in plan.runs if store.has(run.id)]
    return {
        "runs": [_result_row(run, store.read(run.id)) for run in finished],
        "done": result.done,
        "kept": result.kept,
        "unfinished": result.unfinished,
        "failures": [
            {
                "run": failure.name,
                "message": failure.message,
                "detail": keep_traceback(failure, results / FAILURES) if failure.detail else "",
            }
            for failure in result.failures
        ],
        "blocked": [
            {"recipe": recipe, "reason": obstacle.reason, "command": obstacle.command}
            for recipe, obstacle in plan.blocked.items()
        ],
    }


def _show(facts: dict[str, Any]) -> None:
    """Print the values of finished runs, the numbers of runs, and the failures with the place of their tracebacks."""
    table("results", [_shown_row(row) for row in facts["runs"]])
    failures = facts["failures"]
    out(
        f"{counted(facts['done'], 'run')} done, {facts['kept']} kept from before, {len(failures)} failed, "
        f"{counted(len(facts['blocked']), 'recipe')} blocked"
    )
    if facts["unfinished"]:
        out(f"{counted(facts['unfinished'], 'run')} unfinished at the time limit: the same command goes on with them")
    for failure in failures:
        out(f"failed: {failure['run']}: {failure['message']}")
        if failure["detail"]:
            out(f"  {failure['detail']}")


def keep_traceback(failure: Failure, folder: Path) -> str:
    """Write the traceback of a failed run into a file; return where it is, or the traceback if that is not possible."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", failure.name).strip("-")[:80]
    path = folder / f"{name}-{hash_value(failure.name)[:6]}.txt"
    try:
        write_text(path, f"{failure.name}: {failure.message}\n\n{failure.detail}")
    except FgbenchError:
        return failure.detail
    return f"the traceback is in {path}"


def _result_row(run: Run, record: Record) -> dict[str, Any]:
    """Return what is known about a finished run."""
    name = headline(record.values)
    value, cost = record.values[name], record.cost
    return {
        "run": run.title,
        "run_id": run.id,
        "recipe": run.recipe.key,
        "profile": run.profile,
        "seed": run.seed,
        "measured": name,
        "value": value.value,
        "unit": value.unit,
        "wall_s": cost.wall_s,
        "peak_mib": cost.peak_mib,
        "test_fps": cost.test_fps,
    }


def _shown_row(row: dict[str, Any]) -> dict[str, str]:
    """Return the row of a finished run in the table of results."""
    return {
        "run": row["run"],
        "measured": row["measured"],
        row["unit"]: f"{row['value']:.2f}",
        "time, s": f"{row['wall_s']:.0f}",
        "peak, MiB": f"{row['peak_mib']:.0f}",
        "images/s": "–" if row["test_fps"] is None else f"{row['test_fps']:.1f}",  # noqa: RUF001
        "record": row["run_id"],
    }
