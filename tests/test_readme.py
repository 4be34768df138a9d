"""The code of README.md and of the quick start is run from its text."""

import re
import shutil

from documents import ROOT, Shell, blocks, lines, page

from fgbench.datasets import datasets
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers
from fgbench.report.formatting import BADGES

README, QUICK_START = page("README.md"), page("docs/quick_start.md")
RUN = "fgbench run bcnn/fv_sift --profile quick"


def words(text: str) -> list[str]:
    """Return an output as words, without what differs from run to run and from machine to machine."""
    return re.sub(r"\b[0-9a-f]{16}\b|[\d.,]*\d[\d.,]*", "0", text).split()


def test_the_output_of_the_run_is_what_the_run_prints(tmp_path, birds_folder):
    # Fewer birds than the profile generates, in their place.
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    shell = Shell(tmp_path, FGBENCH_CACHE=str(tmp_path / "cache"))
    assert RUN in lines(README)
    (output,) = blocks(README, "text")
    assert words(shell(RUN)) == words(output.text)
    typed = lines(QUICK_START)
    start = typed.index(RUN)
    assert typed[start + 1 : start + 3] == ["fgbench report", "fgbench verify"]
    assert "runs/report/index.html" in shell("fgbench report")
    assert "1 of 1 record verified" in shell("fgbench verify")


def test_the_example_in_python_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (code,) = blocks(README, "python")
    assert len(code.text.splitlines()) <= 10
    exec(compile(code.text, "README.md", "exec"), {})
    assert "inconclusive" in capsys.readouterr().out


def test_the_readme_is_short_and_has_the_lines_that_test_and_reproduce():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 170
    assert [line.rpartition(" -e ")[2] for line in lines(README) if "tox" in line] == ["reproduce-cub", "lint,py"]


def test_every_verdict_is_explained_with_its_sign():
    for path in (README, page("docs/verdicts.md")):
        text = path.read_text(encoding="utf-8")
        for outcome, badge in BADGES.items():
            if outcome is not Outcome.CONTEXT:
                assert f"{badge.shape} {outcome}" in text


def test_the_number_of_cells_of_each_paper_is_that_of_the_package():
    rows = r"^\| .* \| (\d+) \| \[sources and choices\]\(reproductions/(\w+)/"
    counts = re.findall(rows, README.read_text(encoding="utf-8"), re.MULTILINE)
    assert {paper: int(count) for count, paper in counts} == {n: len(p.cells()) for n, p in load_papers().items()}
