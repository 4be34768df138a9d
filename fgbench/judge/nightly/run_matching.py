"""Match the runs of two nights by what was run, not by the code that ran it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fgbench.judge.nightly.run_names import differing_settings, run_label
from fgbench.records.record import Record
from fgbench.util.hashing import hash_value

Key = tuple[str, str, str, bool, int]
"""Recipe, profile with the name of a result from outside, data set, whether it is a control, seed."""


@dataclass(frozen=True, slots=True)
class MatchedRuns:
    """The runs of two nights."""

    pairs: tuple[tuple[Record, Record], ...]
    """Equal runs of both nights."""
    missing: tuple[Record, ...]
    """Runs of the first night only."""
    new: tuple[Record, ...]
    """Runs of the second night only."""


def run_key(record: Record) -> Key:
    """Return a key that is equal for the same run in two nights; it does not depend on code, libraries or machine."""
    profile = f"{record.profile} {record.external.name}" if record.external else record.profile
    return record.recipe, profile, record.data, record.control, record.seed


def small_network_hashes(record: Record) -> dict[str, str]:
    """Return the hashes of the weight files of the small networks of `quick`, by stream."""
    return {entry.stream: entry.sha256 for entry in record.weights if entry.stream.startswith("tiny_")}


def weight_files(record: Record) -> dict[str, str]:
    """Return the hashes of the weight files of a run, by stream; without the small networks of `quick`."""
    return {entry.stream: entry.sha256 for entry in record.weights if not entry.stream.startswith("tiny_")}


def match_runs(base: Sequence[Record], head: Sequence[Record]) -> MatchedRuns:
    """Return pairs of runs with equal keys; runs that differ in the fewest settings are paired first."""
    head_runs, base_runs = latest_runs(head), latest_runs(base)
    keys = dict.fromkeys(map(run_key, (*base_runs, *head_runs)))
    pairs: list[tuple[Record, Record]] = []
    missing: list[Record] = []
    new: list[Record] = []
    for key in keys:
        before = [record for record in base_runs if run_key(record) == key]
        after = [record for record in head_runs if run_key(record) == key]
        while before and after:
            distances = ((_distance(a, b), i, k) for i, a in enumerate(before) for k, b in enumerate(after))
            _, i, k = min(distances)
            pairs.append((before.pop(i), after.pop(k)))
        missing += before
        new += after
    return MatchedRuns(tuple(pairs), tuple(missing), tuple(new))


def _distance(a: Record, b: Record) -> tuple[int, bool]:
    """Return the number of settings in which two runs differ, and whether their weight files differ."""
    return len(differing_settings(a, b)), weight_files(a) != weight_files(b)


def latest_runs(records: Iterable[Record]) -> list[Record]:
    """Return the latest record of each run, since a run is repeated after a change of the code."""
    latest: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: str(record.provenance.get("finished", ""))):
        latest[hash_value([*run_key(record), *_variant(record)])] = record
    return sorted(latest.values(), key=run_key)


def named_runs(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Return the latest records by the name of their run; the seeds of a run are one entry.

    Two runs that differ in their settings or protocol never share a name: if a name is not enough to tell them apart,
    hashes of both are added.
    """
    runs: dict[str, list[Record]] = {}
    for record in latest_runs(records):
        runs.setdefault(hash_value([*run_key(record)[:-1], *_variant(record)]), []).append(record)
    labels = [run_label(*seeds) for seeds in runs.values()]
    return {
        label if labels.count(label) == 1 else f"{label} [{seeds[0].protocol_hash[:8]} {variant[:8]}]": seeds
        for label, (variant, seeds) in zip(labels, runs.items(), strict=True)
    }


def _variant(record: Record) -> tuple[object, ...]:
    """Return what tells apart two runs of a recipe under a profile on the same data."""
    return record.protocol_hash, record.settings, record.split, sorted(weight_files(record).items())
