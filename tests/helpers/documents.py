"""The code blocks of README files and of the pages in docs/, and a shell that runs their lines."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "reports/README.md")),
        *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
        *(ROOT / "reproductions").glob("*/README.md"),
    ]
)
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`(my_[\w./]+)`[^`]*:\s*$")
"""A block belongs to the file that the end of the paragraph above it names."""


@dataclass(frozen=True)
class Block:
    page: Path
    language: str
    file: str
    """Name of the file that the block is written to; empty for a block that is not a file."""
    text: str


def page(name: str) -> Path:
    """Return a page by its path from the root of the repository."""
    return ROOT / name


def blocks(path: Path, language: str = "") -> list[Block]:
    """Return the code blocks of a page, without directives of Sphinx."""
    text = path.read_text(encoding="utf-8")
    result = []
    for match in BLOCK.finditer(text):
        named = FILE.search(text[: match.start()])
        if not match[1].startswith("{") and language in {"", match[1]}:
            result.append(Block(path, match[1], named[1] if named else "", match[2]))
    return result


def lines(path: Path) -> list[str]:
    """Return the lines of the bash blocks of a page, without comments."""
    texts = (shlex.split(line, comments=True) for block in blocks(path, "bash") for line in block.text.splitlines())
    plain = (line for block in blocks(path, "bash") for line in block.text.splitlines())
    return [line.partition(" #")[0].strip() for line, words in zip(plain, texts, strict=True) if words]


def write_files(path: Path, folder: Path) -> list[str]:
    """Write the files of a page into a folder, a second block of a file below the first; return their names."""
    names = []
    for block in blocks(path):
        if block.file:
            file = folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{file.read_text()}\n{block.text}" if file.exists() else block.text)
            names.append(block.file)
    return names


class Shell:
    """Runs lines in a folder; an exported variable stays for the next lines.

    `pip install` installs into a folder of its own, which the following lines import from.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.site = folder, folder / "site"
        path = os.pathsep.join([str(self.site), str(ROOT)])
        self.variables = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, **variables}

    def __call__(self, line: str) -> str:
        if line.startswith("export "):
            self.variables |= dict(word.split("=") for word in shlex.split(line)[1:])
            return ""
        program, *arguments = shlex.split(line)
        if program == "pip":
            assert arguments[0] == "install", line
            options = ["--no-deps", "--no-build-isolation", "--upgrade", "--quiet", "--target", str(self.site)]
            return self._run(line, ["pip", "install", *options, *arguments[1:]])
        assert program == "fgbench", line
        return self._run(line, ["fgbench", *arguments])

    def _run(self, line: str, arguments: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder, env=os.environ | self.variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def draw_leaves(folder: Path) -> None:
    """Write images of two classes that differ in their colour."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 5)):
        for name, colour in (("birch", (200, 220, 40)), ("oak", (60, 90, 30))):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(rng.normal(colour, 40, (80, 96, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.jpg")
