"""What the README says to type is typed here, from its own text."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
from PIL import Image
from stored_records import record

import fgbench
from fgbench.datasets import datasets
from fgbench.judge.verdict import Outcome
from fgbench.records.store import Store
from fgbench.report.html.model import BADGES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"`(my_[\w./]+)`[^`]*:\s*$")
"""The file that a block belongs to is named at the end of the paragraph above it."""


def section(heading: str) -> str:
    assert README.count(f"\n## {heading}\n") == 1
    return re.split(r"\n## ", README.split(f"\n## {heading}\n")[1])[0]


def blocks(heading: str) -> list[tuple[str, str, str]]:
    """(language, file or nothing, text) of each block of a section."""
    text = section(heading)
    found = []
    for match in BLOCK.finditer(text):
        named = FILE.search(text[: match.start()])
        found.append((match[1], named[1] if named else "", match[2]))
    return found


def write_files(heading: str, folder: Path) -> list[str]:
    """Write a section's files, a second block of a file below the first; returns their names."""
    names = []
    for _, name, text in blocks(heading):
        if name:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{path.read_text()}\n{text}" if path.exists() else text)
            names.append(name)
    return names


def commands(heading: str) -> list[str]:
    lines = [line for language, _, text in blocks(heading) if language == "bash" for line in text.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.strip()]


class Shell:
    """Types lines in a folder; what is exported stays for the next."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.variables = folder, {"OMP_NUM_THREADS": "1", **variables}

    def __call__(self, line: str) -> str:
        if line.startswith("export "):
            self.variables |= [line.removeprefix("export ").split("=")]
            return ""
        assert line.startswith("fgbench "), line
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m {line}"],
            cwd=self.folder, env=os.environ | self.variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def install(package: Path) -> str:
    """What pip leaves of a package whose modules stand beside its pyproject.toml; returns the path to import from."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    place = package / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    place.mkdir(exist_ok=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return os.pathsep.join([str(package), str(ROOT)])


def draw_leaves(folder: Path) -> None:
    """Two classes that differ in their colour."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 5)):
        for name, colour in (("birch", (200, 220, 40)), ("oak", (60, 90, 30))):
            place = folder / split / name
            place.mkdir(parents=True)
            for k in range(count):
                pixels = np.clip(rng.normal(colour, 40, (80, 96, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{k}.jpg")


def test_a_paper_is_added_by_its_folder(tmp_path, birds_folder):
    assert write_files("Add a paper", tmp_path) == ["my_papers/demo/paper.toml", "my_papers/demo/cub.toml"]
    typed = commands("Add a paper")
    assert [line.split()[1] for line in typed[1:]] == ["list", "run", "report"]
    # Fewer birds than the profile would draw, in their place.
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    shell = Shell(tmp_path, FGBENCH_CACHE=str(tmp_path / "cache"))
    shell(typed[0])
    assert "FV-SIFT" in shell(typed[1])
    shell(typed[2])
    (found,) = Store(tmp_path / "runs/records").records()
    assert (found.recipe, found.method, found.profile, found.synthetic) == ("demo/sift@cub", "fv_sift", "quick", True)
    assert found.settings["options"] == {"words": 8, "pca": 16}
    shell(typed[3])
    page = (tmp_path / "runs/report/demo.html").read_text(encoding="utf-8")
    assert "A Demonstration" in page
    assert BADGES[Outcome.NOT_COMPARABLE].shape in page


def test_a_data_set_and_a_method_are_added_by_entry_points(tmp_path):
    for heading in ("Add a paper", "Add a data set", "Add a method"):
        assert write_files(heading, tmp_path)
    draw_leaves(tmp_path / "data/leaves-1.0")
    shell = Shell(
        tmp_path,
        FGBENCH_REPRODUCTIONS="my_papers",
        FGBENCH_DATA=str(tmp_path / "data"),
        PYTHONPATH=install(tmp_path / "my_package"),
    )
    said = [shell(line) for line in commands("Add a data set")]
    assert "Leaves: 26 images of 2 classes, 16 for training, 0 problems" in said[0]
    said = [shell(line) for line in commands("Add a method")]
    assert "Mean and spread of the three colours." in said[0]
    assert "2 of 2 records verified" in said[-1]
    frame = fgbench.load(tmp_path / "runs")
    own = frame[frame.metric == "accuracy"].set_index("recipe")
    assert sorted(own.index) == ["demo/colour@leaves", "demo/sift@leaves"]
    assert own.value["demo/colour@leaves"] == 100.0
    assert set(own.data) == {"leaves"}
    assert own.n.tolist() == [10, 10]
    # Other source, another run; the source of fgbench's own methods stays what it was.
    colour = tmp_path / "my_package/colour.py"
    colour.write_text(colour.read_text().replace("/ 255", "/ 256"))
    shell("fgbench run demo/sift demo/colour --data leaves --profile frozen")
    again = fgbench.load(tmp_path / "runs")
    assert again[again.metric == "accuracy"].recipe.value_counts().to_dict() == {
        "demo/colour@leaves": 2, "demo/sift@leaves": 1,
    }  # fmt: skip
    assert again[again.recipe == "demo/colour@leaves"].source.nunique() == 2


def test_records_are_analysed(tmp_path, monkeypatch, capsys):
    store = Store(tmp_path / "runs/records")
    store.write(*record())
    store.write(*record("b" * 16, seed=1, synthetic=False))
    monkeypatch.chdir(tmp_path)
    (code,) = (text for language, _, text in blocks("Analyse") if language == "python")
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert len(names["values"]) == 4
    assert list(names["accuracy"].run_id) == ["b" * 16]
    assert set(names["arrays"]) == {"ids", "labels", "scores"}
    assert "(40, 4)" in capsys.readouterr().out
    shell = Shell(tmp_path)
    said = [shell(line) for line in commands("Analyse")]
    assert {"values.csv", "verdicts.csv", "table.tex"} <= {path.name for path in tmp_path.iterdir()}
    *_, runs, phases, differences = said
    assert "FV-SIFT" in runs
    assert "FV-SIFT" in phases
    assert "| Run | less |" in differences  # of a run and itself on other data there is none


def test_every_verdict_is_explained_with_its_sign():
    text = section("How to read a verdict")
    for outcome, badge in BADGES.items():
        if outcome is not Outcome.CONTEXT:
            assert f"{badge.shape} {outcome}" in text
