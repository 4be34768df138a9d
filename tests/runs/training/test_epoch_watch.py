import json
from dataclasses import replace
from types import SimpleNamespace

import mini
import numpy as np
import pytest
import torch
from simulated_gpu import SimulatedGpu

from fgbench.datasets import find
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.methods.base import Outputs
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs import execute
from fgbench.runs.executors.runner import do_run
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes
from fgbench.runs.training.epoch_watch import Watch
from fgbench.runs.training.loop import Epoch
from fgbench.util.checked_rows import CheckedRows
from fgbench.util.errors import FgbenchError

WATCH = Changes(watch_test=True)


def execute_run(folder, changes=WATCH, seed=0):
    record = mini.do(mini.run_of("bcnn_dm", changes=changes, seed=seed), folder)
    return record, Store(folder / "records").outputs(record)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    return (*execute_run(folder), folder)


def test_watching_changes_only_the_run_id_and_adds_values(watched, tmp_path):
    record, arrays, _ = watched
    plain, other = execute_run(tmp_path, Changes())
    assert plain.run_id != record.run_id
    assert "watched" not in other
    assert np.array_equal(arrays["scores"], other["scores"])
    assert [(p.stage, p.epoch, p.loss, p.accuracy) for p in plain.curve] == [
        (p.stage, p.epoch, p.loss, p.accuracy) for p in record.curve
    ]
    new = {"watched/last_epoch", "watched/best_on_test"}
    assert {name: value for name, value in record.values.items() if name not in new} == plain.values
    assert set(record.values) - set(plain.values) == new


def test_each_network_epoch_and_the_last_head_epoch_are_watched(watched):
    record, arrays, folder = watched
    assert [point.stage for point in record.curve] == ["classifier"] * 4 + ["finetune"] * 4
    seen = arrays["watched"]
    assert seen.shape == (len(arrays["labels"]), 1 + 4)
    shares = 100 * (seen == arrays["labels"][:, None]).mean(axis=0)
    last, best = record.values["watched/last_epoch"], record.values["watched/best_on_test"]
    assert last.value == pytest.approx(shares[-1])
    assert best.value == pytest.approx(shares.max())
    assert "best by the test labels of 5 epochs" in best.definition
    assert last.value > 100 / 4
    assert Store(folder / "records").verify(record) == []


def test_every_third_epoch_and_the_last_are_watched(watched, tmp_path):
    """The fine-tuning has four epochs."""
    all_epochs = watched[1]["watched"]
    record, arrays = execute_run(tmp_path, Changes(watch_test=True, watch_every=3))
    assert np.array_equal(arrays["watched"], all_epochs[:, [0, 3, 4]])
    assert "best by the test labels of 3 epochs" in record.values["watched/best_on_test"].definition
    assert record.run_id != watched[0].run_id
    assert Store(tmp_path / "records").verify(record) == []


def test_stages_without_cross_entropy_are_not_watched(tmp_path):
    """The first stages of the keypoint FCN train only the localiser."""
    recipe = load_recipes()["keypoint_fcn/compact_bilinear@cub"]
    stages = dict(recipe.resolve("quick").ordered_stages)
    without_classes = {name for name, stage in stages.items() if stage.losses == ("keypoints",)}
    assert without_classes
    assert set(stages) - without_classes

    class Method:
        HEAD = ("classifier",)

        def eval(self):
            """Called only if the stage is watched."""
            raise KeyError

    class Engine:
        rank = 0

    watch = execute.Watch(Method(), np.zeros((1, 1, 1, 3)), 1, Engine(), tmp_path)
    for name, stage in stages.items():
        if name in without_classes:
            watch(name, stage, stage.epochs)
        else:
            with pytest.raises(KeyError):
                watch(name, stage, stage.epochs)


def test_an_interrupted_training_has_the_same_watched_predictions(watched, tmp_path, monkeypatch):
    """An interruption between prediction and checkpoint leaves predictions, which the repeated epoch must replace."""
    _, arrays, _ = watched
    run = mini.run_of("bcnn_dm", changes=WATCH)

    class Killed(execute.Watch):
        def __call__(self, name, stage, epoch):
            super().__call__(name, stage, epoch)
            if (name, epoch) == ("finetune", 2):
                np.save(self._path(name, epoch), np.full((len(arrays["labels"]), 1), -1, np.float32))
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(execute, "Watch", Killed)
        with pytest.raises(KeyboardInterrupt):
            do_run(run, tmp_path, lambda what, share: None)
    assert len(list(tmp_path.rglob("watched/*.npy"))) == 3
    record = mini.do(run, tmp_path)
    assert np.array_equal(Store(tmp_path / "records").outputs(record)["watched"], arrays["watched"])


