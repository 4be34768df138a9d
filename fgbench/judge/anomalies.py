"""What is odd about records: values that cannot be, outputs of another run, chance, and more than is possible."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal

import numpy as np
from scipy import stats

from fgbench.metrics.values import AP_RULE, RANKS
from fgbench.papers.printed import Cell
from fgbench.records.record import Record
from fgbench.statistics import ALPHA
from fgbench.util.hashing import hash_value

ReadOutputs = Callable[[Record], Mapping[str, np.ndarray]]
"""Gives the per-sample arrays of a record; none where they cannot be read."""

LEAK_ALPHA = 0.001
"""Level of the test of controls: one of a thousand honest ones is called a leak."""
ROUNDING = 1e-9
"""Of intervals, which may end a last digit before 100 %."""
FAR = 5
"""Margins above the printed value from which a number is too good to be believed unseen."""
PERFECT = ("accuracy", "cmc@1", f"map/{AP_RULE}")
"""Values that are never 100 % on real data of these fields."""
DRAWS = 9999
"""Random pairings of classes in the test of a control."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something odd."""

    kind: Literal["impossible", "identical", "chance", "too good", "leak"]
    text: str

    @property
    def invalidates_run(self) -> bool:
        """True when the run cannot be right, so that its number answers nothing."""
        return self.kind in {"impossible", "identical", "leak"}


Anomalies = Mapping[str, Sequence[Anomaly]]
"""What is odd, by run id."""


def find_anomalies(records: Sequence[Record], outputs: ReadOutputs) -> dict[str, list[Anomaly]]:
    """What is odd about some records, by run id; those that are as they should be are left out.

    Args:
        records: every record at hand.
        outputs: asked for few records only: those of equal values, and controls.
    """
    found: dict[str, list[Anomaly]] = {}
    for record in records:
        for anomaly in (*impossible_values(record), *_chance(record), *_perfect(record)):
            found.setdefault(record.run_id, []).append(anomaly)
    for run_id, anomaly in (*_identical(records, outputs), *_leaks(records, outputs)):
        found.setdefault(run_id, []).append(anomaly)
    return found


def too_good(mean: float, cell: Cell) -> Anomaly | None:
    """A number so far above the printed one that a mistake is likelier than progress."""
    if mean - cell.value <= FAR * cell.margin:
        return None
    return Anomaly("too good", f"{mean - cell.value:.1f} above the printed value, over {FAR} times the margin")


def impossible_values(record: Record) -> list[Anomaly]:
    """Values that no arrays give: outside their range, or in an order that their definitions exclude."""
    wrong = []
    values = record.values
    for name, value in values.items():
        top = 100.0 if value.unit == "%" else float("inf")
        ends = [end for end in (value.low, value.high) if end is not None]
        if not isfinite(value.value) or not 0 <= value.value <= top:
            wrong.append(f"{name} is {value.value:g} {value.unit}")
        elif not all(map(isfinite, ends)) or (
            len(ends) == 2 and not ends[0] - ROUNDING <= value.value <= ends[1] + ROUNDING
        ):
            wrong.append(f"{name} is {value.value:g} {value.unit}, outside its own interval")
        elif value.n < 1:
            wrong.append(f"{name} was measured on {value.n} samples")
    wrong += [f"{low} is above {high}" for low, high in _ordered(record) if values[low].value > values[high].value]
    return [Anomaly("impossible", text) for text in wrong]


def _ordered(record: Record) -> Iterable[tuple[str, str]]:
    """Pairs of values of which the first is never above the second."""
    cmc = [f"cmc@{rank}" for rank in RANKS if f"cmc@{rank}" in record.values]
    reaches = sorted({name.partition("/")[0] for name in record.values if name.startswith("pck@")})
    parts = sorted({name.partition("/")[1] + name.partition("/")[2] for name in record.values if name[:4] == "pck@"})
    pck = [[f"{reach}{part}" for reach in reaches if f"{reach}{part}" in record.values] for part in parts]
    pairs = [pair for names in (cmc, *pck) for pair in pairwise(names)]
    if {"map/step", "map/trapezoid"} <= set(record.values):
        pairs.append(("map/trapezoid", "map/step"))
    return pairs


