import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right, weights_of

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.verdict import Outcome, judge
from fgbench.metrics.values import measure
from fgbench.papers.printed import load_papers
from fgbench.records.record import Weights

KEY = "bcnn/bcnn_dd@cub"
CELL = next(cell for cell in load_papers()["bcnn"].cells() if cell.id == "t1/bcnn_dd/birds")
SETTINGS = RECIPES[KEY].settings.model_dump(mode="json")


def outcome(records, anomalies=None):
    return judge(CELL, records, {}, RECIPES, anomalies)


def hidden(**fields):
    return {d.field: d for d in hidden_deviations(made(values={}, **fields), RECIPES[KEY])}


def test_a_run_of_its_recipe_hides_nothing():
    assert hidden() == {}
    assert all(
        not hidden_deviations(made(key, values={}, data=recipe.settings.data, protocol=official(recipe)), recipe)
        for key, recipe in RECIPES.items()
        if recipe.settings.data == "cub"
    )


def official(recipe):
    return {"data": recipe.settings.data}


@pytest.mark.parametrize(
    ("field", "run"),
    [
        ("mirror", {"settings": SETTINGS | {"mirror": False}}),
        ("test_pipeline", {"settings": SETTINGS | {"test_pipeline": "resize_short(64) | center_crop(64)"}}),
        ("control", {"protocol": {"control": "shuffled training labels"}}),
    ],
)
def test_a_deviation_listed_as_a_remark_is_computed_again_and_not_believed(field, run):
    edited = [deviation(field, changes=False)]
    assert field in hidden(deviations=edited, **run)
    records = [of_accuracy(value, seed, deviations=edited, **run) for seed, value in enumerate((84.0, 84.1, 83.9))]
    assert outcome(records).outcome == Outcome.NOT_COMPARABLE
    assert field not in hidden(deviations=[deviation(field)], **run)


@pytest.mark.parametrize("field", ["data.classes", "data.counts.train", "data.annotations.labels", "control", "data"])
def test_a_deviation_of_the_data_listed_as_a_remark_is_hidden(field):
    assert set(hidden(deviations=[deviation(field, changes=False)])) == {field}
    assert hidden(deviations=[deviation("data.images", changes=False)]) == {}
    unverified = [deviation("data.annotations", changes=False)]
    assert hidden(deviations=unverified) == {}
    # CUB-200-2011 has official hashes.
    assert set(hidden(deviations=unverified, protocol={"annotations": "others"})) == {"data.annotations"}


def test_weights_of_other_authors_listed_as_a_remark_are_hidden():
    def of(name, official=False, sha256="0" * 64):
        weights = [Weights(stream=w.stream, name=name, sha256=sha256, official=official) for w in _weights()]
        return {"weights": weights, "deviations": [deviation("weights.1", changes=False)]}

    converted = "eec883f1d532371a6908ad84fff8f4b62b0bc82e230e23837774177fdefc7bd8"
    assert hidden(**of("vgg16.caffe", sha256=converted)) == {}
    assert "weights.0" in hidden(**of("vgg16.caffe", sha256=converted) | {"deviations": []})
    assert "weights.0" in hidden(**of("vgg16.torchvision", sha256="397923af".ljust(64, "0")))
    assert "weights.0" in hidden(**of("vgg16.torchvision", official=True, sha256="397923af".ljust(64, "0")))
    assert "another" not in hidden(**of("vgg16.caffe"))
    assert hidden(**of("vgg16.caffe"))["weights.0"].run == "a file 0000000000000000"
    assert "weights" in hidden(weights=[])


def _weights():
    return weights_of(RECIPES[KEY].settings)


def test_a_run_that_says_that_it_needs_one_seed_is_not_believed():
    record = of_accuracy(84.1, seeded=False)
    assert depends_on_seed(record)
    found = outcome([record])
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "seeded: values depend on the seed" in found.reason


def test_a_record_of_a_method_that_is_not_installed_is_believed():
    settings = SETTINGS | {"stages": {}}
    for seeded in (True, False):
        record = made(values={}, method="of_a_plugin", settings=settings, seeded=seeded)
        assert depends_on_seed(record) == seeded
        assert "method" in {d.field for d in hidden_deviations(record, RECIPES[KEY])}
    assert depends_on_seed(made(values={}, method="of_a_plugin", seeded=False))  # it is trained


def test_other_methods_data_and_synthetic_images_are_hidden():
    assert set(hidden(method="fc_cnn")) == {"method"}
    assert set(hidden(protocol={"data": "aircraft"})) == {"data"}
    settings = SETTINGS | {"data": "synthetic_birds"}
    names = {"data": "synthetic_birds", "settings": settings, "protocol": {"data": "synthetic_birds"}}
    assert {"data", "synthetic"} <= set(hidden(synthetic=False, **names))


def copies(seeds, **fields):
    """Return one run copied as several seeds, with its arrays."""
    right = np.random.default_rng(0).random(5794) < 0.84
    return Kept(*(of_right(right, KEY, seed, classes=200, **fields) for seed in seeds))


