"""Reading a folder of records through its index."""

from fgbench.judge.anomalies import find_anomalies
from fgbench.records.store import store_of


def read(results):
    """Read a folder with a new store; return its records, its errors, and the ids of the runs that were checked."""
    reader, checked = store_of(results), []
    check = reader._checked

    def counted(run_id, **options):
        checked.append(run_id)
        return check(run_id, **options)

    reader._checked = counted
    records, errors = reader.usable_records()
    return records, errors, checked


def anomalies(results, *, may_read=True):
    """Return the anomalies of a folder, read with a new store."""
    reader = store_of(results)
    records, _ = reader.usable_records()
    with reader.remembering() as recall:
        return find_anomalies(records, reader.outputs if may_read else None, (), recall)