def _chance(record: Record) -> list[Anomaly]:
    """An accuracy not above that of guessing.

    By the one-sided exact binomial test (Conover, Practical Nonparametric Statistics, section 3.1, 1999). For rates of
    re-identification chance is not known from the record: bare colours find clothes.
    """
    value = record.values.get("accuracy")
    if value is None or not isfinite(value.value) or value.n < 1 or not 0 <= value.value <= 100 or record.control:
        return []
    classes = int(record.protocol["classes"])
    test = stats.binomtest(round(value.value * value.n / 100), value.n, 1 / classes, alternative="greater")
    if test.pvalue <= ALPHA:
        return []
    return [
        Anomaly("chance", f"{value.value:.1f} % is not above chance, {100 / classes:.1f} % (p = {test.pvalue:.2g})")
    ]


def _perfect(record: Record) -> list[Anomaly]:
    """Not a single mistake, on data that were not made here."""
    names = [name for name in PERFECT if name in record.values and record.values[name].value == 100]
    return [Anomaly("too good", f"{name} is 100 %") for name in names if not record.synthetic]


def _identical(records: Sequence[Record], outputs: ReadOutputs) -> Iterable[tuple[str, Anomaly]]:
    """Different runs that give the same for every test sample: one of them is not what it says it is."""
    equal: dict[object, list[Record]] = {}
    for record in records:
        values = tuple(sorted((name, value.value) for name, value in record.values.items()))
        equal.setdefault((record.protocol_hash, record.split, values), []).append(record)
    for group in equal.values():
        if len({_computation(record) for record in group}) < 2:
            continue
        same: dict[str, list[Record]] = {}
        for record in group:
            if print_ := _fingerprint(outputs(record), record):
                same.setdefault(print_, []).append(record)
        for alike in same.values():
            for record in alike:
                if others := [o for o in alike if _computation(o) != _computation(record)]:
                    names = ", ".join(sorted({f"{o.title}, seed {o.seed}" for o in others}))
                    yield record.run_id, Anomaly("identical", f"every test sample comes out as in {names}")


def _computation(record: Record) -> str:
    """Equal for runs that may give the same: other files can hold the same weights, and a seed is for training."""
    return hash_value([record.method, record.settings, record.seed if record.settings.get("stages") else 0])


def _fingerprint(arrays: Mapping[str, np.ndarray], record: Record) -> str:
    """Equal where all that was decided is; empty without arrays that say.

    Where nothing was got wrong, only equal scores are the same outputs.
    """
    kept = {name: arrays[name] for name in ("keypoints", "first_rank", "ap_step") if name in arrays}
    if "scores" in arrays:
        perfect = record.values["accuracy"].value == 100
        kept["scores"] = arrays["scores"] if perfect else arrays["scores"].argmax(axis=1)
    digest = hashlib.sha256()
    for name, values in kept.items():
        digest.update(f"{name} {values.shape} {values.dtype}".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest() if kept else ""


def _leaks(records: Sequence[Record], outputs: ReadOutputs) -> Iterable[tuple[str, Anomaly]]:
    """Controls that did not fall to chance, and every run of the same recipe, profile and data."""
    for control in records:
        if not control.control or "accuracy" not in control.values:
            continue
        arrays = outputs(control)
        if "scores" not in arrays:
            continue
        p = pairing_test(arrays["scores"].argmax(axis=1), arrays["labels"], int(control.protocol["classes"]))
        if p > LEAK_ALPHA:
            continue
        value = control.values["accuracy"].value
        text = f"with shuffled labels it is still right for {value:.1f} % (p = {p:.2g}): test labels leak"
        for record in records:
            if (record.recipe, record.profile, record.data) == (control.recipe, control.profile, control.data):
                yield record.run_id, Anomaly("leak", text)


def pairing_test(predicted: np.ndarray, labels: np.ndarray, classes: int, *, seed: int = 0) -> float:
    """One-sided p-value against "what is predicted has nothing to do with the class".

    The names of the predicted classes are shuffled. Unlike a binomial test it allows for images of a class being taken
    for the same class together, as they are (a permutation test: Fisher, The Design of Experiments, section 21, 1935).
    """
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (labels, predicted), 1)
    rng = np.random.default_rng(seed)
    pairings = rng.permuted(np.tile(np.arange(classes), (DRAWS, 1)), axis=1)
    hits = counts[np.arange(classes), pairings].sum(axis=1)
    return float((hits >= np.trace(counts)).sum() + 1) / (DRAWS + 1)
