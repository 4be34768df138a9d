"""`fgbench.run`, `evaluate`, `predict` and `report`, called as in a notebook and from a script without a guard."""

import json
import os
import subprocess
import sys

import pytest
from own_folders import fill

import fgbench
from fgbench.cli.function_calls import COMMAND, StepWatcher
from fgbench.records.kept_networks import network_path
from fgbench.records.store import store_of
from fgbench.runs import kept_run
from fgbench.runs.executors.pool import Failure
from fgbench.util.errors import FgbenchError

SCRIPT = """
import json, sys, fgbench
data, results = sys.argv[1:]
steps = []
record = fgbench.run(
    "bcnn/fc_cnn_m", data=f"imagefolder:{data}", profile="quick", results=results, keep_network=True, epochs=1,
    set_values={"svm.c": 10}, report=lambda what, share: steps.append([what, share]),
)
print(json.dumps([record.run_id, steps, __file__]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of images, results folder with a run of a script, its record, and the steps that were reported."""
    folder = tmp_path_factory.mktemp("functions")
    fill(folder / "own")
    (folder / "script.py").write_text(SCRIPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBENCH_CACHE", str(folder / "cache"))
        command = [sys.executable, str(folder / "script.py"), str(folder / "own"), str(folder / "runs")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()  # the processes of the run did not execute the script
    run_id, steps, file = json.loads(line)
    assert file == str(folder / "script.py")
    return folder / "own", folder / "runs", store_of(folder / "runs").read(run_id), steps


@pytest.fixture(autouse=True)
def cache(made, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(made[1].parent / "cache"))


def test_a_run_is_that_of_the_options_and_names_its_call(made):
    _, results, record, steps = made
    assert (record.recipe, record.profile, record.seed) == ("bcnn/fc_cnn_m@cub", "quick", 0)
    assert record.settings["svm"]["c"] == 10
    assert record.settings["stages"]["finetune"]["epochs"] == 1
    assert network_path(results, record.network_sha256).is_file()
    assert record.provenance["command"].startswith("fgbench.run('bcnn/fc_cnn_m', data='imagefolder:")
    assert "epochs=1" in record.provenance["command"]
    texts, shares = zip(*steps, strict=True)
    assert any("training, stage finetune" in text for text in texts)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert list(shares) == sorted(shares)


def test_a_finished_run_is_returned_and_its_steps_are_printed_on_standard_error(made, capsys, monkeypatch):
    own, results, record, _ = made
    monkeypatch.delenv(COMMAND, raising=False)
    main = sys.modules["__main__"]
    before = main.__dict__.get("__file__"), main.__spec__
    again = fgbench.run(
        "bcnn/fc_cnn_m",
        data=f"imagefolder:{own}",
        profile="quick",
        results=results,
        epochs=1,
        set_values={"svm.c": 10},
    )
    assert again == record
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fgbench: profile quick: 1 recipe for imagefolder:")
    assert COMMAND not in os.environ
    assert (main.__dict__.get("__file__"), main.__spec__) == before


def test_a_kept_network_is_evaluated_to_the_same_values_and_predicts_the_classes(made):
    own, results, record, _ = made
    path = network_path(results, record.network_sha256)
    (again,) = fgbench.evaluate(
        path,
        recipe="bcnn/fc_cnn_m",
        data=f"imagefolder:{own}",
        profile="quick",
        results=results,
        report=lambda what, share: None,
    )
    assert again.values == record.values
    assert (again.profile, again.external.sha256) == ("external", record.network_sha256)
    arrays = store_of(results).outputs(record)
    files = sorted((own / "test").rglob("*.png"))
    predictions = fgbench.predict(record, files, results=results)
    assert [p.label for p in predictions] == arrays["class_names"][arrays["scores"].argmax(axis=1)].tolist()
    (alone,) = fgbench.predict(record.run_id[:8], str(files[0]), results=str(results), top=1)
    assert alone.classes[0].name == predictions[0].label
    with pytest.raises(FgbenchError, match="keeps none"):
        fgbench.predict(again, files, results=results)


def test_predictions_of_a_run_of_other_code_come_with_a_warning(made, monkeypatch):
    own, results, record, _ = made
    file = next((own / "test").rglob("*.png"))
    monkeypatch.setattr(kept_run, "code_of", lambda method: "other code")
    with pytest.warns(UserWarning, match=f"run {record.run_id} was computed by other code of fgbench") as caught:
        fgbench.predict(record, file, results=results)
    assert [warning.filename for warning in caught] == [__file__]


def test_the_report_is_written_by_the_room(made, tmp_path, capsys):
    _, results, record, _ = made
    built = fgbench.report(results, out=tmp_path / "pages")
    assert built.first_page == tmp_path / "pages/index.html"
    assert record.run_id in {one.run_id for one in built.records}
    assert built.first_page.is_file()
    assert capsys.readouterr().out == ""
    with pytest.raises(FgbenchError, match="no folder"):
        fgbench.report(tmp_path / "nothing")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/index.html").write_text("mine")
    with pytest.raises(FgbenchError, match="is not a page of fgbench"):
        fgbench.report(results, out=tmp_path / "other")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own, to: fgbench.run("bcnn/bcnn_d", results=to), "no recipe 'bcnn/bcnn_d'"),
        (lambda own, to: fgbench.run("bcnn/*", profile="quick", results=to), "stands for"),
        (lambda own, to: fgbench.run("bcnn/bcnn_dd", profile="fast", results=to), "no profile named 'fast'"),
        (lambda own, to: fgbench.run("bcnn/bcnn_dd", profile="paper", results=to), "CUB|data"),
        (lambda own, to: fgbench.evaluate("no.pth", recipe="bcnn/fc_cnn_m", results=to), "cannot be read"),
        (lambda own, to: fgbench.evaluate([], recipe="bcnn/fc_cnn_m", results=to), "no networks"),
        (lambda own, to: fgbench.predict("zz", "x.jpg", results=to / "no"), "no folder"),
    ],
)
def test_a_mistake_is_an_fgbench_error(call, message, made, tmp_path):
    with pytest.raises(FgbenchError, match=message):
        call(made[0], tmp_path / "runs")
    assert not (tmp_path / "runs/records").exists()


