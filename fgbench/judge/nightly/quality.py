"""Compare the values of two nights by paired tests on the same images; different protocols are never compared."""

from collections.abc import Iterator, Sequence

import numpy as np

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_matching import differing_settings, match_runs, run_label
from fgbench.judge.nightly.value_tests import ValuePair, compare_values
from fgbench.judge.protocol_diff import protocol_difference
from fgbench.metrics.values import Value
from fgbench.util.counted import counted
from fgbench.util.hashing import hash_value

ALPHA = 0.00025
"""Probability of a false alarm on any value against one baseline; a night is compared with two baselines."""
TRUTH = ("labels", "true_keypoints", "boxes", "identities", "cameras", "part_names")
"""Arrays that come from the data set; if they differ, the data differ."""
DERIVED = ("ap_step", "ap_trapezoid", "inp", "shot_rank")
"""Arrays that metrics compute from outputs; if only they differ, a definition changed."""
TOLERANCE = 1e-9
"""Values that differ by less are equal."""


def compare_quality(base: ResultsFolder, head: ResultsFolder) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of the values of two nights.

    Args:
        base: the baseline.
        head: the judged night.
    """
    # Runs that cannot be read, are missing, or are new.
    findings = [*_broken(base, head)]
    matched = match_runs(base.records, head.records)
    findings += [
        _about("was not run", run_label(record), "in the baseline but not in this night") for record in matched.missing
    ]
    findings += [_about("new", run_label(record), "not in the baseline") for record in matched.new]
    # Runs that may be compared, grouped by everything but the seed.
    comparable: dict[tuple[object, ...], list[ValuePair]] = {}
    for old, new in matched.pairs:
        pair = ValuePair(old, new, base.outputs(old), head.outputs(new))
        changed = list(_changed(pair))
        findings += changed
        if not any(finding.fails for finding in changed):
            run = (
                old.recipe,
                old.profile,
                old.data,
                old.control,
                old.protocol_hash,
                hash_value(old.settings),
                old.split,
            )
            comparable.setdefault(run, []).append(pair)
    # The test of each value.
    checks, small = [], []
    for test in compare_values(list(comparable.values())):
        change_text = f"{test.base:.2f} to {test.head:.2f} {test.unit}; {test.moved}, {test.test}"
        if test.down <= ALPHA:
            findings.append(_about("worse", test.where, f"{change_text}, p = {test.down:.2g} adjusted for all values"))
        elif test.up <= ALPHA:
            findings.append(_about("better", test.where, f"{change_text}, p = {test.up:.2g} adjusted for all values"))
        elif test.head != test.base:
            small.append((min(test.down, test.up), f"{test.where}, {change_text}"))
        change = f"{test.head - test.base:+.2f}" if test.head != test.base else "none"
        p = min(test.down, test.up)
        checks.append(Check("quality", test.where, f"{test.base:.2f}", f"{test.head:.2f}", change, p, test.test))
    if small:
        text = (
            f"{len(small)} of {len(checks)} values changed within the variation between trainings; "
            f"the one with the smallest p-value is {min(small)[1]}"
        )
        findings.append(_about("note", "values", text))
    return findings, checks


def _about(kind: Kind, where: str, text: str) -> Finding:
    return Finding(kind, "quality", where, text)


def _broken(base: ResultsFolder, head: ResultsFolder) -> Iterator[Finding]:
    """Yield unreadable records, values that differ from their outputs, and anomalies that invalidate a run."""
    for night, kept in (("baseline", base), ("this night", head)):
        for text in kept.unreadable:
            yield _about("broken", f"{night}: {text.split()[0].rstrip(':')}", text)
        if unsealed := sum(not record.sealed for record in kept.records):
            text = f"{counted(unsealed, 'record')} without a seal, in which only edits of values are found"
            yield _about("note", f"{night}: seals", text)
    for record in base.records:
        if errors := base.wrong.get(record.run_id):
            text = f"its outputs no longer yield its values, since a definition or the file changed: {_some(errors)}"
            yield _about("changed", run_label(record), f"in the baseline {text}")
    anomalies = find_anomalies(head.records, head.outputs)
    before = find_anomalies(base.records, base.outputs)
    known = {(run_label(record), anomaly.text) for record in base.records for anomaly in before.get(record.run_id, ())}
    for record in head.records:
        if errors := head.wrong.get(record.run_id):
            yield _about("broken", run_label(record), _some(errors))
        for anomaly in anomalies.get(record.run_id, ()):
            if anomaly.invalidates_run and (run_label(record), anomaly.text) not in known:
                yield _about("broken", run_label(record), f"{anomaly.kind}: {anomaly.text}")


def _some(lines: Sequence[str]) -> str:
    return "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")


def _changed(pair: ValuePair) -> Iterator[Finding]:
    """Yield the reasons why the values of a run may not be compared, and the values that one night lacks."""
    base, head, where = pair.base, pair.head, run_label(pair.base)
    if base.protocol_hash != head.protocol_hash:
        yield _about("changed", where, f"the protocol differs: {protocol_difference([[base], [head]])}")
    if settings := [
        f"{field}: {a} or {b}" for field, (a, b) in differing_settings(base, head).items() if field != "protocol"
    ]:
        yield _about("changed", where, f"the settings differ: {_some(settings)}")
    if base.split != head.split:
        yield _about("changed", where, f"the split differs: {base.split} or {head.split}")
    for name, value in base.values.items():
        if name not in head.values:
            yield _about("was not run", f"{where}: {name}", "in the baseline but not in this night")
        elif value.definition != head.values[name].definition:
            definitions = f"{value.definition!r} or {head.values[name].definition!r}"
            yield _about("changed", f"{where}: {name}", f"the definition differs: {definitions}")
    for name in head.values:
        if name not in base.values:
            yield _about("new", f"{where}: {name}", "not in the baseline")
    yield from _arrays(pair, where)


def _arrays(pair: ValuePair, where: str) -> Iterator[Finding]:
    """Yield changed ground truth, and derived arrays and values that changed although the outputs are equal."""
    before, after = pair.before, pair.after
    if not _equal(before.get("ids"), after.get("ids")):
        yield _about("changed", where, "the test samples or their order differ")
        return
    for name in TRUTH:
        if not _equal(before.get(name), after.get(name)):
            yield _about("changed", where, f"{name} of the test samples: {_count(before.get(name), after.get(name))}")
    outputs = {*before, *after} - {*DERIVED, *TRUTH}
    if not all(_equal(before.get(name), after.get(name)) for name in outputs):
        return
    for name in DERIVED:
        if not _equal(before.get(name), after.get(name)):
            count = _count(before.get(name), after.get(name))
            yield _about("changed", f"{where}: {name}", f"the definition changed: the outputs are equal, but {count}")
    for name, value in pair.base.values.items():
        if name in pair.head.values and not _near(value, pair.head.values[name]):
            values = f"{value.value:.4f} or {pair.head.values[name].value:.4f} {value.unit}"
            yield _about(
                "changed",
                f"{where}: {name}",
                f"the definition changed: the outputs are equal, but the value is {values}",
            )


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _count(a: np.ndarray | None, b: np.ndarray | None) -> str:
    if a is None or b is None or a.shape != b.shape:
        return "one night lacks them" if a is None or b is None else f"the shape is {a.shape} or {b.shape}"
    rows = (a != b).reshape(len(a), -1).any(axis=1) if a.ndim else np.atleast_1d(a != b)
    return f"{int(rows.sum())} of {len(rows)} differ"


def _near(a: Value, b: Value) -> bool:
    return abs(a.value - b.value) <= TOLERANCE and a.n == b.n
