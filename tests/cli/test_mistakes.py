"""Mistakes of the user over all verbs: exit code 2, one sentence with what to type next, and no traceback."""

import pytest
from kill_at_write import WarmProgram
from real_data import REAL
from stored_records import record
from verbs import VERBS

from fgbench.records.store import Store

RUN = ("run", "bcnn/fv_sift", "--profile", "quick")
MISTAKES = {
    ("list", "cels"): "did you mean 'cells'?",
    ("list", "runs", "--results", "nowhere"): "there is no folder nowhere",
    ("show", "bcnn/bcnn_d"): "did you mean 'bcnn/bcnn_d",
    ("show", "zzzz", "--results", "nowhere"): "there is no folder nowhere",
    ("doctor", "now"): "Got unexpected extra argument",
    ("run",): "Missing argument 'RECIPE'",
    ("run", "bcnn/bcnn_d"): "did you mean 'bcnn/bcnn_d",
    ("run", "bcnn/fv_sift", "--data", "birds"): "fgbench reproduce cub",
    ("run", "bcnn/t1/fv_sift/birds_no_ft", "--data", "cars"): "add --data cub",
    (*RUN, "--seeds", "0"): "--seed 0 for the seed 0",
    (*RUN, "--seed", "1", "--seeds", "2"): "leave one out",
    (*RUN, "--jobs", "0"): "'--jobs'",
    (*RUN, "--jobs", "two"): "'--jobs'",
    (*RUN, "--within", "soon"): "such as 90s, 9m or 1h30m",
    (*RUN, "--device", "gpu"): "known: cpu, cuda",
    (*RUN, "--set", "x=1"): "has no setting 'x'",
    (*RUN, "--gpu", "h100"): "add --dry-run",
    (*RUN, "--sed", "1"): "No such option: --sed",
    (*RUN, "--results", "file"): "file is a file, not a folder",
    ("run", "bcnn/fv_sift", "--profile", "quik"): "did you mean 'quick'?",
    ("runn",): "Did you mean 'run'",
    ("reproduce", "birds"): "fgbench reproduce cub",
    ("sensitivity", "bcnn/fv_sift", "--recompress", "30"): "--recompress 75,50,30",
    ("log", "zz", "--results", "results"): "fgbench list runs --results results",
    ("log", "zz", "--results", "empty"): "fgbench reproduce cub --results empty",
    ("rm", "zz", "--results", "results"): "no run 'zz' in results",
    ("judge", "file", "--cell", "birds"): "fgbench list cells",
    ("judge", "file"): "Missing option '--cell'",
    ("evaluate", "file", "--recipe", "bcnn"): "fgbench list recipes",
    ("evaluate", "none.pth", "--recipe", "bcnn/bcnn_dd"): "none.pth cannot be read",
    ("predict", "zz", "file", "--results", "results"): "fgbench list runs --results results",
    ("predict", "aa", "file", "--results", "results"): "--keep-network",
    ("speed", "bcnn/bcnn_d"): "did you mean 'bcnn/bcnn_d",
    ("speed", "bcnn/bcnn_dd", "--data", "birds"): "fgbench reproduce cub",
    ("speed", "--data", "cars"): "no frames per second are printed for cars",
    ("speed", "--device", "gpu"): "known: cpu, cuda",
    ("speed", "--results", "file"): "file is a file, not a folder",
    ("report", "--results", "nowhere"): "there is no folder nowhere",
    ("export", "valus"): "did you mean 'values'?",
    ("export", "predictions"): "fgbench list runs",
    ("export", "values", "a"): "fgbench export values",
    ("export", "values", "--format", "pdf"): "known: csv",
    ("export", "values", "--format", "csv", "--json"): "leave one out",
    ("verify", "--results", "empty"): "fgbench reproduce cub --results empty",
    ("keep", "copies", "--results", "empty"): "fgbench reproduce cub --results empty",
    ("compare", "nowhere"): "there is no folder nowhere",
    ("compare", "empty", "--results", "results"): "empty has no records",
    ("nightly", "--results", "nowhere"): "tox -e nightly",
    ("nightly", "--results", "empty"): "tox -e nightly",
    ("data", "get", "birds"): "fgbench data get cub",
    ("data", "check", "cub"): "fgbench data get cub",
    ("data", "list", "cub"): "Got unexpected extra argument",
    ("weights", "get", "vgg16"): "fgbench weights get vgg16.matconvnet",
    ("weights", "list", "vgg16"): "Got unexpected extra argument",
    ("weights", "train", "tiny_x", "--out", "x"): "fgbench weights train tiny_d --out tiny_d.safetensors",
    ("weights", "chek"): "No such command 'chek'",
}


@pytest.fixture(scope="module")
def program():
    with WarmProgram(preload=("torch", "fgbench.cli.run_requests", "fgbench.cli.dry_run")) as warm:
        yield warm


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    Store(folder / "results/records").write(*record())
    (folder / "empty").mkdir()
    (folder / "file").write_text("x")
    return folder


def test_every_verb_is_here():
    assert {next((verb for verb in VERBS if words[: len(verb)] == verb), None) for words in MISTAKES} >= set(VERBS)


@pytest.mark.parametrize(("words", "expected"), MISTAKES.items(), ids=map(" ".join, MISTAKES))
def test_a_mistake_ends_with_2_and_says_what_to_type(program, place, monkeypatch, words, expected):
    monkeypatch.chdir(place)
    for name in REAL:
        monkeypatch.delenv(name, raising=False)
    ended = program.run(words, limit_s=30)
    assert ended.code == 2, ended.output
    assert expected in ended.output
    assert "Traceback" not in ended.output
    assert max(map(len, ended.output.splitlines())) < 1000