def test_a_failed_run_is_an_error_with_its_hint(made, tmp_path):
    own = fill(tmp_path / "own")
    image = next((own / "train").rglob("*.png"))
    image.write_bytes(b"no image")
    with pytest.raises(FgbenchError, match=r"is not an image in a format") as error:
        fgbench.run("bcnn/fc_cnn_m", data=f"imagefolder:{own}", profile="quick", results=tmp_path / "runs")
    assert error.value.hint.startswith("fgbench data check")


def test_steps_of_several_tasks_are_shares_of_the_whole():
    seen = []
    watcher = StepWatcher(lambda what, share: seen.append((what, share)))
    watcher.expect(2)
    watcher.progress("a", "training", 0.5)
    watcher.finished("a", None, 2.0)
    watcher.note("shared")
    watcher.finished("b", Failure("b", "bad"), 3.0)
    assert seen == [("a: training", 0.25), ("a: done in 2 s", 0.5), ("shared", 0.5), ("b: failed in 3 s", 1.0)]


def test_the_names_are_there_without_importing_torch():
    code = (
        "import sys, logging, fgbench; before = logging.root.handlers[:];"
        "fgbench.run, fgbench.evaluate, fgbench.predict, fgbench.report, fgbench.judge;"
        "print('torch' in sys.modules, callable(fgbench.report), logging.root.handlers == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
    assert all("Example:" in function.__doc__ for function in (fgbench.run, fgbench.evaluate, fgbench.predict))
    assert "Example:" in fgbench.report.__call__.__doc__
