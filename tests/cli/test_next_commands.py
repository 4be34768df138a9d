"""Every error of the command line and of planning says what to type or to do next."""

import ast
from pathlib import Path

import fgbench

ROOT = Path(fgbench.__file__).parent
WITHOUT = {
    "runs/executors/sent_files.py": "the sentence of a failed run, which the same command repeats",
    "runs/starting_network.py": "the caller adds what to correct",
    "runs/training/linear_svm.py": "arrays of fgbench itself",
}
"""File with errors that have no next step -> why."""


def errors_without_next_step(path):
    """Yield the lines of calls of FgbenchError with a message only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        is_error = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FgbenchError"
        if is_error and len(node.args) + len(node.keywords) < 2:
            yield node.lineno


def test_every_error_of_the_command_line_and_of_runs_has_a_next_step():
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for room in ("cli", "runs")
        for path in sorted((ROOT / room).rglob("*.py"))
        if (lines := list(errors_without_next_step(path)))
    }
    assert set(found) == set(WITHOUT), found
