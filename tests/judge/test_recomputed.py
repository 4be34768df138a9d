import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right, weights_of

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.recomputed import depends_on_seed, hidden_deviations
from fgbench.judge.verdict import Outcome, judge
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
    assert "every test sample has the same output as in B-CNN [D,D], seed 1" in found.reason


def test_the_scores_of_two_random_sketches_must_differ_although_their_classes_may_be_equal():
    key = "bcnn/cbp_ts_dd@cub"
    recipe = RECIPES[key]
    settings = recipe.settings.model_copy(update={"stages": {}}).model_dump(mode="json")
    right = np.arange(40) % 3 > 0
    (first, arrays), (second, _) = (of_right(right, key, seed, settings=settings) for seed in range(2))
    assert first.seeded
    assert depends_on_seed(first)

    def found(other):
        kept = Kept((first, arrays), (second, other))
        return [a.kind for name in find_anomalies(kept.records, kept).values() for a in name]

    assert found(arrays) == ["identical", "identical"]
    assert found(arrays | {"scores": arrays["scores"] * 0.9}) == []
