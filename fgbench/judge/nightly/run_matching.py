"""Match the runs of two nights by what was run, not by the code that ran it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fgbench.records.record import Record
from fgbench.util.hashing import hash_value

Key = tuple[str, str, str, bool, int]
"""Recipe, profile, data set, whether it is a control, seed."""
MISSING = "not given"


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
    return record.recipe, record.profile, record.data, record.control, record.seed


def run_label(*seeds: Record) -> str:
    """Return a readable name of one run, or of several that differ only in their seed."""
    record = seeds[0]
    numbers = ", ".join(str(seed) for seed in sorted({other.seed for other in seeds}))
    control = ", shuffled labels" if record.control else ""
    data = "" if record.recipe.endswith(f"@{record.data}") else f" on {record.data.replace('_', ' ')}"
    return f"{record.recipe}{data} ({record.profile}, seed{'s' * (',' in numbers)} {numbers}{control})"


def match_runs(base: Sequence[Record], head: Sequence[Record]) -> MatchedRuns:
    """Return pairs of runs with equal keys; runs that differ in the fewest settings are paired first."""
    head_runs, base_runs = _latest(head), _latest(base)
    keys = dict.fromkeys(map(run_key, (*base_runs, *head_runs)))
    pairs: list[tuple[Record, Record]] = []
    missing: list[Record] = []
    new: list[Record] = []
    for key in keys:
        before = [record for record in base_runs if run_key(record) == key]
        after = [record for record in head_runs if run_key(record) == key]
        while before and after:
            distances = (
                (len(differing_settings(a, b)), i, k) for i, a in enumerate(before) for k, b in enumerate(after)
            )
            _, i, k = min(distances)
            pairs.append((before.pop(i), after.pop(k)))
        missing += before
        new += after
    return MatchedRuns(tuple(pairs), tuple(missing), tuple(new))


def _latest(records: Iterable[Record]) -> list[Record]:
    """Return the latest record of each run, since a run is repeated after a change of the code."""
    latest: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: str(record.provenance.get("finished", ""))):
        latest[hash_value([*run_key(record), record.protocol_hash, record.settings])] = record
    return sorted(latest.values(), key=run_key)


def differing_settings(a: Record, b: Record) -> dict[str, tuple[str, str]]:
    """Return the settings in which two runs differ, by dotted field, with both values."""
    before, after = dict(_flat(a.settings)), dict(_flat(b.settings))
    fields = dict.fromkeys((*before, *after))
    both = {field: (before.get(field, MISSING), after.get(field, MISSING)) for field in fields}
    differing = {field: values for field, values in both.items() if values[0] != values[1]}
    if a.protocol_hash != b.protocol_hash:
        differing["protocol"] = (a.protocol_hash, b.protocol_hash)
    return differing


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, str(value)
