"""Compare protocols: which numbers may stand in one column, and in which fields protocols differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fgbench.records.record import Record
from fgbench.util.hashing import hash_value

ROW_FIELDS = ("train_sees", "test_sees")
"""Fields of the protocol that a printed table states for each row; all other fields are equal in a column."""
MISSING = "not given"


@dataclass(frozen=True, slots=True)
class ProtocolDifference:
    """The fields in which several protocols differ."""

    heads: tuple[str, ...]
    """A heading for each protocol: its hash and its runs."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Each differing field with its value in each protocol."""

    def __str__(self) -> str:
        return "; ".join(f"{field}: {' or '.join(dict.fromkeys(values))}" for field, values in self.rows)


def may_share_column(a: Record, b: Record) -> bool:
    """Return True if the numbers of two records may stand in one column: equal protocols except for `ROW_FIELDS`."""
    if all(a.protocol.get(field) == b.protocol.get(field) for field in ROW_FIELDS):
        return a.protocol_hash == b.protocol_hash
    return hash_without(a, ROW_FIELDS) == hash_without(b, ROW_FIELDS)


def hash_without(record: Record, fields: Iterable[str]) -> str:
    """Return a hash of a record's protocol without some fields; without any, the hash of the record."""
    left_out = set(fields)
    if not left_out:
        return record.protocol_hash
    return hash_value({key: value for key, value in record.protocol.items() if key not in left_out})


def protocol_difference(groups: Sequence[Sequence[Record]]) -> ProtocolDifference:
    """Return the difference of the protocols of some groups of records; each group has one protocol."""
    protocols = [_flat(group[0].protocol) for group in groups]
    fields = list(dict.fromkeys(field for protocol in protocols for field in protocol))
    rows = [(field, tuple(protocol.get(field, MISSING) for protocol in protocols)) for field in fields]
    differing = tuple((field, values) for field, values in rows if len(set(values)) > 1)
    if not differing:
        # Only an edited file has a hash that is not the hash of its protocol.
        differing = (("hash", tuple(group[0].protocol_hash for group in groups)),)
    return ProtocolDifference(tuple(_head(group) for group in groups), differing)


def _head(group: Sequence[Record]) -> str:
    titles = ", ".join(dict.fromkeys(f"{record.title} ({record.profile})" for record in group))
    return f"{group[0].protocol_hash}: {len(group)} run{'s' if len(group) != 1 else ''}, {titles}"


def _flat(protocol: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a protocol as text; the definition of each metric is a field."""
    flat = {key: _text(value) for key, value in protocol.items() if key != "metrics"}
    return flat | {f"definition of {name}": text for name, text in protocol.get("metrics", ())}


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
