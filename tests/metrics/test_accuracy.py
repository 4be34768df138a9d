import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from fgbench.metrics.accuracy import accuracy, mean_class_accuracy


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(200, 7)), rng.integers(0, 5, 200)
    predicted = scores.argmax(1)
    assert accuracy(scores, labels) == pytest.approx(100 * accuracy_score(labels, predicted))
    keep = np.isin(predicted, np.unique(labels))
    assert keep.any()
    expected = np.mean([np.mean(predicted[labels == k] == k) for k in range(5)])
    assert mean_class_accuracy(scores, labels) == pytest.approx(100 * expected)
    scores = scores[:, :5]
    expected = 100 * balanced_accuracy_score(labels, scores.argmax(1))
    assert mean_class_accuracy(scores, labels) == pytest.approx(expected)


def test_a_tie_goes_to_the_lower_class():
    assert accuracy(np.array([[1.0, 1.0]]), np.array([0])) == 100
    assert accuracy(np.array([[1.0, 1.0]]), np.array([1])) == 0


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "accuracy needs scores"),
        (np.zeros((2, 2)), np.zeros(3, int), "accuracy needs scores"),
        (np.zeros((2, 2)), np.array([0, 2]), "outside 0 ... 1"),
        (np.array([[0, 1.0], [np.nan, 0]]), np.array([0, 1]), "sample 1 are not finite"),
    ],
)
def test_wrong_arguments_raise(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        accuracy(scores, labels)
