import numpy as np
import pytest
from made_records import of_right
from sklearn.metrics import confusion_matrix

from fgbench.metrics.accuracy import accuracy
from fgbench.report.html.confusions import MOST_NAMED, MOST_SHOWN, confusion_charts, confusions, counts_of


def drawn(classes, images, seed, *, right=0.5):
    """Labels, and scores that are right for about a share of them, with ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    scores = rng.integers(0, 4, (images, classes)).astype(np.float32)
    hit = rng.random(images) < right
    scores[hit, labels[hit]] += 9
    return labels, scores


def run(labels, scores, seed=0, names=None):
    record, _ = of_right(np.ones(len(labels), bool), seed=seed, classes=scores.shape[1])
    arrays = {"ids": np.arange(len(labels)), "labels": labels, "scores": scores}
    return record, arrays | ({} if names is None else {"class_names": np.array(names)})


def found(*runs):
    arrays = {record.run_id: each for record, each in runs}
    return confusions([record for record, _ in runs], lambda record: arrays[record.run_id])


@pytest.mark.parametrize(("classes", "images"), [(2, 50), (7, 300), (200, 5000)])
def test_counts_are_those_of_scikit_learn(classes, images):
    labels, scores = drawn(classes, images, 3)
    expected = confusion_matrix(labels, scores.argmax(axis=1), labels=np.arange(classes))
    counts = counts_of(scores, labels)
    assert (counts == expected).all()
    assert 100 * np.trace(counts) / images == pytest.approx(accuracy(scores, labels))


def test_counts_are_added_over_seeds_and_pairs_are_the_largest_off_the_diagonal():
    runs = [run(*drawn(5, 400, seed), seed=seed, names=["a", "b", "c", "d", "e"]) for seed in range(3)]
    counted = found(*runs)
    total = sum(confusion_matrix(a["labels"], a["scores"].argmax(axis=1), labels=range(5)) for _, a in runs)
    assert counted.seeds == (0, 1, 2)
    assert (counted.counts.sum(axis=0) == total).all()
    wrong = total - np.diag(np.diag(total))
    first = counted.pairs[0]
    assert first.times == wrong.max()
    assert first.times == total["abcde".index(first.true), "abcde".index(first.taken_for)]
    assert first.of == total["abcde".index(first.true)].sum()
    assert [pair.times for pair in counted.pairs] == sorted((pair.times for pair in counted.pairs), reverse=True)
    assert first.share == pytest.approx(100 * first.times / first.of)
    for name, mean, least, most in counted.accuracies:
        i = "abcde".index(name)
        each = [100 * counts[i, i] / counts[i].sum() for counts in counted.counts]
        assert (mean, least, most) == pytest.approx((np.mean(each), min(each), max(each)))


def test_the_charts_have_the_shares_and_the_accuracies():
    counted = found(run(*drawn(6, 300, 1), names=[f"00{i}.Black_{i}" for i in range(6)]))
    square, each = confusion_charts(counted)
    total = counted.counts[0]
    for true, said, share in square.rows:
        i, j = int(true[-1]), int(said[-1])
        assert share == pytest.approx(100 * total[i, j] / total[i].sum(), rel=1e-5)
    assert len(square.rows) == np.count_nonzero(total)
    assert {row[0] for row in square.rows} == {f"Black {i}" for i in range(6)}
    assert [row[2] for row in each.rows] == sorted(row[2] for row in each.rows)
    pair = counted.pairs[0]
    assert f"{pair.true} is taken for {pair.taken_for}, {pair.share:.0f} %" in square.label


def test_of_many_classes_the_most_confused_are_shown_and_the_accuracy_of_all():
    labels = np.arange(300) % 60
    scores = np.zeros((300, 60), np.float32)
    scores[np.arange(300), labels] = 1
    taken = labels == 41
    scores[taken, 57] = 2
    square, each = confusion_charts(found(run(labels, scores)))
    names = {row[0] for row in square.rows} | {row[1] for row in square.rows}
    assert {"class 41", "class 57"} == names
    assert ("class 41", "class 57", 100) in square.rows
    assert "2 of 60 classes" in square.title
    assert len(each.rows) == 60 > MOST_NAMED > MOST_SHOWN
    assert each.rows[0] == ("class 41", 0.0, 0.0, 0.0)


def test_without_a_mistake_there_is_no_pair_and_still_a_square():
    counted = found(run(*drawn(40, 400, 0, right=2.0)))
    assert counted.pairs == []
    square, _ = confusion_charts(counted)
    assert "None is taken for another" in square.label
    assert len(square.rows) == MOST_SHOWN


def test_runs_without_scores_have_none_and_equal_names_are_told_apart():
    labels, scores = drawn(3, 30, 0)
    assert confusions([run(labels, scores)[0]], lambda record: {}) is None
    bad = scores.copy()
    bad[0, 0] = np.nan
    assert found(run(labels, bad)) is None
    assert found(run(labels, scores, names=["x", "x", "y"])).names == ("x (0)", "x (1)", "y")
    assert found(run(labels, scores, names=["x"])).names == ("class 0", "class 1", "class 2")
