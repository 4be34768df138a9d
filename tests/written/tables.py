"""Writes the tables of README files with the commands that stand above them.

A table stands between two comments. The first one is the command:

    <!-- fgbench export runs --results reports/cub-200-2011 --format markdown -->
    <!-- end -->

The command is `fgbench export …`, `python -m tests.written.shared_trainings`, `python -m tests.simulate …` or
`python -m tests.gpu …`. `python -m tests.written.tables` writes all tables again. A test checks that each table is what
its command prints.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = (
    ROOT / "README.md",
    ROOT / "reports/README.md",
    ROOT / "docs/verdicts.md",
    ROOT / "docs/guides/nightly.md",
    ROOT / "docs/guides/sensitivity.md",
)
ESTIMATED = ROOT / "docs/guides/trained_networks.md"
"""A file whose table takes half a minute. `test_shared_trainings.py` checks its counts."""
COUNTED = ROOT / "docs/guides/gpu.md"
"""A file whose table takes a minute. `tests/gpu/test_steps.py` checks its rows."""
COMMAND = r"<!-- (?:fgbench|python) "
PROGRAM = r"fgbench export|python -m tests\.(?:simulate|gpu|written\.shared_trainings)"
TABLE = re.compile(
    rf"(<!-- ({PROGRAM})((?: [^\n]*?)?) -->\n)((?:(?!{COMMAND}).)*?)(<!-- end -->)",
    re.DOTALL,
)


def filled(text: str) -> str:
    """Return a text in which each table is what its command prints."""
    if len(re.findall(COMMAND, text)) != len(TABLE.findall(text)):
        sys.exit("a command has no <!-- end --> after it, or is none of those that tests/written/tables.py names")
    return TABLE.sub(lambda match: f"{match[1]}\n{_output(match[2] + match[3])}\n{match[5]}", text)


def _output(line: str) -> str:
    program, *arguments = shlex.split(line)
    command = [sys.executable, *(["-m", "fgbench"] if program == "fgbench" else []), *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{line}: {ran.stderr}")
    return ran.stdout


if __name__ == "__main__":
    for file in (*FILES, ESTIMATED, COUNTED):
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
