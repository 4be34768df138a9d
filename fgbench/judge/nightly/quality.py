"""Values of two nights: by paired tests on the same images, and never across protocols."""

from collections.abc import Iterator, Sequence

import numpy as np

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_matching import differing_settings, match_runs, run_label
from fgbench.judge.nightly.value_tests import ValuePair, compare_values
from fgbench.judge.protocol_diff import protocol_difference
from fgbench.metrics.values import Value
from fgbench.util.hashing import hash_value

ALPHA = 0.00025
"""Chance of any false alarm about quality against a baseline, of which a night has two."""
TRUTH = ("labels", "true_keypoints", "boxes", "identities", "cameras", "part_names")
"""Arrays that come from the data set: they are those of the night before, or the data are not."""
FOLLOWS = ("ap_step", "ap_trapezoid", "inp", "shot_rank")
"""Arrays that are worked out from what a method gave: where that is the same and they are not, a definition changed."""
SAME = 1e-9


def compare_quality(base: ResultsFolder, head: ResultsFolder) -> tuple[list[Finding], list[Check]]:
    """What became of every run and value of the first night in the second."""
    found = [*_broken(base, head)]
    matched = match_runs(base.records, head.records)
    found += [
        _about("was not run", run_label(record), "in the baseline, and not in this night") for record in matched.missing
    ]
    found += [_about("new", run_label(record), "not in the baseline") for record in matched.new]
    sound: dict[tuple[object, ...], list[ValuePair]] = {}
    for old, new in matched.pairs:
        pair = ValuePair(old, new, base.outputs(old), head.outputs(new))
        changed = list(_changed(pair))
        found += changed
        if not any(finding.fails for finding in changed):
            own = (
                old.recipe,
                old.profile,
                old.data,
                old.control,
                old.protocol_hash,
                hash_value(old.settings),
                old.split,
            )
            sound.setdefault(own, []).append(pair)
    checks, quiet = [], []
    for test in compare_values(list(sound.values())):
        said = f"{test.base:.2f} to {test.head:.2f} {test.unit}; {test.moved}, {test.test}"
        if test.down <= ALPHA:
            found.append(_about("worse", test.where, f"{said}, p = {test.down:.2g} among all values"))
        elif test.up <= ALPHA:
            found.append(_about("better", test.where, f"{said}, p = {test.up:.2g} among all values"))
        elif test.head != test.base:
            quiet.append((min(test.down, test.up), f"{test.where}, {said}"))
        change = f"{test.head - test.base:+.2f}" if test.head != test.base else "none"
        p = min(test.down, test.up)
        checks.append(Check("quality", test.where, f"{test.base:.2f}", f"{test.head:.2f}", change, p, test.test))
    if quiet:
        text = f"{len(quiet)} of {len(checks)} moved by no more than trainings differ; first {min(quiet)[1]}"
        found.append(_about("note", "values", text))
    return found, checks


def _about(kind: Kind, where: str, text: str) -> Finding:
    return Finding(kind, "quality", where, text)


def _broken(base: ResultsFolder, head: ResultsFolder) -> Iterator[Finding]:
    """Files that are no records, values that their outputs do not give, and what cannot be."""
    for night, kept in (("baseline", base), ("this night", head)):
        for text in kept.unreadable:
            yield _about("broken", f"{night}: {text.partition(':')[0]}", text.partition(": ")[2])
    for record in base.records:
        if says := base.wrong.get(record.run_id):
            text = f"the baseline's outputs no longer give its values; a definition changed, or the file: {_some(says)}"
            yield _about("changed", run_label(record), text)
    odd = find_anomalies(head.records, head.outputs)
    before = find_anomalies(base.records, base.outputs)
    known = {(run_label(record), anomaly.text) for record in base.records for anomaly in before.get(record.run_id, ())}
    for record in head.records:
        if says := head.wrong.get(record.run_id):
            yield _about("broken", run_label(record), _some(says))
        for anomaly in odd.get(record.run_id, ()):
            if anomaly.invalidates_run and (run_label(record), anomaly.text) not in known:
                yield _about("broken", run_label(record), f"{anomaly.kind}: {anomaly.text}")


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")


def _changed(pair: ValuePair) -> Iterator[Finding]:
    """Why the numbers of a run may not be held against those of the night before, and values that one of them lacks."""
    base, head, where = pair.base, pair.head, run_label(pair.base)
    if base.protocol_hash != head.protocol_hash:
        yield _about("changed", where, f"the protocol: {protocol_difference([[base], [head]])}")
    if other := [
        f"{field}: {a} or {b}" for field, (a, b) in differing_settings(base, head).items() if field != "protocol"
    ]:
        yield _about("changed", where, f"what is run: {_some(other)}")
    if base.split != head.split:
        yield _about("changed", where, f"the split: {base.split} or {head.split}")
    for name, value in base.values.items():
        if name not in head.values:
            yield _about("was not run", f"{where}: {name}", "in the baseline, and not in this night")
        elif value.definition != head.values[name].definition:
            said = f"{value.definition!r} or {head.values[name].definition!r}"
            yield _about("changed", f"{where}: {name}", f"the definition: {said}")
    for name in head.values:
        if name not in base.values:
            yield _about("new", f"{where}: {name}", "not in the baseline")
    yield from _arrays(pair, where)


def _arrays(pair: ValuePair, where: str) -> Iterator[Finding]:
    """Truth that changed, and values that changed although what the method gave did not."""
    before, after = pair.before, pair.after
    if not before or not after:
        yield _about("broken", where, "its per-sample outputs cannot be read")
        return
    if not _equal(before.get("ids"), after.get("ids")):
        yield _about("changed", where, "the test samples are others, or in another order")
        return
    for name in TRUTH:
        if not _equal(before.get(name), after.get(name)):
            yield _about("changed", where, f"{name} of the test samples: {_count(before.get(name), after.get(name))}")
    given = {*before, *after} - {*FOLLOWS, *TRUTH}
    if not all(_equal(before.get(name), after.get(name)) for name in given):
        return
    for name in FOLLOWS:
        if not _equal(before.get(name), after.get(name)):
            how = _count(before.get(name), after.get(name))
            yield _about("changed", f"{where}: {name}", f"the definition: the outputs are equal, and {how}")
    for name, value in pair.base.values.items():
        if name in pair.head.values and not _near(value, pair.head.values[name]):
            said = f"{value.value:.4f} or {pair.head.values[name].value:.4f} {value.unit}"
            yield _about("changed", f"{where}: {name}", f"the definition: the outputs are equal, and it is {said}")


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _count(a: np.ndarray | None, b: np.ndarray | None) -> str:
    if a is None or b is None or a.shape != b.shape:
        return "they are there in one night alone" if a is None or b is None else f"{a.shape} or {b.shape}"
    rows = (a != b).reshape(len(a), -1).any(axis=1) if a.ndim else np.atleast_1d(a != b)
    return f"{int(rows.sum())} of {len(rows)} differ"


def _near(a: Value, b: Value) -> bool:
    return abs(a.value - b.value) <= SAME and a.n == b.n
