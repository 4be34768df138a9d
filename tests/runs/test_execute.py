import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mini
import numpy as np
import pytest
from frozen_runs import frozen_run

from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes
from fgbench.util.errors import FgbenchError

NAMES = ("fc_cnn_d", "fv_cnn_d", "fv_sift", "bcnn_dm")


@pytest.mark.parametrize("name", NAMES)
def test_each_method_is_above_chance_and_its_record_verifies(name, tmp_path):
    run = mini.run_of(name)
    record = mini.do(run, tmp_path)
    store = Store(tmp_path / "records")
    assert store.verify(record) == []
    assert record.values["accuracy"].n == 80
    assert record.values["accuracy"].value > 25 + 100 * 2.5 * np.sqrt(0.25 * 0.75 / 80)
    assert not list((tmp_path / "work").glob("*/*"))
    assert record.synthetic
    assert not record.comparable
    assert {"train_pipeline", "backbones"} & {d.field for d in record.deviations} or name == "fv_sift"
    assert record.cost.test_fps > 0
    assert (record.cost.energy_j, record.cost.energy_note) == (None, "no GPU was used")
    assert record.provenance["packages"]["torch"]
    assert bool(record.curve) == (name != "fv_sift")


def test_shuffled_training_labels_fall_to_chance(tmp_path):
    record = mini.do(mini.run_of("bcnn_dm", changes=Changes(shuffle_labels=True)), tmp_path)
    assert record.values["accuracy"].value < 25 + 100 * 3 * np.sqrt(0.25 * 0.75 / 80)
    assert record.protocol["control"] == "shuffled training labels"
    assert "control" in {d.field for d in record.deviations}


def test_scores_are_reproducible_and_depend_on_the_seed(tmp_path):
    def scores(name, seed):
        record = mini.do(mini.run_of("bcnn_dm", seed=seed), tmp_path / name)
        return Store(tmp_path / name / "records").outputs(record)["scores"]

    first = scores("a", 0)
    assert np.array_equal(first, scores("b", 0))
    assert not np.array_equal(first, scores("c", 1))


def test_changes_of_the_user_are_deviations_and_change_the_id():
    plain = mini.run_of("bcnn_dm")
    for changes, field in (
        (Changes(classes=3), None),
        (Changes(size=32), "test_pipeline"),
        (Changes(shuffle_labels=True), "control"),
        (Changes(recompress=50), "train_pipeline"),
        (Changes(recompress=50), "test_pipeline"),
        (Changes(backbone="tiny_m:conv", recompress=30), "backbones"),
        (Changes(backbone="tiny_m:conv"), "backbones"),
    ):
        changed = mini.run_of("bcnn_dm", changes=changes)
        assert changed.id != plain.id
        network = " on tiny_m:conv" * bool(changes.backbone)
        quality = f", recompressed to quality {changes.recompress}" if changes.recompress else ""
        assert changed.what == "B-CNN [D,M]" + network + quality
        assert field is None or field in {d.field for d in changed.deviations}
    labelled = replace(
        changed, settings=changed.settings.model_copy(update={"backbones": ("tiny_m:conv#a", "tiny_m:conv#b")})
    )
    assert labelled.what == "B-CNN [D,M] on tiny_m:conv"
    assert mini.run_of("bcnn_dm").id == plain.id
    assert mini.run_of("bcnn_dm", seed=1).id != plain.id


def test_missing_data_or_weights_block_a_recipe_with_the_next_command(birds_folder, monkeypatch, tmp_path):
    recipe = load_recipes()["bcnn/bcnn_dd@cub"]
    assert plan([recipe], "paper", [0], device="cpu").blocked[recipe.key].command in {
        "fgbench data get cub",
        "fgbench weights get vgg16.matconvnet",
    }
    (tmp_path / "CUB_200_2011").symlink_to(birds_folder)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    blocked = plan([recipe], "frozen", [0], device="cpu").blocked[recipe.key]
    assert blocked.reason.startswith("weights:")
    assert blocked.command == "fgbench weights get vgg16.matconvnet"
    sift = load_recipes()["bcnn/fv_sift@cub"]
    (run,) = plan([sift], "frozen", [0], device="cpu").runs
    assert "data.annotations.split" in {d.field for d in run.deviations}
    assert any(d.changes_experiment for d in run.deviations)


