"""What GitHub runs: that it names what there is, and actionlint where it is installed, as `tox -e workflows` does."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from fgbench.cli import app
from fgbench.cli.run_requests import Ended, choose_recipes
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan, plan

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
JOBS = [(path.stem, name, job) for path in FILES for name, job in yaml.safe_load(path.read_text())["jobs"].items()]


def test_there_are_tests_and_nights():
    assert [path.stem for path in FILES] == ["nightly", "tests"]


@pytest.mark.parametrize(("file", "name", "job"), JOBS, ids=[f"{file}-{name}" for file, name, _ in JOBS])
def test_a_job_ends_and_runs_environments_that_there_are(file, name, job):
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    known = {section.removeprefix("testenv:") for section in tox.sections()}
    assert job["timeout-minutes"] <= 60
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z/-]+@v\d+", step.get("uses", "actions/x@v1"))
        for environments in re.findall(r"tox -e (\S+)", step.get("run", "")):
            assert set(environments.split(",")) <= known


ENDED = Ended(Plan((), {}), Result(0, 0, ()), prints=False)
TOX = (ROOT / "tox.ini").read_text()
RUNS = re.findall(r"^    fgbench run (.+)$", TOX, re.MULTILINE)


@pytest.mark.parametrize("line", RUNS)
def test_what_tox_runs_is_known_and_can_be_planned(line, monkeypatch):
    asked = []
    monkeypatch.setattr("fgbench.cli.run_requests.run_recipes", lambda request, results: asked.append(request) or ENDED)
    typed = re.sub(r"\{env:(\w+)\}", lambda name: re.search(rf"^    {name[1]} = (.+)$", TOX, re.MULTILINE)[1], line)
    typed = typed.replace("{posargs}", "--seeds 2")
    assert CliRunner().invoke(app, ["run", *shlex.split(typed)], catch_exceptions=False).exit_code == 0
    (request,) = asked
    assert request.seeds == 2 or "{posargs}" not in line
    recipes = choose_recipes(request.data, request.recipes)
    assert len(recipes) == len(request.recipes) > 0
    found = plan(recipes, request.profile, range(request.seeds or 1), changes=request.changes)
    assert {run.recipe.key for run in found.runs} | set(found.blocked) == {recipe.key for recipe in recipes}


def test_a_night_is_kept_and_published_also_when_it_failed():
    nightly = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())["jobs"]
    after = nightly["night"]["steps"]
    night = next(k for k, step in enumerate(after) if "tox -e nightly" in step.get("run", ""))
    assert after[night + 1 :]
    assert all(step["if"] == "always()" for step in after[night + 1 :])
    assert nightly["publish"]["needs"] == "night"
    assert "!cancelled()" in nightly["publish"]["if"]


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not here: tox -e workflows")
def test_actionlint_finds_nothing():
    done = subprocess.run(["actionlint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
