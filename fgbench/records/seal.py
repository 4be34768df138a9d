"""The seal of a record: one digest over all its fields, and with them over its array file, whose hash is a field.

A seal shows that a record is as it was written. It is not a signature: a person who edits a record can compute its seal
again. Verdicts therefore also compute again what they stand on (see `fgbench.judge.recomputed`).
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from fgbench.util.hashing import canonical


def seal_of(record: Mapping[str, Any]) -> str:
    """Return the seal of the fields of a record: the SHA-256 in hex of all fields except `seal`, in canonical JSON.

    Args:
        record: the fields as they are in the file.
    """
    fields = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(canonical(fields).encode("utf-8")).hexdigest()
