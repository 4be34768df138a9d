import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from fgbench.metrics.accuracy import accuracy, mean_class_accuracy
from fgbench.util.errors import FgbenchError


def test_equal_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(200, 7)), rng.integers(0, 5, 200)
    predicted = scores.argmax(1)
    assert accuracy(scores, labels) == pytest.approx(100 * accuracy_score(labels, predicted))
    keep = np.isin(predicted, np.unique(labels))
    assert keep.any()
    expected = np.mean([np.mean(predicted[labels == k] == k) for k in range(5)])
    assert mean_class_accuracy(scores, labels) == pytest.approx(100 * expected)
    only = scores[:, :5]
    assert mean_class_accuracy(only, labels) == pytest.approx(100 * balanced_accuracy_score(labels, only.argmax(1)))


def test_a_tie_goes_to_the_lower_class():
    assert accuracy(np.array([[1.0, 1.0]]), np.array([0])) == 100
    assert accuracy(np.array([[1.0, 1.0]]), np.array([1])) == 0


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "accuracy of scores"),
        (np.zeros((2, 2)), np.zeros(3, int), "accuracy of scores"),
        (np.zeros((2, 2)), np.array([0, 2]), "outside 0 ... 1"),
        (np.array([[0, 1.0], [np.nan, 0]]), np.array([0, 1]), "sample 1 are not finite"),
    ],
)
def test_nonsense_is_refused(scores, labels, says):
    with pytest.raises(FgbenchError, match=says):
        accuracy(scores, labels)
