"""Progress of runs without a terminal: a line at each start and step, written at once."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from fgbench.cli import progress
from fgbench.cli.progress import Progress

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lines(monkeypatch):
    """Watch a task; return the printed lines."""

    def watched(*, terminal=False, quiet=False):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, width=100)
        monkeypatch.setattr(progress, "line_console", lambda: console)
        monkeypatch.setattr(progress, "out", lambda text: console.print(text, highlight=False))
        with Progress(quiet=quiet) as bars:
            watcher = bars.watch()
            watcher.expect(1)
            for what, share in (("starting", 0), ("decoding", 0.1), ("decoding", 0.2), ("training, stage a", 0.5)):
                watcher.progress("A run", what, share)
            watcher.progress("Another run", "decoding", 0.5)
            watcher.finished("A run", None, 12.0)
        return [line.strip() for line in file.getvalue().splitlines() if "\x1b" not in line]

    return watched


def test_each_step_is_a_line_without_a_terminal(lines):
    assert lines() == [
        "A run: starting",
        "A run: decoding",
        "A run: training, stage a",
        "Another run: decoding",
        "done in 12 s: A run",
    ]


def test_a_terminal_shows_bars_instead(lines):
    assert not [line for line in lines(terminal=True) if line.startswith("A run: ")]


def test_only_the_first_of_several_processes_lists_steps(lines):
    assert lines(quiet=True) == ["done in 12 s: A run"]


def test_a_pipe_receives_the_start_before_the_work_ends(tmp_path):
    """The task waits until the reader of the pipe has read its start."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = (
        "import sys\nfrom functools import partial\nsys.path.insert(0, 'tests/helpers')\n"
        "from pool_tasks import wait_at\n"
        "from fgbench.cli.progress import Progress\nfrom fgbench.runs.executors.pool import PoolTask, run_tasks\n"
        "if __name__ == '__main__':\n with Progress() as bars:\n"
        f"  run_tasks([PoolTask('A run', partial(wait_at, {str(gate)!r}))], bars.watch())\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests/helpers")])}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as process:
        assert process.stdout.readline() == "A run: starting\n"
        assert process.stdout.readline() == "A run: waiting\n"
        gate.write_text("go")
        assert process.stdout.readline().startswith("done in ")
    assert process.returncode == 0
