"""The mark of results from outside does not change records that were written before it."""

import json

import pytest
from external_results import external
from stored_records import edit, write_record

from fgbench.records.external import UNCHECKED, External
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError


def test_a_sealed_record_without_the_field_stays_valid(tmp_path):
    record = write_record(tmp_path)
    edit(tmp_path / f"{record.run_id}.json", lambda fields: fields.pop("external"), seal=True)
    (kept,) = Store(tmp_path).records()
    assert kept.external is None
    assert kept.identity == record.identity
    assert "external" not in json.loads((tmp_path / f"{record.run_id}.json").read_text())


@pytest.mark.parametrize("what", UNCHECKED)
def test_the_mark_is_sealed_and_says_what_nobody_has_checked(tmp_path, what):
    fields = external()
    fields["external"] |= {"what": what}
    record = write_record(tmp_path, **fields)
    assert record.external.unchecked == UNCHECKED[what]
    assert record.computed_here == (what == "network")
    edit(tmp_path / f"{record.run_id}.json", lambda fields: fields["external"].update(file="another.csv"))
    with pytest.raises(FgbenchError, match="was changed after it was written"):
        Store(tmp_path).records()


def test_a_hash_that_is_none_and_an_unknown_kind_are_refused():
    good = external()["external"]
    assert External.model_validate(good).name == "mine"
    for change in ({"sha256": "abc"}, {"what": "weights"}, {"name": ""}, {"answers": "images"}):
        with pytest.raises(ValueError, match=next(iter(change))):
            External.model_validate(good | change)
