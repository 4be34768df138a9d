"""Fills the tables of README files by the commands that stand above them.

A table stands between two comments, the first of which is the command:

    <!-- fgbench export runs --results reports/cub-200-2011 --format markdown -->
    <!-- end -->

`python reports/tables.py` writes them anew; the tests check that they are what the commands print.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = (ROOT / "README.md", ROOT / "reports/README.md")
TABLE = re.compile(r"(<!-- fgbench (export [^\n]*?) -->\n)((?:(?!<!-- fgbench).)*?)(<!-- end -->)", re.DOTALL)
COMMAND = re.compile(r"<!-- fgbench ")


def filled(text: str) -> str:
    """A text with its tables as their commands print them."""
    if len(COMMAND.findall(text)) != len(TABLE.findall(text)):
        sys.exit("a command has no <!-- end --> after it, or is none of fgbench export")
    return TABLE.sub(lambda match: f"{match[1]}\n{_printed(match[2])}\n{match[4]}", text)


def _printed(arguments: str) -> str:
    command = [sys.executable, "-m", "fgbench", *shlex.split(arguments)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"fgbench {arguments}: {ran.stderr}")
    return ran.stdout


if __name__ == "__main__":
    for file in FILES:
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
