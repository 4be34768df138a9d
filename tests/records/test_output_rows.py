"""Sketches of outputs: a copy has a similar one, another run has another one."""

from itertools import product

import numpy as np
import pytest

from fgbench.judge.copied_seeds import SHARE, _are_equal
from fgbench.records.output_rows import CLOSE, may_be_copies, output_rows, sketch

SAMPLES = 200


def scores_of(seed, classes):
    rng = np.random.default_rng(seed)
    return {"ids": np.arange(SAMPLES), "scores": rng.normal(size=(SAMPLES, classes)).astype(np.float32)}


def keypoints_of(seed, parts):
    rng = np.random.default_rng(seed)
    return {"ids": np.arange(SAMPLES), "keypoints": rng.uniform(-5, 900, (SAMPLES, parts, 3))}


RUNS = {"scores": scores_of, "keypoints": keypoints_of}
CASES = [*product(RUNS, (2, 15, 200))]


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_a_copy_has_a_similar_sketch(kind, size):
    arrays, other = RUNS[kind](0, size), RUNS[kind](1, size)
    rng = np.random.default_rng(2)
    order = rng.permutation(SAMPLES)
    changed = arrays[kind].copy()
    changed[: SAMPLES // 2] = other[kind][: SAMPLES // 2]
    moved = arrays[kind].astype(np.float64) + rng.uniform(-0.4 * CLOSE, 0.4 * CLOSE, arrays[kind].shape)
    copies = {
        "the same": arrays[kind],
        "some samples changed": changed,
        "moved by less than the tolerance": moved,
        "half precision": arrays[kind].astype(np.float16) if kind == "scores" else arrays[kind].astype(np.float32),
    }
    if (kind, size) == ("scores", 2):
        del copies["some samples changed"]  # the scale of two scores is that of the whole run, which changes
    if kind == "scores":
        copies["other scale"] = 3 * arrays[kind] + 7
    for name, values in copies.items():
        copy = {"ids": arrays["ids"][order], kind: values[order]}
        if _are_equal(output_rows(arrays), output_rows(copy), SHARE):
            assert may_be_copies(sketch(arrays), sketch(copy), SHARE), name
        else:
            assert name == "half precision"  # it may round by more than the tolerance


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_other_outputs_have_another_sketch(kind, size):
    first, second = RUNS[kind](0, size), RUNS[kind](1, size)
    assert not may_be_copies(sketch(first), sketch(second), SHARE)
    assert not _are_equal(output_rows(first), output_rows(second), SHARE)
    fewer = {name: values[1:] for name, values in RUNS[kind](0, size).items()}
    assert not may_be_copies(sketch(RUNS[kind](0, size)), sketch(fewer), SHARE)


def test_ranks_have_no_sketch_and_may_be_copies():
    ranks = {"ids": np.arange(3), "ap_step": np.ones((3, 2))}
    assert sketch(ranks) == ""
    assert may_be_copies("", "", SHARE)
    assert not may_be_copies("", sketch(scores_of(0, 3)), SHARE)
