"""Titles of records on images that were compressed once more."""

import pytest
from recompressed_runs import settings_at
from stored_records import write_record

from fgbench.records.store import Store

TITLE = "FV-SIFT, recompressed to quality 30"


@pytest.mark.parametrize("written", ["FV-SIFT", TITLE])
def test_the_title_of_a_record_that_is_read_has_the_quality(written, tmp_path):
    write_record(tmp_path, title=written, settings=settings_at(30))
    write_record(tmp_path, run_id="b" * 16, title="FV-SIFT", settings=settings_at())
    for _ in range(2):  # from the files, and from the index
        assert [record.title for record in Store(tmp_path).records()] == [TITLE, "FV-SIFT"]
    assert Store(tmp_path).verify(Store(tmp_path).read("a" * 16)) == []
