"""The notebook of the quick start: its cells are executed in order, in an empty folder, on a few stand-in birds."""

import json
import re
import subprocess
import sys

import pytest
from documents import ROOT, page
from small_stand_in import few_synthetic_birds

from fgbench.records.store import store_of

NOTEBOOK = page("docs/quickstart.ipynb")
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The folder, what each code cell shows, and the printed steps."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(folder / "cache"))
        few_synthetic_birds()
        command = [sys.executable, str(ROOT / "tests/helpers/run_notebook.py"), str(NOTEBOOK)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, re.split(r"^\[\d+\]\n", done.stdout, flags=re.MULTILINE)[1:], done.stderr


def test_every_cell_is_executed_and_shows_the_value_of_the_run(executed):
    folder, shown, steps = executed
    assert len(shown) == len(CODE)
    records = store_of(folder / "runs").records()
    (run,), (network,) = ([r for r in records if bool(r.external) == outside] for outside in (False, True))
    value = run.values["accuracy"].value
    _, _, values, classes, picture, evaluated, judged, report = shown
    assert f"{run.title} synthetic_birds {run.run_id}" in values
    assert f"accuracy: {value} %, on 16 images" in values
    assert evaluated == f"{network.title} {value}\n"
    assert judged.startswith(f"{value} % printed: ")
    assert "not comparable: measured on synthetic data" in judged
    assert classes.count("true class: ") == 2
    assert picture.startswith("<PIL.JpegImagePlugin.JpegImageFile")
    assert report == "runs/report/index.html\n"
    assert (folder / "runs/report/index.html").is_file()
    assert "fgbench: B-CNN [M,M], quick, seed 0: training, stage" in steps


def test_the_committed_notebook_has_no_outputs_and_no_paths_of_a_machine():
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CODE)
    assert not re.search(r"/(home|root|tmp|Users|work)/", NOTEBOOK.read_text(encoding="utf-8"))
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/quick_start.md"])
def test_pages_link_the_notebook(name):
    assert re.search(r"\]\((docs/)?quickstart\.ipynb\)", page(name).read_text(encoding="utf-8"))
