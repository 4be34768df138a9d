import json

import numpy as np
import pytest
from made_nights import folder
from made_records import RECIPES, deviation, made, of_right

from fgbench.judge.nightly.history import mean_values
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import read_folder
from fgbench.judge.nightly.run_matching import named_runs
from fgbench.judge.nightly.run_names import run_label

RECIPE = "bcnn/bcnn_dd@cub"
RIGHT = np.random.default_rng(0).random(400) < 0.8


def changed(**fields):
    """Return settings of the recipe with changes."""
    return {**RECIPES[RECIPE].settings.model_dump(mode="json"), **fields}


def pipelines(old, new):
    settings = changed()
    return {name: settings[name].replace(old, new) for name in ("test_pipeline", "train_pipeline")}


SQUEEZENET = changed(backbones=["squeezenet1_1:features"] * 2, weights=[])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"settings": SQUEEZENET}, ", on squeezenet1_1:features"),
        ({"settings": changed(**pipelines("448", "224"))}, ", 224 px"),
        ({"settings": changed(**pipelines("resize", "recompress(50) | resize"))}, ", recompressed to quality 50"),
        ({"settings": changed(precision="bf16-mixed")}, ", precision bf16-mixed"),
        ({"settings": changed(stages={})}, ", not fine-tuned"),
        ({"settings": changed(mirror=False)}, ", mirror False"),
        ({"deviations": [deviation("data.classes", run="the first 20")]}, ", the first 20 classes"),
        ({"deviations": [deviation("data.images", run="2 of 4 recompressed, not JPEG")]}, ", recompressed files"),
        ({"deviations": [deviation("data.counts.train"), deviation("data.counts.test")]}, ", other data files"),
        ({"protocol": {"control": "shuffled labels"}}, ", shuffled labels"),
        ({"settings": changed(test_pipeline="a new step")}, ", test images a new step"),
        ({"settings": {"mirror": False}}, ", on no network, mirror False"),
    ],
    ids=range(13),
)  # fmt: skip
def test_the_name_of_a_run_says_how_it_differs_from_its_recipe(fields, words):
    record = made(values=of_right(RIGHT)[0].values, **fields)
    assert run_label(record) == f"{RECIPE} (paper, seed 0{words})"


def test_runs_on_two_networks_are_not_averaged(tmp_path):
    """One network has 90 %, the other 50 %; each has two seeds."""
    rng = np.random.default_rng(1)
    runs = [
        of_right(rng.random(400) < share, seed=seed, settings=settings)
        for share, settings in ((0.9, changed()), (0.5, SQUEEZENET))
        for seed in range(2)
    ]
    night = read_folder(folder(tmp_path, *runs))
    values, _ = mean_values(night)
    names = [f"{RECIPE} (paper, seeds 0, 1)", f"{RECIPE} (paper, seeds 0, 1, on squeezenet1_1:features)"]
    assert values[f"{names[0]}: accuracy"] > 85
    assert values[f"{names[1]}: accuracy"] < 60
    assert {check.where.partition(": ")[0] for check in compare_quality(night, night)[1]} == {names[0], names[1]}


def test_runs_that_only_a_hash_tells_apart_have_different_names():
    """Other images, and weights: a name cannot say how they differ."""
    values = of_right(RIGHT)[0].values
    record = made(values=values)
    weights = [entry.model_copy(update={"sha256": 64 * "f"}) for entry in record.weights]
    others = [made(values=values, protocol={"images": "others"}), record.model_copy(update={"weights": weights})]
    named = named_runs([record, *others])
    assert len(named) == 3
    assert all(len(seeds) == 1 for seeds in named.values())


def test_a_repeated_run_counts_once(tmp_path):
    old, new = (of_right(r, provenance={"finished": year}) for r, year in ((RIGHT, "2025"), (~RIGHT, "2026")))
    values, _ = mean_values(read_folder(folder(tmp_path, old, new)))
    assert values[f"{RECIPE} (paper, seed 0): accuracy"] == pytest.approx(100 * (~RIGHT).mean())


def compare(tmp_path, base, head):
    nights = [read_folder(folder(tmp_path / name, pair)) for name, pair in (("a", base), ("b", head))]
    return {(finding.kind, finding.where): finding.text for finding in compare_quality(*nights)[0]}


def test_swapped_weights_are_named_though_the_accuracy_stays(tmp_path):
    record, arrays = of_right(RIGHT)
    weights = [entry.model_copy(update={"sha256": 64 * "f"}) for entry in record.weights]
    found = compare(tmp_path, (record, arrays), (record.model_copy(update={"weights": weights}), arrays))
    text = found["changed", f"{RECIPE} (paper, seed 0)"]
    assert text.startswith(
        f"the weights differ: {record.weights[0].stream}: file {record.weights[0].sha256[:12]} or ffff"
    )


def test_weights_that_only_one_night_has_are_named(tmp_path):
    record, arrays = of_right(RIGHT)
    without = record.model_copy(update={"weights": []})
    for number, nights in enumerate(((record, without), (without, record))):
        found = compare(tmp_path / str(number), *((night, arrays) for night in nights))
        assert "the weights differ" in found["changed", f"{RECIPE} (paper, seed 0)"]


def test_code_libraries_and_machine_are_one_note(tmp_path):
    before = {"source": "a" * 16, "commit": "1" * 40, "packages": {"torch": "2.1"}, "device": "cpu", "threads": 1}
    after = {"source": "b" * 16, "commit": "2" * 40, "packages": {"torch": "2.2"}, "device": "H100", "threads": 4}
    found = compare(tmp_path, of_right(RIGHT, provenance=before), of_right(RIGHT, provenance=after))
    assert list(found) == [("note", "code and machine")]
    assert found["note", "code and machine"] == (
        "code aaaaaaaaaaaa to bbbbbbbbbbbb, commit 111111111111 to 222222222222; torch 2.1 to 2.2; device cpu to H100; "
        "threads 1 to 4"
    )


def test_a_note_says_how_many_runs_differ(tmp_path):
    for name, threads in (("a", 1), ("b", 4)):
        runs = [of_right(RIGHT, provenance={"threads": threads}), of_right(~RIGHT, "bcnn/bcnn_dm@cub")]
        folder(tmp_path / name, *runs)
    (note,) = compare_quality(*(read_folder(tmp_path / name) for name in ("a", "b")))[0]
    assert note.text == "threads 1 to 4 (1 of 2 runs)"


def test_settings_are_compared_as_the_file_has_them(tmp_path):
    """A record that was written and read again has the same name."""
    record, arrays = of_right(RIGHT, settings=json.loads(json.dumps(changed(mirror=False))))
    (read,) = read_folder(folder(tmp_path, (record, arrays))).records
    assert run_label(read) == run_label(record)
