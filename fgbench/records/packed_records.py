"""Records as short texts, and records that are read from such texts part by part.

What many records have in common is stored once. Judging a folder needs few fields of most records. The values and the
cost of a record are therefore parsed at their first use, and its learning curve is then read from its file.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import TypeAdapter
from pydantic_core import to_json

from fgbench.metrics.values import Value
from fgbench.records.external import External
from fgbench.records.output_fingerprint import fingerprint
from fgbench.records.output_rows import sketch
from fgbench.records.record import Deviation, Record, StartsFrom, Weights
from fgbench.records.run_cost import Cost
from fgbench.util.hashing import canonical
from fgbench.util.validation import StrictModel

HEAD = (
    "schema_version", "recipe", "title", "method", "profile", "seeded", "protocol_hash", "data", "synthetic", "split"
)  # fmt: skip
"""Short fields that are equal in the records of one recipe."""
SHARED = ("head", "settings", "protocol", "deviations", "weights", "provenance")
"""Parts that are equal in many records. Each different content is stored once."""
SINGLE = ("command", "started", "finished")
"""Fields of the provenance that differ between runs, and are stored with the record."""
_MODELS: dict[str, TypeAdapter[Any]] = {
    "deviations": TypeAdapter(list[Deviation]),
    "weights": TypeAdapter(list[Weights]),
}
ReadRecord = Callable[[str], Record]


class _Rest(StrictModel):
    """Fields of one record that few readers need."""

    values: dict[str, Value]
    cost: Cost
    scores_kept: int | None = None
    network_sha256: str = ""
    starts_from: StartsFrom | None = None
    external: External | None = None
    single: dict[str, Any]
    """The fields `SINGLE` of its provenance."""


class Own(NamedTuple):
    """What one record alone has, without its learning curve, which stays in its file."""

    run_id: str
    seed: int
    seal: str
    outputs_sha256: str
    identity: str
    values_key: str
    finished: str
    fingerprint: str
    """Hash of its predictions (`fgbench.records.output_fingerprint`)."""
    rest: str
    """All other fields as JSON."""


class Packed(NamedTuple):
    """A record as texts."""

    own: Own
    shared: tuple[str, ...]
    """The contents of `SHARED` as JSON, in this order."""
    sketch: str
    """Sketch of its outputs (`fgbench.records.output_rows`)."""


class PackedRecord(Record):
    """A record that was checked before it was packed. It parses `Own.rest` and reads its curve at their first use."""

    @classmethod
    def made_of(cls, **fields: Any) -> Self:
        """Return a record of these fields, without validation. `model_construct` takes ten times as long."""
        record = cls.__new__(cls)
        object.__setattr__(record, "__dict__", fields)
        object.__setattr__(record, "__pydantic_fields_set__", _FIELDS)
        object.__setattr__(record, "__pydantic_extra__", None)
        object.__setattr__(record, "__pydantic_private__", None)
        return record

    def __getattr__(self, name: str) -> Any:
        """Return a field that was not parsed yet. Python calls this only for attributes that are not there."""
        fields, texts = self.__dict__, self.__dict__.get("texts")
        if texts is not None and name == "curve":
            fields["curve"] = texts.read(self.run_id).curve
        elif texts is not None and name in _LATE:
            late = _Rest.model_validate_json(fields["rest"]).__dict__
            fields["provenance"] = texts.provenance | late.pop("single")
            fields.update(late)
        else:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return fields[name]

    def has_value(self, name: str) -> bool:
        """Return True if the record has a value of this name."""
        return name in self.__dict__["texts"].value_names

    def provenance_of(self, name: str) -> Any:
        """Return a field of the provenance; None if it is unknown."""
        return (self.provenance if name in SINGLE else self.__dict__["texts"].provenance).get(name)

    def for_one_use(self) -> "Record":
        """Return a copy whose parsed fields are not kept."""
        return PackedRecord.made_of(**self.__dict__)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields replaced. A copy under another recipe parses and reads nothing."""
        if deep or not update or not update.keys() <= _OF_RECIPE:
            return super().model_copy(update=update, deep=deep)
        fields = {name: value for name, value in self.__dict__.items() if name not in _COMPUTED_OF_RECIPE}
        return self.made_of(**fields | dict(update))

    # What pydantic and Python do with the fields of a record, they do with all of them.

    def __copy__(self) -> Record:  # type: ignore[override]
        return Record.model_construct(**{name: getattr(self, name) for name in Record.model_fields})

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Record:  # type: ignore[override]
        return self.__copy__().__deepcopy__(memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _record_of, (self.__copy__().__dict__,)

    def __eq__(self, other: object) -> bool:
        return self.__copy__() == (other.__copy__() if isinstance(other, PackedRecord) else other)

    __hash__ = None  # type: ignore[assignment]

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return all fields as a dictionary."""
        return self.__copy__().model_dump(**options)


def _record_of(fields: Mapping[str, Any]) -> Record:
    return Record.model_construct(**fields)


_LATE = {*_Rest.model_fields, "provenance"} - {"single"}
_FIELDS = set(Record.model_fields)
_OF_RECIPE = {"recipe", "title", "profile", "settings", "deviations"}
"""Fields that say as which experiment a run counts."""
_COMPUTED_OF_RECIPE = {"identity", "settings_text", "comparable", "control"}
"""What is computed from them."""


class _Texts(NamedTuple):
    """What `PackedRecord`s with equal shared parts need when a field is parsed."""

    provenance: dict[str, Any]
    """The shared fields of the provenance."""
    value_names: frozenset[str]
    read: ReadRecord


def pack(record: Record, arrays: Mapping[str, np.ndarray]) -> Packed:
    """Return a record as texts.

    Args:
        record: the record.
        arrays: its per-sample arrays.
    """
    single = {name: record.provenance[name] for name in SINGLE if name in record.provenance}
    provenance = record.provenance | dict.fromkeys(single)  # a place in the order of the fields
    rest = {name: getattr(record, name) for name in _Rest.model_fields if name != "single"} | {"single": single}
    own = [getattr(record, name) for name in Own._fields if name not in {"fingerprint", "rest"}]
    head = {name: getattr(record, name) for name in HEAD}
    # Most records are no results from outside and started from no other run: then nothing is parsed to know it.
    alone = record.external is None and record.starts_from is None
    head |= {"value_names": sorted(record.values), "alone": alone, "has_curve": bool(record.curve)}
    shared = [head, *(provenance if name == "provenance" else getattr(record, name) for name in SHARED[1:])]
    return Packed(
        Own._make([*own, fingerprint(arrays), to_json(rest).decode()]),
        tuple(to_json(part).decode() for part in shared),
        sketch(arrays),
    )


class Unpacker:
    """Makes records of texts; records with an equal part share one object for it.

    Args:
        read: reads the record of a run id from its file.
    """

    def __init__(self, read: ReadRecord) -> None:
        self._read = read
        self._contents: dict[tuple[str, str], Any] = {}

    def record(self, own: Own, fields: Mapping[str, Any]) -> PackedRecord:
        """Return the record of texts that `pack` made.

        Args:
            own: what this record alone has.
            fields: what `fields` returned for its shared parts.
        """
        return PackedRecord.made_of(**fields, outputs=f"{own.run_id}.npz", **own._asdict())

    def fields(self, shared: Iterable[str]) -> dict[str, Any]:
        """Return the fields that the shared parts of a record give.

        Args:
            shared: contents of `SHARED`, in this order.
        """
        head, settings, protocol, deviations, weights, provenance = shared
        of_head = self._content("head", head)
        return {
            **of_head["fields"],
            **self._content("settings", settings),
            "protocol": self._content("protocol", protocol),
            "deviations": self._content("deviations", deviations),
            "weights": self._content("weights", weights),
            "texts": _Texts(self._content("provenance", provenance), of_head["value_names"], self._read),
        }

    def _content(self, name: str, text: str) -> Any:
        if (name, text) not in self._contents:
            content = _MODELS[name].validate_json(text) if name in _MODELS else json.loads(text)
            if name == "head":
                plain: dict[str, Any] = {"external": None, "starts_from": None} if content["alone"] else {}
                plain |= {} if content["has_curve"] else {"curve": []}
                fields = {field: content[field] for field in (*HEAD, "has_curve")} | plain
                content = {"fields": fields, "value_names": frozenset(content["value_names"])}
            elif name == "settings":
                content = {"settings": content, "settings_text": canonical(content)}
            self._contents[name, text] = content
        return self._contents[name, text]
