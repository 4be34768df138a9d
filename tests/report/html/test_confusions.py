import numpy as np
import pytest
from made_records import of_right
from sklearn.metrics import confusion_matrix

from fgbench.metrics.accuracy import accuracy
from fgbench.report.html.confusions import (
    MAX_CLASS_LINES,
    MAX_MATRIX_CLASSES,
    confusion_charts,
    count_predictions,
    read_confusions,
)


def random_scores(classes, images, seed, *, right=0.5):
    """Return labels, and scores that are correct for about a share of them, with ties."""
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


def read(*runs):
    arrays = {record.run_id: outputs for record, outputs in runs}
    return read_confusions([record for record, _ in runs], lambda record: arrays[record.run_id])


@pytest.mark.parametrize(("classes", "images"), [(2, 50), (7, 300), (200, 5000)])
def test_counts_are_those_of_scikit_learn(classes, images):
    labels, scores = random_scores(classes, images, 3)
    expected = confusion_matrix(labels, scores.argmax(axis=1), labels=np.arange(classes))
    counts = count_predictions(scores, labels)
    assert (counts == expected).all()
    assert 100 * np.trace(counts) / images == pytest.approx(accuracy(scores, labels))


def test_counts_are_summed_over_seeds_and_pairs_are_the_largest_off_the_diagonal():
    runs = [run(*random_scores(5, 400, seed), seed=seed, names=["a", "b", "c", "d", "e"]) for seed in range(3)]
    counted = read(*runs)
    total = sum(confusion_matrix(a["labels"], a["scores"].argmax(axis=1), labels=range(5)) for _, a in runs)
    assert counted.seeds == (0, 1, 2)
    assert (counted.counts.sum(axis=0) == total).all()
    wrong = total - np.diag(np.diag(total))
    first = counted.pairs[0]
    assert first.count == wrong.max()
    assert first.count == total["abcde".index(first.true), "abcde".index(first.predicted)]
    assert first.images == total["abcde".index(first.true)].sum()
    assert [pair.count for pair in counted.pairs] == sorted((pair.count for pair in counted.pairs), reverse=True)
    assert first.share == pytest.approx(100 * first.count / first.images)
    for name, mean, low, high in counted.accuracies:
        i = "abcde".index(name)
        per_run = [100 * counts[i, i] / counts[i].sum() for counts in counted.counts]
        assert (mean, low, high) == pytest.approx((np.mean(per_run), min(per_run), max(per_run)))


def test_charts_have_the_shares_and_the_accuracies():
    counted = read(run(*random_scores(6, 300, 1), names=[f"00{i}.Black_{i}" for i in range(6)]))
    matrix, accuracies = confusion_charts(counted)
    total = counted.counts[0]
    for true, predicted, share in matrix.rows:
        i, j = int(true[-1]), int(predicted[-1])
        assert share == pytest.approx(100 * total[i, j] / total[i].sum(), rel=1e-5)
    assert len(matrix.rows) == np.count_nonzero(total)
    assert {row[0] for row in matrix.rows} == {f"Black {i}" for i in range(6)}
    assert [row[2] for row in accuracies.rows] == sorted(row[2] for row in accuracies.rows)
    pair = counted.pairs[0]
    assert f"{pair.true} is predicted as {pair.predicted}, {pair.share:.0f} %" in matrix.label


def test_of_many_classes_the_matrix_has_the_most_confused_and_the_table_all_accuracies():
    labels = np.arange(300) % 60
    scores = np.zeros((300, 60), np.float32)
    scores[np.arange(300), labels] = 1
    taken = labels == 41
    scores[taken, 57] = 2
    matrix, accuracies = confusion_charts(read(run(labels, scores)))
    names = {row[0] for row in matrix.rows} | {row[1] for row in matrix.rows}
    assert {"class 41", "class 57"} == names
    assert ("class 41", "class 57", 100) in matrix.rows
    assert "2 of 60 classes" in matrix.title
    assert len(accuracies.rows) == 60 > MAX_CLASS_LINES > MAX_MATRIX_CLASSES
    assert accuracies.rows[0] == ("class 41", 0.0, 0.0, 0.0)


def test_without_an_error_there_is_no_pair_but_a_matrix():
    counted = read(run(*random_scores(40, 400, 0, right=2.0)))
    assert counted.pairs == []
    matrix, _ = confusion_charts(counted)
    assert "No class is confused with another" in matrix.label
    assert len(matrix.rows) == MAX_MATRIX_CLASSES


def test_runs_without_scores_have_no_confusions_and_class_names_are_unique():
    labels, scores = random_scores(3, 30, 0)
    assert read_confusions([run(labels, scores)[0]], lambda record: {}) is None
    bad = scores.copy()
    bad[0, 0] = np.nan
    assert read(run(labels, bad)) is None
    assert read(run(labels, scores, names=["x", "x", "y"])).names == ("x (0)", "x (1)", "y")
    assert read(run(labels, scores, names=["x"])).names == ("class 0", "class 1", "class 2")
