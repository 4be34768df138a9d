"""The record of the content of its file, after the checks that need no other file."""

from pathlib import Path

from pydantic import ValidationError

from fgbench.records.recompression import title_of
from fgbench.records.record import SCHEMA, Record
from fgbench.records.seal import seal_of
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value
from fgbench.util.json_toml import parse_json
from fgbench.util.placeholders import refuse_placeholder
from fgbench.util.validation import explain

RERUN_HINT = "move its files elsewhere and run the recipe again"


def parse_record(content: bytes, run_id: str, path: Path) -> Record:
    """Return the record of the content of a file; the title has the quality of a recompression.

    Args:
        content: the bytes of the file.
        run_id: the run that the file must be of.
        path: the file, for messages.

    Raises:
        FgbenchError: the content is not a record, was changed, or is of another run.
    """
    try:
        fields = parse_json(content.decode("utf-8"))
        record = Record.model_validate(fields)
    except ValidationError as error:
        raise FgbenchError(
            f"{path} is not a record of schema 1 or {SCHEMA}: {explain(error, Record)}", RERUN_HINT
        ) from error
    except ValueError as error:
        refuse_placeholder(path)
        raise FgbenchError(f"{path} is not a record: {error}", RERUN_HINT) from error
    if record.seal != (seal_of(fields) if record.schema_version == SCHEMA else ""):
        raise FgbenchError(f"{path} was changed after it was written: its seal does not fit its fields", RERUN_HINT)
    if record.run_id != run_id:
        original = path.with_name(f"{record.run_id}.json")
        hint = f"name it {original.name} or delete it"
        if original.is_file():
            hint = f"{original.name} is there, too: keep one of the two under this name"
        raise FgbenchError(f"{path} has the record of run {record.run_id}", hint)
    if record.outputs != f"{run_id}.npz":
        raise FgbenchError(f"{path} names {record.outputs!r} as its array file, not {run_id}.npz", RERUN_HINT)
    if hash_value(record.protocol) != record.protocol_hash:
        raise FgbenchError(f"{path}: {record.protocol_hash} is not the hash of its protocol", RERUN_HINT)
    title = title_of(record)
    return record if title == record.title else record.model_copy(update={"title": title})