def test_decoding_of_watched_images_belongs_to_a_phase(tmp_path, monkeypatch):
    run = mini.run_of("bcnn_dm", changes=WATCH)
    journal, phases = tmp_path / "work" / run.id / "journal.json", []

    def decoding(*arguments):
        phases.append(json.loads(journal.read_text())["open"])
        if len(phases) == 4:  # training and test images, each with the test and the training pipeline
            raise KeyboardInterrupt
        return cached_pixels(*arguments)

    monkeypatch.setattr("fgbench.runs.experiment.cached_pixels", decoding)
    with pytest.raises(KeyboardInterrupt):
        do_run(run, tmp_path, lambda what, share: None)
    assert phases == ["pixels"] * 4


class CentreClass(torch.nn.Module):
    """Predicts the brightness of the centre as class; keeps whether autocast was enabled."""

    HEAD = ("classifier",)

    def __init__(self):
        super().__init__()
        self.autocast = []

    def forward(self, images):
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        side = images.shape[-1]
        return Outputs(torch.nn.functional.one_hot(images[:, 0, side // 2, side // 2].long(), 8), images)


def watch_five(folder, method=None, device="cpu", rank=0, every=1):
    """Watch five images of classes 0 to 4 after the first epoch of a stage; return the predictions."""
    engine = SimpleNamespace(
        rank=rank, device=torch.device(device), autocast=lambda: torch.autocast("cpu", torch.bfloat16)
    )
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((5, 4, 4, 3), np.uint8)
    watch = Watch(method or CentreClass(), pixels, 2, engine, folder / "watched", every)
    watch("finetune", mini.STAGE, 1)
    return None if rank else watch.arrays([Epoch("finetune", 1, 0.0, 0.0, 0.0)])["watched"]


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_process_predicts_in_training_precision(tmp_path, rank):
    method = CentreClass()
    classes = watch_five(tmp_path, method, rank=rank)
    assert method.autocast == [True] * 3 * (not rank)
    assert (tmp_path / "watched").exists() == (not rank)
    if not rank:
        assert classes.tolist() == [[k] for k in range(5)]


def test_predictions_are_written_once_an_epoch(tmp_path, monkeypatch):
    appended, append = [], CheckedRows.append
    monkeypatch.setattr(CheckedRows, "append", lambda self, rows: (appended.append(len(rows)), append(self, rows)))
    watch_five(tmp_path)
    assert appended == [5]


def test_the_host_waits_once_an_epoch_for_the_device(tmp_path):
    with SimulatedGpu() as gpu:
        assert watch_five(tmp_path, device="cuda").tolist() == [[k] for k in range(5)]
    assert [wait.partition(" at ")[0] for wait in gpu.waits].count("copy to the CPU") == 1


def test_watched_images_use_the_training_pipeline_without_random_steps(tmp_path, monkeypatch):
    run = mini.run_of("bcnn_dm", changes=WATCH)
    train = "resize_short(60, bilinear) | center_crop(56) | random_crop(48) | flip"
    run = replace(run, settings=run.settings.model_copy(update={"train_pipeline": train}))
    seen = []

    def stop_at_watch(method, pixels, *others):
        seen.append(np.array(pixels))
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "Watch", stop_at_watch)
    with pytest.raises(KeyboardInterrupt):
        do_run(run, tmp_path, lambda what, share: None)
    index = find("mini_birds").index()
    test = index.select(~index.train)
    plain = cached_pixels(test, Pipeline.parse("resize_short(60, bilinear) | center_crop(48)"))
    assert np.array_equal(seen[0], plain)


def test_shuffled_training_labels_are_at_chance_in_every_epoch(tmp_path):
    _, arrays = execute_run(tmp_path, Changes(watch_test=True, shuffle_labels=True))
    shares = (arrays["watched"] == arrays["labels"][:, None]).mean(axis=0)
    assert (abs(shares - 1 / 4) < 0.2).all()


@pytest.mark.parametrize("name", ["bcnn/fv_sift@cub", "keypoint_fcn/localizer@cub", "bcnn/bcnn_mm@market1501"])
def test_watching_a_recipe_without_classifier_is_an_error(name):
    recipes = load_recipes()
    if name not in recipes:
        name = next(key for key in recipes if key.endswith("@market1501"))
    recipe = recipes[name]
    reason = "network under quick" if name.startswith("bcnn/fv_sift") else "classifier"
    with pytest.raises(FgbenchError, match=f"trains no {reason}, so it"):
        plan([recipe], "quick", [0], device="cpu", changes=WATCH)
