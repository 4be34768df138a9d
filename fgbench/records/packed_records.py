"""Records as short texts: equal parts of many records are stored once, and a learning curve is read when needed."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast, overload

from pydantic import TypeAdapter, create_model

from fgbench.records.record import Deviation, Point, Record, Weights
from fgbench.util.hashing import canonical
from fgbench.util.validation import StrictModel

SHARED = ("settings", "protocol", "deviations", "weights", "provenance")
"""Fields that are equal in many records. Each different content is stored once."""
SINGLE = ("command", "started", "finished")
"""Fields of the provenance that differ between runs, and are stored with the record."""
_MODELS: dict[str, TypeAdapter[Any]] = {
    "deviations": TypeAdapter(list[Deviation]),
    "weights": TypeAdapter(list[Weights]),
}
_POINTS = TypeAdapter(list[Point])
_OWN = {name: field for name, field in Record.model_fields.items() if name not in {*SHARED, "curve"}}
_Own: Any = create_model(
    "_Own",
    __base__=StrictModel,
    identity=(str, ...),
    single=(dict[str, Any], ...),
    **{name: (field.annotation, field) for name, field in _OWN.items()},  # type: ignore[call-overload]
)
"""The fields of one record alone."""


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
    shared = {name: fields.pop(name) for name in SHARED}
    single = {name: shared["provenance"].pop(name) for name in SINGLE if name in shared["provenance"]}
    return Packed(
        json.dumps(fields | {"identity": record.identity, "single": single}),
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
        own = dict(_Own.__pydantic_validator__.validate_json(fields).__dict__)
        identity, single = own.pop("identity"), own.pop("single")
        parts = {name: self._field(name, text) for name, text in zip(SHARED, shared, strict=True)}
        content = {name: part.content for name, part in parts.items()}
        content["provenance"] = content["provenance"] | single
        record = Record.model_construct(**own, **content, curve=cast("list[Point]", curve))
        record.__dict__.update(identity=identity, settings_text=parts["settings"].text)
        return record

    def _field(self, name: str, text: str) -> _SharedField:
        field = self._shared.get((name, text))
        if field is None:
            model = _MODELS.get(name)
            content = model.validate_json(text) if model else json.loads(text)
            field = self._shared[name, text] = _SharedField(content, text)
        return field
