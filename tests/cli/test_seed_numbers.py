import pytest
from command_line import run

from fgbench.cli import run_requests
from fgbench.cli.seed_numbers import parse_seeds
from fgbench.runs.executors.runner import Result
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize(
    ("count", "one", "seeds"), [(None, None, None), ("3", None, 3), ("0,3,5", None, (0, 3, 5)), (None, 7, (7,))]
)
def test_seeds(count, one, seeds):
    assert parse_seeds(count, one) == seeds


@pytest.mark.parametrize(
    ("count", "one", "message"),
    [
        ("0", None, "--seeds 0 runs nothing"),
        ("-1", None, "'-1' is no number of seeds"),
        ("three", None, "'three' is no number of seeds"),
        ("1,,2", None, "is no number of seeds"),
        ("1,1", None, "names a seed twice"),
        ("3", 0, "--seed and --seeds are given together"),
    ],
)
def test_what_is_no_seed_is_refused(count, one, message):
    with pytest.raises(FgbenchError, match=message):
        parse_seeds(count, one)


@pytest.fixture
def plans(monkeypatch):
    seen = []
    monkeypatch.setattr(run_requests.runner, "run_plan", lambda plan, *_, **__: seen.append(plan) or Result(0, 0, ()))
    return seen


def planned(plans, tmp_path, *options):
    code, text = run("run", "bcnn/fc_cnn_m", "--profile", "quick", "--results", str(tmp_path), *options)
    assert code == 0, text
    return plans[-1].runs


def test_named_seeds_and_the_device_are_those_of_the_runs(plans, tmp_path):
    assert [run.seed for run in planned(plans, tmp_path, "--seeds", "5,2")] == [5, 2]
    assert [run.seed for run in planned(plans, tmp_path, "--seed", "7", "--device", "cpu")] == [7]


def test_values_and_a_limit_on_images_are_deviations(plans, tmp_path):
    (run,) = planned(plans, tmp_path, "--set", "svm.c=10", "--limit", "30")
    fields = {deviation.field for deviation in run.deviations}
    assert {"svm.c", "data.limit"} <= fields
    assert (run.protocol.train_images, run.protocol.test_images) == (30, 30)
    (other,) = planned(plans, tmp_path)
    assert run.id != other.id


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda"), "torch sees no GPU"),
        (("--device", "gpu"), "no device named 'gpu'"),
        (("--limit", "2"), "2 images are fewer than the"),
        (("--set", "svm.d=1"), "has no setting 'svm.d'"),
        (("--seeds", "x"), "--seeds 'x' is no number of seeds"),
        (("--device", "cpu", "--executor", "ray"), "--device is for this machine"),
    ],
)
def test_wrong_options_are_named(plans, options, message, tmp_path):
    code, text = run("run", "bcnn/fc_cnn_m", "--profile", "quick", "--results", str(tmp_path), *options)
    assert code != 0
    assert message in text
    assert plans == []
