import numpy as np
import pytest
from made_records import of_right, untrained
from simulate.trainings import CUB, NAMES, QUICK, kept

from fgbench.judge.nightly.findings import take_second_look
from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import ResultsFolder

RIGHT = np.random.default_rng(0).random(400) < 0.8
NAME = "bcnn/bcnn_dd@cub (paper, seed 0, not fine-tuned)"


def frozen(right, **fields):
    """Return a night with one run that is not trained."""
    record, arrays = of_right(right, settings=untrained("bcnn/bcnn_dd@cub").settings.model_dump(mode="json"), **fields)
    return ResultsFolder((record,), lambda record: arrays)


def without(right, count):
    lost = right.copy()
    lost[np.flatnonzero(right)[:count]] = False
    return lost


def failures(base, head):
    return {(f.kind, f.where): f.text for f in compare_quality(base, head)[0] if f.fails}


def test_without_training_the_test_is_exact():
    """Thirteen images lost and none gained: 2 to the power of -13. Trainings may differ by as much."""
    found = failures(frozen(RIGHT), frozen(without(RIGHT, 13)))
    assert f"p = {2.0**-13:.2g} adjusted" in found["worse", f"{NAME}: accuracy"]
    assert not failures(frozen(RIGHT), frozen(without(RIGHT, 11)))
    trained = [
        ResultsFolder((record,), lambda _, a=arrays: a) for record, arrays in map(of_right, (RIGHT, without(RIGHT, 13)))
    ]
    assert not failures(*trained)


def test_another_small_network_is_another_training():
    """The outputs of a run on a small network depend on the training of the network."""
    nights = [frozen(RIGHT), frozen(without(RIGHT, 13))]
    hashes = []
    for number, night in enumerate(nights):
        (record,) = night.records
        weights = [w.model_copy(update={"stream": "tiny_d:conv", "sha256": f"{number}" * 16}) for w in record.weights]
        hashes.append(ResultsFolder((record.model_copy(update={"weights": weights}),), night.outputs))
    assert not failures(*hashes)


def planted(classes, seeds=2, images=213):
    """Return a night and the same with classes lost in all seeds."""
    rng = np.random.default_rng(3)
    chances = rng.beta(0.6, 0.5, images)
    before, after = (rng.random((1, seeds, images)) < chances for _ in range(2))
    lost = np.isin(np.arange(images) % 8, classes)
    after[..., lost] = False
    return before, after


def test_a_lost_class_is_named():
    before, after = planted([3])
    found = failures(kept(before), kept(after))
    (where,) = [where for kind, where in found if where.endswith("accuracy of single classes")]
    assert "; class 3: 18.5 to 0 of 27 images, t test" in found["worse", where]


def test_without_training_the_test_of_a_class_is_exact():
    lost = RIGHT & (np.arange(400) % 8 != 3)
    count = int((RIGHT & ~lost).sum())
    text = failures(frozen(RIGHT), frozen(lost))["worse", f"{NAME}: accuracy of single classes"]
    assert f"class 3: {count} to 0 of 50 images, sign test of each class, p = {2.0**-count:.2g} adjusted" in text


def test_two_classes_of_twenty_lost_in_both_seeds_are_found_and_named():
    rng = np.random.default_rng(5)
    before, after = (QUICK.night(rng, chances) for chances in [QUICK.chances(rng)] * 2)
    after[4][:, np.isin(QUICK.labels, [4, 7])] = False
    arrays = [of_right(r, NAMES[4], seed=seed, classes=20, profile="quick") for seed, r in enumerate(before[4])]
    others = [of_right(r, NAMES[4], seed=seed, classes=20, profile="quick") for seed, r in enumerate(after[4])]
    nights = [
        ResultsFolder(tuple(r for r, _ in pairs), lambda record, p=pairs: p[record.seed][1])
        for pairs in (arrays, others)
    ]
    found = failures(*nights)
    ((_, text),) = [(where, text) for (_, where), text in found.items() if "single classes" in where]
    assert "class 4: " in text
    assert "class 7: " in text
    assert text.count(" to 0 of 20 images") == 2


def test_a_class_lost_by_one_training_alone_is_not_a_finding():
    before, after = planted([], seeds=3)
    after[0, 0, np.arange(213) % 8 == 3] = False
    assert not [where for _, where in failures(kept(before), kept(after)) if "single classes" in where]


def test_one_bad_training_of_three_is_not_a_worse_value():
    rng = np.random.default_rng(7)
    before, after = (CUB.night(rng, chances)[:1] for chances in [CUB.chances(rng)] * 2)
    after[0, 0] &= rng.random(CUB.images) < 0.8
    found = failures(kept(before), kept(after))
    assert [where.rpartition(", ")[2] for _, where in found] == ["spread over seeds"]


def test_seeds_ten_points_apart_fail_when_two_nights_show_them():
    """The mean is the same: -10, 0 and +10 points."""
    rng = np.random.default_rng(6)
    chances = CUB.chances(rng)
    before, after = (CUB.night(rng, chances)[:1] for _ in range(2))
    for seed, value in ((0, True), (2, False)):
        row = after[0, seed]
        row[np.flatnonzero(row == value)[:579]] = not value
    findings, checks = compare_quality(kept(before), kept(after))
    (finding,) = [finding for finding in findings if finding.second_look]
    assert finding.kind == "worse"
    assert finding.where.endswith("accuracy, spread over seeds")
    (first,) = take_second_look([finding], ())
    assert (first.kind, first.fails) == ("note", False)
    assert first.text.endswith("the night fails if the next one shows it, too")
    assert take_second_look([finding], [finding.where]) == [finding]
    (check,) = [check for check in checks if check.where == finding.where]
    assert check.detectable.startswith("x ")


def test_every_value_says_which_loss_it_would_find():
    """12 images of 400 without training; the same 12 images are found, and 11 are not."""
    _, (accuracy, classes) = compare_quality(frozen(RIGHT), frozen(RIGHT))
    assert float(accuracy.detectable) == pytest.approx(-100 * 12 / 400)
    assert classes.where.endswith("of single classes")
    assert failures(frozen(RIGHT), frozen(without(RIGHT, 12)))
    assert not failures(frozen(RIGHT), frozen(without(RIGHT, 11)))
    images = CUB.night(np.random.default_rng(3), CUB.chances(np.random.default_rng(4)))
    for check in compare_quality(kept(images), kept(images))[1]:
        assert check.detectable or "single classes" in check.where
