"""The interval beside a measured value."""

import numpy as np
import pytest
from made_records import made, of_accuracy, untrained
from scipy import stats

from fgbench.judge.seed_interval import seed_interval
from fgbench.judge.verdict import split_means


def test_several_seeds_have_the_t_interval_of_their_mean():
    values = [83.0, 84.5, 84.1]
    shown = seed_interval([of_accuracy(value, seed) for seed, value in enumerate(values)], "accuracy")
    assert shown.ends == pytest.approx(stats.t.interval(0.95, 2, np.mean(values), stats.sem(values)))
    assert shown.about == "95 % over 3 seeds"


def test_seeds_of_one_split_are_averaged_first():
    rates = {"1a": (50.0, 52.0), "2a": (60.0,), "3a": (55.0, 56.0, 57.0)}
    drawn = [(split, {"value": rate, "unit": "%", "n": 9}) for split, of_split in rates.items() for rate in of_split]
    runs = [
        made("where_to_focus/spatial_lstm_dm@viper", seed, split=split, values={"cmc@1": value})
        for seed, (split, value) in enumerate(drawn)
    ]
    shown = seed_interval(runs, "cmc@1")
    means = [51.0, 60.0, 56.0]
    assert split_means(runs, "cmc@1") == pytest.approx(means)
    assert shown.ends == pytest.approx(stats.t.interval(0.95, 2, np.mean(means), stats.sem(means)))
    assert shown.about == "95 % over 3 splits"


def test_a_percentage_has_an_interval_of_possible_values():
    assert seed_interval([of_accuracy(1.0), of_accuracy(99.0, 1)], "accuracy").ends == (0.0, 100.0)


def test_one_seed_and_a_run_without_random_numbers_have_none():
    assert seed_interval([of_accuracy(84.0)], "accuracy") == seed_interval([of_accuracy(80.0, 5)], "accuracy")
    assert seed_interval([of_accuracy(84.0)], "accuracy").about == "one seed"
    settings = untrained("bcnn/fc_cnn_d@cub").settings.model_dump(mode="json")
    fixed = [of_accuracy(70.0, seed, recipe="bcnn/fc_cnn_d@cub", settings=settings) for seed in range(2)]
    # Neither the number of records nor what they say of themselves decides.
    for records in (fixed, fixed[:1]):
        shown = seed_interval(records, "accuracy")
        assert (shown.ends, shown.about) == (None, "same for all seeds")


def test_a_value_that_a_run_lacks_has_none():
    assert seed_interval([of_accuracy(84.0)], "cmc@1").ends is None
