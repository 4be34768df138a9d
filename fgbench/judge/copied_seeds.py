"""Search for seeds of a run that are copies of each other, although the seed changes every output of an honest run."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from fgbench.judge.anomaly import Anomaly, ReadOutputs
from fgbench.judge.recomputed import depends_on_seed
from fgbench.records.record import Record, by_identity
from fgbench.records.record_index import Recall, compute_always

CLOSE = 1e-3
"""Two normalised outputs of a sample that differ by less are equal. Seeds of honest runs differ by 0.01 and more."""
SHARE = 0.5
"""Share of samples with equal outputs from which on two seeds are copies; 0.9 for ranks, which are often equal."""
RANK_SHARE = 0.9
MIN_RANKS = 10
"""Smallest number of queries with a mistake that a comparison of ranks needs."""


def copied_seeds(
    records: Sequence[Record], outputs: ReadOutputs, recall: Recall = compute_always
) -> Iterable[tuple[str, Anomaly]]:
    """Yield an anomaly for each record of which another seed of the same run is a copy.

    The order of the samples, the scale and precision of scores, further arrays and a minority of changed samples do not
    hide a copy.

    Two files of labels alone are copies only if all labels are equal: good methods agree on most images.

    Args:
        records: all available records.
        outputs: is called for each record of a run with several seeds.
        recall: returns what was computed from the same arrays before (`Store.remembering`).
    """
    for group in by_identity(records):
        if len(group) < 2 or not depends_on_seed(group[0]):
            continue
        labels_alone = group[0].external is not None and group[0].external.answers == "labels"
        share = 1.0 if labels_alone else SHARE
        key = f"copied seeds {share} {[(record.outputs_sha256, record.split) for record in group]}"
        copies: dict[str, set[int]] = {}
        for a, b in recall(key, partial(_equal_pairs, group, outputs, share)):
            copies.setdefault(group[a].run_id, set()).add(group[b].seed)
            copies.setdefault(group[b].run_id, set()).add(group[a].seed)
        for run_id, seeds in copies.items():
            names = ", ".join(f"seed {seed}" for seed in sorted(seeds))
            yield run_id, Anomaly("identical", f"most test samples have the same output as in {names} of the same run")


def _equal_pairs(group: Sequence[Record], outputs: ReadOutputs, share: float) -> list[list[int]]:
    """Return the pairs of records, by their places in the group, that are copies of each other."""
    arrays = [_comparable(outputs(record)) for record in group]
    return [
        [a, b]
        for a, b in combinations(range(len(group)), 2)
        if group[a].split == group[b].split and _are_equal(arrays[a], arrays[b], share)
    ]


def _comparable(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one row of outputs for each test sample, in the order of the ids, scores without their scale."""
    if "ids" not in arrays:
        return {}
    order = np.argsort(arrays["ids"], kind="stable")
    if "scores" in arrays:
        scores = arrays["scores"][order].astype(np.float64)
        centred = scores - scores.mean(axis=1, keepdims=True)
        spread = np.sqrt(np.einsum("nc,nc->n", centred, centred) / centred.shape[1])
        return {"scores": centred / np.maximum(spread, np.finfo(float).tiny)[:, None]}
    if "keypoints" in arrays:
        return {"keypoints": arrays["keypoints"][order].astype(np.float64).reshape(len(order), -1)}
    return {"ranks": arrays["ap_step"][order]} if "ap_step" in arrays else {}


def _are_equal(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], share: float) -> bool:
    """Return True if two runs have equal outputs for at least a share of the samples."""
    for name in a.keys() & b.keys():
        if a[name].shape != b[name].shape:
            return False
        equal = (np.abs(a[name] - b[name]) <= CLOSE).all(axis=1)
        if name == "ranks":
            equal |= np.isnan(a[name]).all(axis=1) & np.isnan(b[name]).all(axis=1)
            with_mistake = np.nan_to_num(a[name], nan=1.0).min(axis=1) < 1
            return with_mistake.sum() >= MIN_RANKS and bool(equal[with_mistake].mean() >= RANK_SHARE)
        return bool(equal.mean() >= share)
    return False
