import numpy as np
import pytest

from fgbench.datasets.bird_parts import BODY, HEAD
from fgbench.metrics.per_sample import sample_values
from fgbench.metrics.values import measure

RNG = np.random.default_rng(0)


def classified():
    return {"ids": np.arange(60), "labels": np.arange(60) % 4, "scores": RNG.normal(size=(60, 4))}


def keypoints():
    names = sorted(HEAD | BODY)
    truth = np.concatenate([RNG.random((30, len(names), 2)) * 90, RNG.random((30, len(names), 1)) < 0.7], axis=2)
    predicted = truth + RNG.normal(0, 4, truth.shape)
    predicted[..., 2] = RNG.random((30, len(names)))
    boxes = np.tile([0.0, 0.0, 100.0, 80.0], (30, 1))
    return {"ids": np.arange(30), "labels": np.zeros(30, int), "keypoints": predicted, "true_keypoints": truth,
            "boxes": boxes, "part_names": np.array(names)}  # fmt: skip


def searched(ties="mean", no_match="skip", shot=False):
    first = RNG.integers(1, 60, (40, 1)) + np.array([[0, 1]])
    ranks = first.astype(float)
    ranks[:4] = np.inf
    shares = np.where(np.isinf(ranks), np.nan, 1 / ranks)
    arrays = {
        "ids": RNG.permutation(40), "split": np.repeat(["1a", "1b"], 20), "first_rank": ranks, "ap_step": shares,
        "ap_trapezoid": shares * 0.9, "inp": shares**2, "ties": np.array(ties), "no_match": np.array(no_match),
    }  # fmt: skip
    if shot:
        arrays["shot_rank"] = np.repeat(ranks[:, None], 3, axis=1) - RNG.integers(0, 2, (40, 3, 1)) * (
            first[:, None] > 2
        )
    return arrays


CASES = {
    "classified": classified(),
    "keypoints": keypoints(),
    "searched": searched(),
    "optimistic": searched("optimistic", "zero"),
    "pessimistic": searched("pessimistic"),
    "single shot": searched("mean", "zero", shot=True),
}


@pytest.mark.parametrize("case", CASES)
def test_mean_of_the_samples_equals_the_value(case):
    arrays, compared = CASES[case], 0
    for name, value in measure(arrays).items():
        if name in {"mean_class_accuracy", "class_map"} or (name.startswith("pck") and "/" not in name):
            with pytest.raises(ValueError, match="not a mean over test samples"):
                sample_values(arrays, name)
            continue
        names, samples = sample_values(arrays, name)
        assert 100 * samples.mean() == pytest.approx(value.value, abs=1e-9)
        assert len(names) == len(samples) == value.n
        assert len(set(names.tolist())) == len(names)
        compared += 1
    assert compared >= 1


def test_query_names_contain_the_split():
    names, _ = sample_values(searched(no_match="zero"), "cmc@1")
    assert {name.split()[0] for name in names.tolist()} == {"1a", "1b"}


def test_values_without_samples_raise():
    with pytest.raises(ValueError, match="not a mean over test samples"):
        sample_values(classified(), "attention/box")
    with pytest.raises(ValueError, match="lack 'first_rank', which cmc@1 needs"):
        sample_values(classified(), "cmc@1")