def test_data_changed_after_planning_are_an_error(tmp_path):
    run = mini.run_of("fv_sift")
    moved = replace(run, protocol=replace(run.protocol, images="0" * 16))
    with pytest.raises(FgbenchError, match="has changed since"):
        mini.do(moved, tmp_path)


def sessions(folder: Path) -> int:
    """Return how often the unfinished run was started."""
    journals = list((folder / "parts/work").glob("*/journal.json"))
    return json.loads(journals[0].read_text())["sittings"] if journals else 0


def test_a_run_killed_at_random_moments_ends_with_the_same_values(tmp_path):
    """The run is killed after random times until it has finished."""

    def start(folder: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, mini.__file__, "bcnn_dm", str(folder)])

    assert start(tmp_path / "whole").wait() == 0
    clock, kills = random.Random(0), 0
    while True:
        process = start(tmp_path / "parts")
        before = sessions(tmp_path)
        # Wait until the session has begun its work, so that the kill interrupts it.
        while process.poll() is None and sessions(tmp_path) == before:
            time.sleep(0.005)
        time.sleep(clock.uniform(0.0, 0.3))
        if process.poll() is None and kills < 4:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.wait() == 0
        break
    assert kills
    assert not list((tmp_path / "parts/work").glob("*/*"))
    whole, parts = (Store(tmp_path / name / "records") for name in ("whole", "parts"))
    (one,), (two,) = whole.records(), parts.records()
    assert one.run_id == two.run_id
    assert one.values == two.values
    assert np.array_equal(whole.outputs(one)["scores"], parts.outputs(two)["scores"])
    assert two.cost.sittings in {kills, kills + 1}  # the last kill may have come after the record
    strip = [{k: v for k, v in point.model_dump().items() if k != "wall_s"} for point in one.curve]
    assert strip == [{k: v for k, v in point.model_dump().items() if k != "wall_s"} for point in two.curve]


def test_maps_of_a_frozen_network_are_reused_and_recorded(tmp_path, monkeypatch):
    def done(name, folder):
        return mini.do(frozen_run(tmp_path, monkeypatch, name), tmp_path / folder)

    first, again = done("bcnn_dd", "first"), done("bcnn_dd", "again")
    assert (first.cost.recalled, again.cost.recalled) == (0, 2 * (160 + 80))  # with the mirror images
    assert first.title == "B-CNN [D,D] on timm/test_resnet:features"
    assert first.cost.test_fps > 0
    assert again.cost.test_fps is None
    assert again.values == first.values
    assert not first.seeded
    scores = [Store(tmp_path / f"{f}/records").outputs(r)["scores"] for f, r in (("first", first), ("again", again))]
    assert np.array_equal(*scores)
    drawn = done("fv_cnn_d", "other")
    assert drawn.seeded
    assert drawn.cost.recalled > 2 * (160 + 80)  # to fit the mixture, too
    assert len(list((tmp_path / "cache/maps").rglob("*.npz"))) == 2 * (160 + 80)


@pytest.mark.parametrize("change", [{"train": ("classifier", "backbone")}, {"augment": True}])
def test_maps_are_not_cached_with_training_or_augmentation(tmp_path, monkeypatch, change):
    stage = mini.STAGE.model_copy(update={"train": ("classifier",), "augment": False, "epochs": 1, **change})
    run = frozen_run(tmp_path, monkeypatch, "bcnn_dd", stages={"classifier": stage.model_dump()})
    assert mini.do(run, tmp_path).cost.recalled == 0
    assert not (tmp_path / "cache/maps").exists()
