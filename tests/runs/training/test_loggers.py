"""The loggers of fgbench: files of CSV and TensorBoard, and names."""

import csv

import pytest
from command_line import run

from fgbench.runs.training.loggers import known_loggers, make_loggers
from fgbench.util.errors import FgbenchError

SETTINGS = {"mirror": True}


def use(folder, *names):
    for logger in make_loggers(names, folder, "bcnn_dd-seed0", SETTINGS).values():
        logger.log_metrics({"finetune/loss": 0.5}, 3)
        logger.save()
        logger.finalize("success")


def test_each_session_has_a_csv_file(tmp_path):
    use(tmp_path, "csv")
    use(tmp_path, "csv")
    files = sorted((tmp_path / "loggers/csv/bcnn_dd-seed0").glob("*/metrics.csv"))
    assert [file.parent.name for file in files] == ["version_0", "version_1"]
    for file in files:
        assert list(csv.DictReader(file.open())) == [{"finetune/loss": "0.5", "step": "3"}]


def test_sessions_share_a_folder_of_tensorboard(tmp_path):
    use(tmp_path, "tensorboard")
    use(tmp_path, "tensorboard")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = events.EventAccumulator(str(tmp_path / "loggers/tensorboard/bcnn_dd-seed0"))
    reader.Reload()
    assert {(point.step, point.value) for point in reader.Scalars("finetune/loss")} == {(3, 0.5)}


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_fabric.loggers.tensorboard._TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr("lightning_fabric.loggers.tensorboard._TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(FgbenchError, match="needs the package tensorboard") as error:
        make_loggers(("tensorboard",), tmp_path, "run", SETTINGS)
    assert error.value.hint == "pip install tensorboard"


def test_names_are_checked_before_anything_runs(tmp_path):
    assert known_loggers(["csv", "csv"]) == ("csv",)
    for options, message in (
        (("--log", "tensorbord"), "did you mean 'tensorboard'"),
        (("--log", "csv", "--executor", "ray"), "--log writes on this machine"),
    ):
        code, text = run("run", "bcnn/bcnn_mm", "--profile", "quick", "--results", str(tmp_path / "r"), *options)
        assert code
        assert message in text
    assert not (tmp_path / "r").exists()
