"""Anomalies of records: impossible values, outputs of another run, chance level, leaking labels, missing seeds."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import isfinite
from typing import Any, Literal

import numpy as np
from scipy import special

from fgbench.judge.anomaly import Anomaly, Kind, ReadOutputs
from fgbench.judge.copied_seeds import copied_seeds
from fgbench.judge.recomputed import depends_on_seed
from fgbench.judge.seed_checks import seed_anomalies
from fgbench.judge.start_anomalies import start_anomalies
from fgbench.metrics.values import AP_RULE, RANKS
from fgbench.papers.printed import Cell
from fgbench.records.deviations import ROUNDING as ROUNDING_SETTINGS
from fgbench.records.output_fingerprint import fingerprint
from fgbench.records.recompression import plain_settings
from fgbench.records.record import Record
from fgbench.records.record_index import Recall, compute_always
from fgbench.statistics import ALPHA

LEAK_ALPHA = 0.001
"""Level of the test of control runs: one in a thousand correct ones is reported as a leak."""
ROUNDING = 1e-9
"""Rounding error of the ends of intervals: an upper end can be the next float below 100 %."""
TOO_GOOD_MARGINS = 5
"""A value that is more than this number of margins above the printed one is reported as too good."""
NEVER_PERFECT = ("accuracy", "cmc@1", f"map/{AP_RULE}")
"""Values that never reach 100 % on the real data sets."""
PERMUTATIONS = 9999
"""Number of random permutations of the classes in the test of a control run."""


def find_anomalies(
    records: Sequence[Record],
    outputs: ReadOutputs,
    unusable: Collection[str] = (),
    recall: Recall = compute_always,
) -> dict[str, list[Anomaly]]:
    """Return the anomalies of records by run id; a record without anomalies has no entry.

    Args:
        records: all available records.
        outputs: returns the per-sample arrays of a record; called for runs with several seeds, for records with equal
            values and an unknown fingerprint, and for control runs.
        unusable: ids of runs whose records are in the same folder, but cannot be used (`Store.unusable_ids`).
        recall: returns what was computed from the same arrays before (`Store.remembering`).
    """
    anomalies: dict[str, list[Anomaly]] = {}
    for record in records:
        # The seal is of all fields of a record. A record of schema 1 has none.
        compute = partial(_of_values, record)
        texts = recall(f"values {record.seal}", compute) if record.sealed else compute()
        if texts:
            anomalies[record.run_id] = [Anomaly(kind, text) for kind, text in texts]
    for run_id, anomaly in (
        *_identical(records, outputs),
        *copied_seeds(records, outputs, recall),
        *_leaks(records, outputs, recall),
        *seed_anomalies(records),
    ):
        anomalies.setdefault(run_id, []).append(anomaly)
    for run_id, anomaly in [*start_anomalies(records, unusable, anomalies)]:
        anomalies.setdefault(run_id, []).append(anomaly)
    return anomalies


def _of_values(record: Record) -> list[tuple[Kind, str]]:
    """Return kind and text of each anomaly of the values of one record."""
    record = record.for_one_use()
    found = (*impossible_values(record), *_at_chance(record), *_perfect(record))
    return [(anomaly.kind, anomaly.text) for anomaly in found]


def too_good(mean: float, cell: Cell) -> Anomaly | None:
    """Return an anomaly if the mean is so far above the printed value that a mistake is likely."""
    if mean - cell.value <= TOO_GOOD_MARGINS * cell.margin:
        return None
    text = f"the mean is {mean - cell.value:.1f} above the printed value, more than {TOO_GOOD_MARGINS} times the margin"
    return Anomaly("too good", text)


def impossible_values(record: Record) -> list[Anomaly]:
    """Return an anomaly for each value that is outside its range or contradicts another value by definition."""
    texts = []
    values = record.values
    for name, value in values.items():
        top = 100.0 if value.unit == "%" else float("inf")
        ends = [end for end in (value.low, value.high) if end is not None]
        if not isfinite(value.value) or not 0 <= value.value <= top:
            texts.append(f"{name} is {value.value:g} {value.unit}, outside its range")
        elif not all(map(isfinite, ends)) or (
            len(ends) == 2 and not ends[0] - ROUNDING <= value.value <= ends[1] + ROUNDING
        ):
            texts.append(f"{name} is {value.value:g} {value.unit}, outside its own confidence interval")
        elif value.n < 1:
            texts.append(f"{name} was measured on {value.n} samples")
    texts += [f"{low} is above {high}" for low, high in _ordered(record) if values[low].value > values[high].value]
    return [Anomaly("impossible", text) for text in texts]


def _ordered(record: Record) -> Iterable[tuple[str, str]]:
    """Return pairs of names of values; the first value of a pair is never above the second."""
    if not any(name.startswith(("cmc@", "pck@", "map/")) for name in record.values):
        return []
    cmc = [f"cmc@{rank}" for rank in RANKS if f"cmc@{rank}" in record.values]
    alphas = sorted({name.partition("/")[0] for name in record.values if name.startswith("pck@")})
    parts = sorted({name.partition("/")[1] + name.partition("/")[2] for name in record.values if name[:4] == "pck@"})
    pck = [[f"{alpha}{part}" for alpha in alphas if f"{alpha}{part}" in record.values] for part in parts]
    pairs = [pair for names in (cmc, *pck) for pair in pairwise(names)]
    if {"map/step", "map/trapezoid"} <= set(record.values):
        pairs.append(("map/trapezoid", "map/step"))
    return pairs


def _at_chance(record: Record) -> list[Anomaly]:
    """Return an anomaly if the accuracy is not significantly above chance level.

    The test is the one-sided exact binomial test (Conover, Practical Nonparametric Statistics, section 3.1, 1999).
    Re-identification is not tested: its chance level is not known from the record, since clothes have colours.
    """
    value = record.values.get("accuracy")
    if value is None or not isfinite(value.value) or value.n < 1 or not 0 <= value.value <= 100 or record.control:
        return []
    classes = int(record.protocol["classes"])
    # The probability of at least this number of hits.
    p = float(special.bdtrc(round(value.value * value.n / 100) - 1, value.n, 1 / classes))
    if p <= ALPHA:
        return []
    text = f"accuracy {value.value:.1f} % is not above the chance level of {100 / classes:.1f} % (p = {p:.2g})"
    return [Anomaly("chance", text)]


def _perfect(record: Record) -> list[Anomaly]:
    """Return an anomaly for each value of 100 % on real data."""
    names = [name for name in NEVER_PERFECT if name in record.values and record.values[name].value == 100]
    return [Anomaly("too good", f"{name} is 100 %") for name in names if not record.synthetic]


def _identical(records: Sequence[Record], outputs: ReadOutputs) -> Iterable[tuple[str, Anomaly]]:
    """Yield an anomaly for each of several different computations with the same output for every test sample.

    Predictions from outside that equal those of a run of fgbench say nothing against the run. They are named as a copy.
    """
    # Only records with equal values can have equal outputs, so that arrays are read for few fingerprints.
    equal_values: dict[object, list[Record]] = {}
    for record in records:
        equal_values.setdefault((record.protocol_hash, record.split, record.values_key), []).append(record)
    for group in equal_values.values():
        is_known = all(record.fingerprint is not None for record in group)
        if len(group) < 2 or (not is_known and len({_computation(record) for record in group}) < 2):
            continue
        equal_outputs: dict[str, list[Record]] = {}
        for record in group:
            found = fingerprint(outputs(record)) if record.fingerprint is None else record.fingerprint
            if found:
                equal_outputs.setdefault(found, []).append(record)
        for alike in equal_outputs.values():
            if len({_computation(record) for record in alike}) < 2:
                continue
            runs = [record for record in alike if record.external is None]
            for record in alike:
                kind: Literal["identical", "copy"] = "copy" if record.external else "identical"
                if others := [other for other in runs if record.external or _may_differ(record, other)]:
                    names = ", ".join(sorted({f"{other.title}, seed {other.seed}" for other in others}))
                    yield record.run_id, Anomaly(kind, f"every test sample has the same output as in {names}")


def _may_differ(a: Record, b: Record) -> bool:
    """Return True for two different computations; seeds of one run are compared by `copied_seeds`.

    A further compression or another rounding may change no prediction.
    """
    if _computation(a) == _computation(b):
        return False
    kinds = [(record.method, _without_rounding(plain_settings(record))) for record in (a, b)]
    return kinds[0] != kinds[1]


def _without_rounding(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ROUNDING_SETTINGS}


def _computation(record: Record) -> tuple[str, str, int]:
    """Return a key that is equal for runs that may have equal outputs.

    It leaves out the weight files, since two files can contain the same weights, and the seed if no value depends on
    it.
    """
    return record.method, record.settings_text, record.seed if depends_on_seed(record) else 0


def _leaks(records: Sequence[Record], outputs: ReadOutputs, recall: Recall) -> Iterable[tuple[str, Anomaly]]:
    """Yield an anomaly for each control run above chance level, and for all runs of its recipe, profile and data."""
    for control in records:
        if not control.control or "accuracy" not in control.values:
            continue
        key = f"pairing test {control.outputs_sha256} {control.protocol['classes']}"
        p = recall(key, partial(_control_p, control, outputs))
        if p is None or p > LEAK_ALPHA:
            continue
        value = control.values["accuracy"].value
        text = f"with shuffled training labels the accuracy is still {value:.1f} % (p = {p:.2g}), so test labels leak"
        for record in records:
            if (record.recipe, record.profile, record.data) == (control.recipe, control.profile, control.data):
                yield record.run_id, Anomaly("leak", text)


def _control_p(control: Record, outputs: ReadOutputs) -> float | None:
    """Return the p-value of the test of a control run; None without scores."""
    arrays = outputs(control)
    if "scores" not in arrays:
        return None
    return pairing_test(arrays["scores"].argmax(axis=1), arrays["labels"], int(control.protocol["classes"]))


def pairing_test(predicted: np.ndarray, labels: np.ndarray, classes: int, *, seed: int = 0) -> float:
    """Return the one-sided p-value of the hypothesis that predictions are independent of the classes.

    The test permutes the names of the predicted classes (a permutation test: Fisher, The Design of Experiments,
    section 21, 1935). Unlike a binomial test, it allows that all images of a class are predicted as the same class.

    Args:
        predicted: (N,) predicted classes.
        labels: (N,) true classes.
        classes: number of classes.
        seed: of the permutations.
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    rng = np.random.default_rng(seed)
    pairings = rng.permuted(np.tile(np.arange(classes), (PERMUTATIONS, 1)), axis=1)
    hits = counts[np.arange(classes), pairings].sum(axis=1)
    return float((hits >= np.trace(counts)).sum() + 1) / (PERMUTATIONS + 1)
