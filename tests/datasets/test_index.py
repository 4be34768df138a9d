import numpy as np
import pytest

from fgbench.util.errors import ArgumentError


def test_a_limit_takes_images_of_all_classes_in_turn(birds):
    limited = birds.limited(7)
    assert limited.counts == {"train": 7, "test": 7, "classes": 3}
    for part in (limited.train, ~limited.train):
        counts = np.bincount(limited.labels[part], minlength=3)
        assert sorted(counts.tolist()) == [2, 2, 3]
    # The first images of each class, in the order of the data set.
    first = [np.flatnonzero(birds.train & (birds.labels == label))[0] for label in range(3)]
    assert set(birds.ids[first]) <= set(limited.ids)
    assert (np.diff(np.searchsorted(birds.ids, limited.ids)) > 0).all()
    assert birds.limited(1000).counts == birds.counts


def test_a_limit_below_the_number_of_classes_is_refused(birds):
    with pytest.raises(ArgumentError, match="2 images are fewer than the 3 classes"):
        birds.limited(2)
