import json
from dataclasses import replace
from types import SimpleNamespace

import mini
import numpy as np
import pytest
import torch

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
from fgbench.util.errors import FgbenchError

WATCH = Changes(watch_test=True)


def done(folder, changes=WATCH, seed=0):
    record = mini.do(mini.run_of("bcnn_dm", changes=changes, seed=seed), folder)
    return record, Store(folder / "records").outputs(record)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    return (*done(folder), folder)


def test_what_is_seen_changes_nothing_but_the_name_of_the_run(watched, tmp_path):
    record, arrays, _ = watched
    plain, other = done(tmp_path, Changes())
    assert plain.run_id != record.run_id
    assert "watched" not in other
    assert np.array_equal(arrays["scores"], other["scores"])
    assert [(p.stage, p.epoch, p.loss, p.accuracy) for p in plain.curve] == [
        (p.stage, p.epoch, p.loss, p.accuracy) for p in record.curve
    ]
    new = {"watched/last_epoch", "watched/best_on_test"}
    assert {name: value for name, value in record.values.items() if name not in new} == plain.values
    assert set(record.values) - set(plain.values) == new


def test_it_looks_after_each_epoch_of_the_network_and_after_the_last_of_the_head_alone(watched):
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


def test_stages_whose_losses_leave_the_classes_out_are_not_watched(tmp_path):
    """Of the keypoint FCN those that train the localiser alone."""
    recipe = load_recipes()["keypoint_fcn/compact_bilinear@cub"]
    stages = dict(recipe.resolve("quick").ordered_stages)
    silent = {name for name, stage in stages.items() if stage.losses == ("keypoints",)}
    assert silent
    assert set(stages) - silent

    class Method:
        HEAD = ("classifier",)

        def eval(self):
            """Is asked for when it is looked at."""
            raise KeyError

    class Engine:
        rank = 0

    watch = execute.Watch(Method(), np.zeros((1, 1, 1, 3)), 1, Engine(), tmp_path)
    for name, stage in stages.items():
        if name in silent:
            watch(name, stage, stage.epochs)
        else:
            with pytest.raises(KeyError):
                watch(name, stage, stage.epochs)


def test_an_interrupted_training_has_seen_what_a_whole_one_has(watched, tmp_path, monkeypatch):
    """Killed after it looked and before the epoch was kept: a stale picture of the epoch must not stay."""
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


def test_decoding_what_is_watched_is_time_of_a_phase(tmp_path, monkeypatch):
    run = mini.run_of("bcnn_dm", changes=WATCH)
    journal, phases = tmp_path / "work" / run.id / "journal.json", []

    def decoding(*arguments):
        phases.append(json.loads(journal.read_text())["open"])
        if len(phases) == 4:  # to train on and to be tested on, each as in test and as in training
            raise KeyboardInterrupt
        return cached_pixels(*arguments)

    monkeypatch.setattr("fgbench.runs.experiment.cached_pixels", decoding)
    with pytest.raises(KeyboardInterrupt):
        do_run(run, tmp_path, lambda what, share: None)
    assert phases == ["pixels"] * 4


class Looked(torch.nn.Module):
    """Gives each image the class of its middle; tells in what precision it was asked."""

    HEAD = ("classifier",)

    def __init__(self):
        super().__init__()
        self.autocast = []

    def forward(self, images):
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        side = images.shape[-1]
        return Outputs(torch.nn.functional.one_hot(images[:, 0, side // 2, side // 2].long(), 8), images)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_process_alone_looks_in_the_precision_of_the_training(tmp_path, rank):
    device = torch.device("cpu")
    engine = SimpleNamespace(rank=rank, device=device, autocast=lambda: torch.autocast("cpu", torch.bfloat16))
    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] + np.zeros((5, 4, 4, 3), np.uint8)
    method = Looked()
    watch = Watch(method, pixels, 2, engine, tmp_path / "watched")
    watch("finetune", mini.STAGE, 1)
    assert method.autocast == [True] * 3 * (not rank)
    assert (tmp_path / "watched").exists() == (not rank)
    if not rank:
        assert watch.arrays([Epoch("finetune", 1, 0.0, 0.0, 0.0)])["watched"].tolist() == [[k] for k in range(5)]


def test_it_sees_the_test_images_as_training_does_without_its_random_steps(tmp_path, monkeypatch):
    run = mini.run_of("bcnn_dm", changes=WATCH)
    train = "resize_short(60, bilinear) | center_crop(56) | random_crop(48) | flip"
    run = replace(run, settings=run.settings.model_copy(update={"train_pipeline": train}))
    seen = []

    def kept(method, pixels, *others):
        seen.append(np.array(pixels))
        raise KeyboardInterrupt

    monkeypatch.setattr(execute, "Watch", kept)
    with pytest.raises(KeyboardInterrupt):
        do_run(run, tmp_path, lambda what, share: None)
    index = find("mini_birds").index()
    test = index.select(~index.train)
    plain = cached_pixels(test, Pipeline.parse("resize_short(60, bilinear) | center_crop(48)"))
    assert np.array_equal(seen[0], plain)


def test_shuffled_training_labels_are_at_chance_in_every_epoch(tmp_path):
    _, arrays = done(tmp_path, Changes(watch_test=True, shuffle_labels=True))
    shares = (arrays["watched"] == arrays["labels"][:, None]).mean(axis=0)
    assert (abs(shares - 1 / 4) < 0.2).all()


@pytest.mark.parametrize("name", ["bcnn/fv_sift@cub", "keypoint_fcn/localizer@cub", "bcnn/bcnn_mm@market1501"])
def test_where_there_is_nothing_to_watch_it_says_so(name):
    recipes = load_recipes()
    if name not in recipes:
        name = next(key for key in recipes if key.endswith("@market1501"))
    recipe = recipes[name]
    with pytest.raises(FgbenchError, match="no classes of test images to watch"):
        plan([recipe], "quick", [0], device="cpu", changes=WATCH)
