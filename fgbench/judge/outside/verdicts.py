"""Judges predictions from outside: `fgbench judge` and `fgbench.judge`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fgbench.datasets.image_folder import PREFIX
from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.external_verdicts import external_verdicts
from fgbench.judge.outside.answers import Source
from fgbench.judge.outside.cells import asked_cell
from fgbench.judge.outside.records import NewRecord, external_records
from fgbench.judge.verdict import Verdict, cell_value_name, recipe_key
from fgbench.records.record import Record
from fgbench.records.store import Store, store_of
from fgbench.util.errors import FgbenchError


def judge_predictions(
    sources: Sequence[Source], cell: str, results: Path | None = None, name: str = "", data: str = ""
) -> Verdict:
    """Return the verdict on a printed cell by predictions from outside.

    Args:
        sources: files or data of one result; several are its seeds.
        cell: `<paper>/<table>/<row>/<column>`.
        results: results folder that keeps a record of each file; None to keep nothing.
        name: name of the result on pages and in tables; by default the name of the first file.
        data: data set of the predictions; empty for that of the cell.

    Raises:
        FgbenchError: predictions do not answer the cell, the data set is not on this machine, or a file is not as
            `docs/guides/judge.md` describes it. Nothing is written then.
    """
    if not sources:
        raise FgbenchError("there are no predictions", "name at least one file")
    if data.startswith(PREFIX):
        raise FgbenchError("images of your own answer no printed number", "--data synthetic_birds, or leave it out")
    asked = asked_cell(cell)
    made = external_records(sources, asked, name, data)
    value = cell_value_name(asked.cell)
    if value not in made[0].fields["values"]:
        raise FgbenchError(f"the test images of {data or asked.cell.data} give no value {value}", "choose another cell")
    if results is None:
        kept, others, arrays = [_unkept(new) for new in made], [], {new.fields["run_id"]: new.arrays for new in made}
    else:
        store = store_of(results)
        kept, others, arrays = [_keep(store, new) for new in made], _runs(store, made[0]), {}

    def outputs(record: Record) -> Mapping[str, np.ndarray]:
        return arrays[record.run_id] if record.run_id in arrays else store.outputs(record)

    anomalies = find_anomalies([*others, *kept], outputs)
    (verdict,) = external_verdicts(asked.cell, kept, {recipe_key(asked.cell): asked.recipe}, anomalies)
    return verdict


def _unkept(new: NewRecord) -> Record:
    """Return a record that no folder keeps."""
    return Record.model_validate({**new.fields, "outputs": "", "outputs_sha256": ""})


def _keep(store: Store, new: NewRecord) -> Record:
    """Return the record in a store; it is written unless the store has it and it is sound."""
    run_id = new.fields["run_id"]
    try:
        record = store.read(run_id)
        if not store.verify(record):
            return record
    except FgbenchError:  # there is none, or it is damaged
        pass
    return store.write(new.fields, new.arrays)


def _runs(store: Store, new: NewRecord) -> list[Record]:
    """Return the runs of fgbench in a store with the protocol of a record, which the record may be a copy of."""
    records, _ = store.usable_records(values=False)
    return [r for r in records if r.external is None and r.protocol_hash == new.fields["protocol_hash"]]
