"""Search for seeds of a run that are copies of each other, although the seed changes every output of an honest run."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import combinations

import numpy as np

from fgbench.judge.anomaly import Anomaly, ReadOutputs
from fgbench.judge.recomputed import depends_on_seed
from fgbench.records.output_rows import CLOSE, may_be_copies, output_rows, sketch, sketch_key
from fgbench.records.record import Record, by_identity
from fgbench.records.record_index import Recall, compute_always

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
    hide a copy. With two classes, the scale is that of the whole run, so that changed samples may hide one.

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
        for a, b in recall(key, partial(_equal_pairs, group, outputs, share, recall)):
            copies.setdefault(group[a].run_id, set()).add(group[b].seed)
            copies.setdefault(group[b].run_id, set()).add(group[a].seed)
        for run_id, seeds in copies.items():
            names = ", ".join(f"seed {seed}" for seed in sorted(seeds))
            yield run_id, Anomaly("identical", f"most test samples have the same output as in {names} of the same run")


def _equal_pairs(group: Sequence[Record], outputs: ReadOutputs, share: float, recall: Recall) -> list[list[int]]:
    """Return the pairs of records, by their places in the group, that are copies of each other.

    The arrays are read again only for pairs with similar sketches.
    """
    sketches = [recall(sketch_key(record.outputs_sha256), partial(_sketch, record, outputs)) for record in group]
    rows = lru_cache(maxsize=None)(lambda place: output_rows(outputs(group[place])))
    return [
        [a, b]
        for a, b in combinations(range(len(group)), 2)
        if group[a].split == group[b].split
        and may_be_copies(sketches[a], sketches[b], share)
        and _are_equal(rows(a), rows(b), share)
    ]


def _sketch(record: Record, outputs: ReadOutputs) -> str:
    return sketch(outputs(record))


def _are_equal(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], share: float) -> bool:
    """Return True if two runs have equal outputs for at least a share of the samples."""
    for name in a.keys() & b.keys():
        if a[name].shape != b[name].shape:
            return False
        equal = (np.abs(a[name] - b[name]) <= CLOSE).all(axis=1)
        if name == "ranks":
            with_mistake = np.nan_to_num(a[name], nan=1.0).min(axis=1) < 1
            return with_mistake.sum() >= MIN_RANKS and bool(equal[with_mistake].mean() >= RANK_SHARE)
        return bool(equal.mean() >= share)
    return False
