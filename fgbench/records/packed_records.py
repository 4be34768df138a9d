"""Records as short texts: equal parts of many records are stored once, and a learning curve is read when needed."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

from pydantic import Field, TypeAdapter

from fgbench.records.record import Deviation, Point, Record, Weights
from fgbench.util.hashing import canonical

SHARED = ("settings", "protocol", "deviations", "weights", "provenance")
"""Fields that are equal in many records. Each different content is stored once."""
SINGLE = ("command", "started", "finished")
"""Fields of the provenance that differ between runs, and are stored with the record."""
_MODELS: dict[str, TypeAdapter[Any]] = {
    "deviations": TypeAdapter(list[Deviation]),
    "weights": TypeAdapter(list[Weights]),
}
_POINTS = TypeAdapter(list[Point])


class IndexedRecord(Record):
    """A record that is made from the texts of `pack`: its shared fields and its curve are added afterwards."""

    # Not validated again, and None until they are added; pydantic copies other defaults, which takes time.
    settings: Any = None
    protocol: Any = None
    deviations: Any = None
    weights: Any = None
    provenance: Any = None
    curve: Any = None
    single: dict[str, Any] = Field(exclude=True)
    """The fields `SINGLE` of the provenance."""
    hash_without_seed: str = Field(exclude=True)
    """The identity of the record."""


class Packed(NamedTuple):
    """A record as texts, all of them JSON."""

    fields: str
    """The fields of this record alone."""
    shared: tuple[str, ...]
    """The contents of `SHARED`, in this order."""
    curve: str
    """The learning curve."""
    points: int
    """Number of its points."""


class LazyCurve(Sequence[Point]):
    """A learning curve that is read at its first use; reports use few of thousands of curves."""

    def __init__(self, points: int, read: Callable[[], str]) -> None:
        self._points, self._read = points, read
        self._curve: list[Point] | None = None

    def __len__(self) -> int:
        return self._points

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | list[Point]:
        return self._list()[index]

    def __iter__(self) -> Iterator[Point]:
        return iter(self._list())

    def __eq__(self, other: object) -> bool:
        return list(self) == other if isinstance(other, list) else self is other

    __hash__ = None  # type: ignore[assignment]

    def _list(self) -> list[Point]:
        if self._curve is None:
            self._curve = _POINTS.validate_json(self._read()) if self._points else []
        return self._curve


def pack(record: Record) -> Packed:
    """Return a record as texts."""
    fields = record.model_dump(mode="json", exclude_defaults=True)
    curve = fields.pop("curve", [])
    fields["cost"] = record.cost.model_dump(mode="json")
    shared = {name: fields.pop(name) for name in SHARED}
    single = {name: shared["provenance"].pop(name) for name in SINGLE if name in shared["provenance"]}
    return Packed(
        json.dumps(fields | {"hash_without_seed": record.identity, "single": single}),
        tuple(canonical(shared[name]) for name in SHARED),
        json.dumps(curve),
        len(curve),
    )


class _SharedField(NamedTuple):
    """A content of one of `SHARED`, as records have it."""

    content: Any
    text: str
    """The content as canonical JSON."""


class Unpacker:
    """Makes records of texts; records with an equal field share one object for it."""

    def __init__(self) -> None:
        self._shared: dict[tuple[str, str], _SharedField] = {}

    def record(self, fields: str, shared: Iterable[str], curve: LazyCurve) -> Record:
        """Return the record of texts that `pack` made. The record was checked before it was packed, and is not again.

        Args:
            fields: the fields of this record alone.
            shared: contents of `SHARED`, in this order.
            curve: the learning curve.
        """
        record = IndexedRecord.model_validate_json(fields)
        parts = {name: self._field(name, text) for name, text in zip(SHARED, shared, strict=True)}
        # The model is frozen; these fields were validated with the record that was packed.
        added = record.__dict__
        for name, part in parts.items():
            added[name] = part.content
        added["provenance"] = added["provenance"] | record.single
        added["curve"] = curve
        added["identity"], added["settings_text"] = record.hash_without_seed, parts["settings"].text
        return record

    def _field(self, name: str, text: str) -> _SharedField:
        field = self._shared.get((name, text))
        if field is None:
            model = _MODELS.get(name)
            content = model.validate_json(text) if model else json.loads(text)
            field = self._shared[name, text] = _SharedField(content, text)
        return field