def test_one_run_copied_as_three_seeds_is_not_comparable():
    kept = copies(range(3))
    assert outcome(kept.records).outcome == Outcome.REPRODUCED  # without the arrays nothing is seen
    found = outcome(kept.records, find_anomalies(kept.records, kept))
    assert found.outcome == Outcome.NOT_COMPARABLE
    assert "most test samples have the same output as in seed 1, seed 2 of the same run" in found.reason


def disguised(how, arrays, seed):
    """Return a copy of the arrays of a run that looks like another seed."""
    draw = np.random.default_rng(seed)
    scores, order = arrays["scores"].astype(np.float64), draw.permutation(len(arrays["ids"]))
    scores = scores + np.random.default_rng(9).normal(0, 0.1, scores.shape)  # of the run, equal in all copies
    arrays = arrays | {"scores": scores}
    if how == "order":
        return {name: array[order] for name, array in arrays.items()}
    if how == "names":
        return arrays | {"class_names": np.array([f"{k}" for k in range(scores.shape[1])])} if seed else arrays
    if how == "type":
        return arrays | {"scores": scores.astype((np.float64, np.float32, np.float16)[seed])}
    if how == "scale":
        return arrays | {"scores": scores * (1 + 0.5 * seed) + seed}
    scores[order[:40]] = np.roll(scores[order[:40]], 1, axis=1)  # some other predictions
    return arrays | {"scores": scores}


@pytest.mark.parametrize("how", ["order", "names", "type", "scale", "few samples"])
@pytest.mark.parametrize("key", ["bcnn/bcnn_dd@cub", "bcnn/cbp_ts_dd@cub"])
def test_disguised_copies_of_one_run_are_found(how, key):
    pairs = []
    for seed in range(3):
        record, arrays = of_right(np.arange(400) % 5 > 0, key, seed)
        arrays = disguised(how, arrays, seed)
        pairs.append((record.model_copy(update={"values": measure(arrays)}), arrays))
    kept = Kept(*pairs)
    found = find_anomalies(kept.records, kept)
    assert all("identical" in {a.kind for a in found[record.run_id]} for record in kept.records)


@pytest.mark.parametrize(
    ("setting", "value", "is_anomaly"), [("precision", "bf16-mixed", False), ("fixed_blocks", 2, True)]
)
def test_equal_predictions_in_another_precision_are_no_anomaly(setting, value, is_anomaly):
    pairs = []
    for change in ({}, {setting: value}):
        record, arrays = of_right(np.arange(400) % 5 > 0, "bcnn/bcnn_dd@cub")
        settings = record.settings | change
        pairs.append((record.model_copy(update={"settings": settings, "run_id": f"run{len(pairs)}"}), arrays))
    kept = Kept(*pairs)
    found = find_anomalies(kept.records, kept)
    assert any(a.kind == "identical" for anomalies in found.values() for a in anomalies) == is_anomaly


def test_seeds_of_two_classes_are_no_copies_because_they_agree():
    pairs = []
    for seed in range(3):
        record, arrays = of_right(np.arange(400) % 5 > 0, KEY, seed, classes=2)
        arrays |= {"scores": arrays["scores"] + np.random.default_rng(seed).normal(0, 0.05, (400, 2))}
        pairs.append((record.model_copy(update={"values": measure(arrays)}), arrays))
    kept = Kept(*pairs)
    assert not [a for found in find_anomalies(kept.records, kept).values() for a in found if a.kind == "identical"]


def test_seeds_with_similar_scores_are_no_copies():
    pairs = []
    for seed in range(3):
        record, arrays = of_right(np.arange(400) % 5 > 0, KEY, seed)
        noise = np.random.default_rng(seed).normal(0, 0.02, arrays["scores"].shape)
        arrays |= {"scores": arrays["scores"] + noise}
        pairs.append((record.model_copy(update={"values": measure(arrays)}), arrays))
    kept = Kept(*pairs)
    assert find_anomalies(kept.records, kept) == {}


@pytest.mark.parametrize(
    ("protocol", "field"),
    [
        ({"classes": 40}, "data.counts.classes"),
        ({"test_images": 1100}, "data.counts.test"),
        ({"train_images": 11_788}, "data.counts.train"),
        ({"selection": "epoch with the best test accuracy"}, "protocol.selection"),
        ({"metrics": [["accuracy", "top-5"]]}, "protocol.metrics"),
        ({"train_sees": ["parts"]}, "protocol.train_sees"),
    ],
)
def test_the_protocol_is_computed_again(protocol, field):
    assert set(hidden(protocol=protocol)) == {field}


def test_weights_of_another_network_are_no_remark():
    published = "c64ee0f7613d1e1522b079ed86cc4d874b8c3822c26dd1f1f33f4d910c85ae75"
    weights = [
        Weights(stream=w.stream, name="squeezenet1_1.onnx", sha256=published, official=False) for w in _weights()
    ]
    assert "weights.0" in hidden(weights=weights, deviations=[deviation("weights.1", changes=False)])
