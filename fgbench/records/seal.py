"""The seal of a record: one digest over all its fields, and with them over its array file, whose hash is a field.

A seal shows that a record is as it was written. It is not a signature: who edits a record can compute its seal again.
Verdicts therefore also compute again what they stand on (see `fgbench.judge`).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from fgbench.util.hashing import canonical


def parse_json(content: bytes) -> Any:
    """Return the value of JSON in UTF-8.

    Raises:
        ValueError: the content is not JSON, contains NaN, infinity, a key twice or half of a surrogate pair, or is
            nested too deeply.
    """
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
        canonical(value).encode("utf-8")  # refuses infinity from a large exponent, and half of a surrogate pair
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice in an object")
    return value


def seal_of(record: Mapping[str, Any]) -> str:
    """Return the seal of the fields of a record: the SHA-256 in hex of all fields except `seal`, in canonical JSON.

    Args:
        record: the fields as they are in the file.
    """
    fields = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(canonical(fields).encode("utf-8")).hexdigest()
