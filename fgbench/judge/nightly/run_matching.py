"""Which run of one night is which of the other: by what the run is, not by the code that did it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fgbench.records.record import Record
from fgbench.util.hashing import hash_value

Key = tuple[str, str, str, bool, int]


@dataclass(frozen=True, slots=True)
class MatchedRuns:
    """The runs of two nights."""

    pairs: tuple[tuple[Record, Record], ...]
    missing: tuple[Record, ...]
    """Of the first night alone."""
    new: tuple[Record, ...]
    """Of the second alone."""


def run_key(record: Record) -> Key:
    """Equal for runs of two nights that are the same run: what hangs on code, libraries and machine is left out."""
    return record.recipe, record.profile, record.data, record.control, record.seed


def run_label(*seeds: Record) -> str:
    """A run by name, or some that differ in their seed alone."""
    record = seeds[0]
    numbers = ", ".join(str(seed) for seed in sorted({own.seed for own in seeds}))
    control = ", shuffled labels" if record.control else ""
    elsewhere = "" if record.recipe.endswith(f"@{record.data}") else f" on {record.data.replace('_', ' ')}"
    return f"{record.recipe}{elsewhere} ({record.profile}, seed{'s' * (',' in numbers)} {numbers}{control})"


def match_runs(base: Sequence[Record], head: Sequence[Record]) -> MatchedRuns:
    """Pairs of runs, those that differ in the fewest fields first, equal ones before all."""
    ours, theirs = _latest(head), _latest(base)
    keys = dict.fromkeys(map(run_key, (*theirs, *ours)))
    pairs: list[tuple[Record, Record]] = []
    missing: list[Record] = []
    new: list[Record] = []
    for key in keys:
        before = [record for record in theirs if run_key(record) == key]
        after = [record for record in ours if run_key(record) == key]
        while before and after:
            _, i, k = min(
                (len(differing_settings(a, b)), i, k) for i, a in enumerate(before) for k, b in enumerate(after)
            )
            pairs.append((before.pop(i), after.pop(k)))
        missing += before
        new += after
    return MatchedRuns(tuple(pairs), tuple(missing), tuple(new))


def _latest(records: Iterable[Record]) -> list[Record]:
    """Of the same run done several times in a folder, as after a change of the code, the last."""
    last: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: str(record.provenance.get("finished", ""))):
        last[hash_value([*run_key(record), record.protocol_hash, record.settings])] = record
    return sorted(last.values(), key=run_key)


def differing_settings(a: Record, b: Record) -> dict[str, tuple[str, str]]:
    """The settings in which two runs differ, by dotted field."""
    before, after = dict(_flat(a.settings)), dict(_flat(b.settings))
    fields = dict.fromkeys((*before, *after))
    found = {field: (before.get(field, "not said"), after.get(field, "not said")) for field in fields}
    found = {field: values for field, values in found.items() if values[0] != values[1]}
    if a.protocol_hash != b.protocol_hash:
        found["protocol"] = (a.protocol_hash, b.protocol_hash)
    return found


def _flat(value: Any, at: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{at}.{name}" if at else str(name))
    else:
        yield at, str(value)
