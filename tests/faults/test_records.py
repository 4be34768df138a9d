import pytest
from faults import records
from faults.case import try_all


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return records.Results(tmp_path_factory.mktemp("results"))


def test_an_edit_of_any_field_of_a_sealed_record_is_named(results):
    assert try_all(records.edits(results)) > 500


def test_every_verb_names_an_edited_record(results):
    cases = [
        case
        for case in records.edits(results, ["classified"])
        if case[0] in {"edit of seed", "edit of deviations", "renamed record"}
    ]
    assert try_all(cases[:4]) == 4


def test_damaged_records_and_array_files_are_named_or_read_as_they_were(results):
    assert try_all(records.damaged_files(results, 60)) == 60


def test_odd_fields_without_a_seal_end_no_verb_in_a_traceback(results):
    assert try_all(records.odd_fields(results, 40, verbs_every=39)) == 40


def test_arrays_that_do_not_fit_are_no_evidence(results):
    cases = list(records.odd_arrays(results))
    assert try_all(cases[::9]) > 50
