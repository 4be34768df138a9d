"""Which numbers may stand together: those of one protocol; and what two protocols differ in, field by field."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fgbench.records.record import Record
from fgbench.util.hashing import hash_value

OF_A_ROW = ("train_sees", "test_sees")
"""What a printed table says of each of its rows; the rest of the protocol is one for a whole column."""


@dataclass(frozen=True, slots=True)
class ProtocolDifference:
    """Protocols side by side, field by field, the fields that are alike left out."""

    heads: tuple[str, ...]
    """One a protocol: its hash, and what was run under it."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Field, and its value in each protocol."""

    def __str__(self) -> str:
        return "; ".join(f"{field}: {' or '.join(dict.fromkeys(values))}" for field, values in self.rows)


def may_share_column(a: Record, b: Record) -> bool:
    """True when their numbers may stand in one column: one protocol, but for what each row says of itself."""
    if all(a.protocol.get(field) == b.protocol.get(field) for field in OF_A_ROW):
        return a.protocol_hash == b.protocol_hash
    return hash_without(a, OF_A_ROW) == hash_without(b, OF_A_ROW)


def hash_without(record: Record, without: Iterable[str]) -> str:
    """A hash of a record's protocol but for some fields; its own where there are none of these."""
    left_out = set(without)
    if not left_out:
        return record.protocol_hash
    return hash_value({key: value for key, value in record.protocol.items() if key not in left_out})


def protocol_difference(groups: Sequence[Sequence[Record]]) -> ProtocolDifference:
    """What the protocols of some groups of records differ in, each group having one."""
    flat = [_flat(group[0].protocol) for group in groups]
    fields = list(dict.fromkeys(field for each in flat for field in each))
    rows = [(field, tuple(each.get(field, "not said") for each in flat)) for field in fields]
    found = tuple((field, values) for field, values in rows if len(set(values)) > 1)
    if not found:
        # Only a file that was edited has a hash that is not that of its protocol.
        found = (("hash", tuple(group[0].protocol_hash for group in groups)),)
    return ProtocolDifference(tuple(_head(group) for group in groups), found)


def _head(group: Sequence[Record]) -> str:
    titles = ", ".join(dict.fromkeys(f"{record.title} ({record.profile})" for record in group))
    return f"{group[0].protocol_hash}: {len(group)} run{'s' if len(group) != 1 else ''}, {titles}"


def _flat(protocol: Mapping[str, Any]) -> dict[str, str]:
    """Fields as text, a metric's definition a field."""
    flat = {key: _text(value) for key, value in protocol.items() if key != "metrics"}
    return flat | {f"definition of {name}": text for name, text in protocol.get("metrics", ())}


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
