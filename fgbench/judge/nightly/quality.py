"""Compare the values of two nights by paired tests on the same images; different protocols are never compared."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.nightly.class_tests import compare_classes
from fgbench.judge.nightly.findings import Check, Finding, Kind
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_matching import match_runs, named_runs, weight_files
from fgbench.judge.nightly.run_names import MISSING, differing_settings, run_label
from fgbench.judge.nightly.run_rows import RunRows, ValuePair, read_rows
from fgbench.judge.nightly.run_surroundings import surroundings_note
from fgbench.judge.nightly.spread_tests import compare_spreads
from fgbench.judge.nightly.value_tests import ValueTest, compare_values
from fgbench.judge.protocol_diff import protocol_difference
from fgbench.metrics.values import Value
from fgbench.util.counted import counted

ACCEPT = "an unexplained gain fails, since it may be a leak; if it is intended: fgbench nightly --accept"
"""What to do about a value that is better."""
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
    if text := surroundings_note(matched.pairs):
        findings.append(_about("note", "code and machine", text))
    # Runs that may be compared.
    comparable: dict[str, ValuePair] = {}
    for old, new in matched.pairs:
        pair = ValuePair(old, new, base.outputs(old), head.outputs(new))
        changed = list(_changed(pair))
        findings += changed
        if not any(finding.fails for finding in changed):
            comparable[old.run_id] = pair
    named = named_runs(pair.base for pair in comparable.values())
    runs = [read_rows(label, [comparable[record.run_id] for record in seeds]) for label, seeds in named.items()]
    found, checks = compare_runs(runs)
    return [*findings, *found], checks


def compare_runs(runs: Sequence[RunRows]) -> tuple[list[Finding], list[Check]]:
    """Return the findings and checks of values, of single classes, and of the spread over seeds.

    Args:
        runs: the runs that may be compared.
    """
    values, classes, spreads = compare_values(runs), compare_classes(runs), compare_spreads(runs)
    findings = [finding for test in (*values, *classes) if (finding := _finding(test))]
    findings += [replace(finding, second_look=True) for test in spreads if (finding := _finding(test))]
    if note := _small_changes(values):
        findings.append(note)
    return findings, [_check(test) for test in (*values, *classes, *spreads)]


def _finding(test: ValueTest) -> Finding | None:
    """Return the finding of a test; None if its p-values are not small."""
    text = _change(test)
    if test.down <= test.level:
        return _about("worse", test.where, f"{text}, p = {test.down:.2g} adjusted for all runs")
    if test.up <= test.level:
        return _about("better", test.where, f"{text}, p = {test.up:.2g} adjusted for all runs; {ACCEPT}")
    return None


def _change(test: ValueTest) -> str:
    return f"{test.base:.2f} to {test.head:.2f} {test.unit}; {test.detail}, {test.test}"


def _small_changes(values: Sequence[ValueTest]) -> Finding | None:
    """Return a note on the values that changed without a finding."""
    small = [
        (min(test.down, test.up), f"{test.where}, {_change(test)}")
        for test in values
        if test.head != test.base and min(test.down, test.up) > test.level
    ]
    if not small:
        return None
    text = (
        f"{len(small)} of {len(values)} values changed within the variation between trainings or by a few images; "
        f"the one with the smallest p-value is {min(small)[1]}"
    )
    return _about("note", "values", text)


def _check(test: ValueTest) -> Check:
    change = f"{test.head - test.base:+.2f}" if test.head != test.base else "none"
    p = min(test.down, test.up)
    return Check("quality", test.where, f"{test.base:.2f}", f"{test.head:.2f}", change, p, test.test, test.detectable)


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
    anomalies = find_anomalies(head.records, head.outputs, head.wrong)
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
    if weights := [
        f"{stream}: file {sha[:12]} or {weight_files(head).get(stream, MISSING)[:12]}"
        for stream, sha in (dict.fromkeys(weight_files(head), MISSING) | weight_files(base)).items()
        if weight_files(head).get(stream, MISSING) != sha
    ]:
        yield _about("changed", where, f"the weights differ: {_some(weights)}")
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
