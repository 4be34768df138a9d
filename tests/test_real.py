"""On a small part of the real CUB-200-2011 with real ImageNet weights, where they are at hand."""

import numpy as np
import pytest
from real_data import REAL

from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not all(REAL.values()), reason="FGBENCH_DATA and FGBENCH_WEIGHTS are not set"),
]
SQUEEZE = Changes(classes=4, size=160, backbone="squeezenet1_1:features")


def do(name, changes, folder):
    from fgbench.runs.execute import execute

    planned = plan([load_recipes()[f"{name}@cub"]], "frozen", [0], device="cpu", changes=changes)
    assert planned.blocked == {}
    (run,) = planned.runs
    return execute(run, Store(folder / "records"), folder / "work")


def test_bcnn_on_squeezenet_tells_real_birds_apart_and_not_with_shuffled_labels(tmp_path):
    record = do("bcnn/bcnn_dd", SQUEEZE, tmp_path / "a")
    assert record.values["accuracy"].value > 50
    assert not record.comparable
    fields = {d.field for d in record.deviations}
    assert {"data.classes", "backbones", "test_pipeline", "stages"} <= fields
    control = do("bcnn/bcnn_dd", Changes(**{**as_dict(SQUEEZE), "shuffle_labels": True}), tmp_path / "b")
    assert control.values["accuracy"].value < 45


def test_keypoints_of_real_birds_are_found_better_than_at_their_mean_places(tmp_path):
    from fgbench.datasets import datasets
    from fgbench.datasets.geometry import input_geometry, to_input, to_original
    from fgbench.datasets.pipeline import Pipeline
    from fgbench.metrics.keypoints import pck

    record = do("keypoint_fcn/localizer", SQUEEZE, tmp_path)
    index, pipeline = datasets["cub"].index().first_classes(4), Pipeline.parse("resize(160, bilinear)")
    train, test = index.select(index.train), index.select(~index.train)
    seen = to_input(train.parts, *input_geometry(train, pipeline), 160)
    shown = seen[..., 2:]
    mean = (seen[..., :2] * shown).sum(axis=0) / shown.sum(axis=0)
    guess = to_original(np.repeat(mean[None], len(test), axis=0), *input_geometry(test, pipeline))
    baseline = np.nanmean(pck(guess, test.parts, test.boxes, 0.1))
    assert record.values["pck@0.10"].value > baseline + 10
    assert "accuracy" not in record.values


def as_dict(changes):
    return {name: getattr(changes, name) for name in changes.__dataclass_fields__}


def test_the_official_annotations_are_recognised():
    from fgbench.datasets import cub, datasets

    index = datasets["cub"].index()
    assert index.annotation_hashes == cub.OFFICIAL
    assert (len(index), int(index.train.sum()), int(index.parts[:, :, 2].sum())) == (11788, 5994, 141407)
