"""On a small part of the real CUB-200-2011 with real ImageNet weights, where they are at hand."""

import conftest
import pytest

from fgbench.recipes import load_recipes
from fgbench.records import Store
from fgbench.runs import Changes, plan

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not all(conftest.REAL.values()), reason="FGBENCH_DATA and FGBENCH_WEIGHTS are not set"),
]
SQUEEZE = Changes(classes=4, size=160, backbone="squeezenet1_1:features")


def do(name, changes, folder):
    from fgbench.execute import execute

    planned = plan([load_recipes()[f"bcnn/{name}@cub"]], "frozen", [0], device="cpu", changes=changes)
    assert planned.blocked == {}
    (run,) = planned.runs
    return execute(run, Store(folder / "records"), folder / "work")


def test_bcnn_on_squeezenet_tells_real_birds_apart_and_not_with_shuffled_labels(tmp_path):
    record = do("bcnn_dd", SQUEEZE, tmp_path / "a")
    assert record.values["accuracy"].value > 50
    assert not record.comparable
    fields = {d.field for d in record.deviations}
    assert {"data.classes", "backbones", "test_pipeline", "stages"} <= fields
    control = do("bcnn_dd", Changes(**{**as_dict(SQUEEZE), "shuffle_labels": True}), tmp_path / "b")
    assert control.values["accuracy"].value < 45


def as_dict(changes):
    return {name: getattr(changes, name) for name in changes.__dataclass_fields__}


def test_the_official_annotations_are_recognised():
    from fgbench.datasets import cub, datasets

    index = datasets["cub"].index()
    assert index.annotation_hashes == cub.OFFICIAL
    assert (len(index), int(index.train.sum()), int(index.parts[:, :, 2].sum())) == (11788, 5994, 141407)
