from faults import foreign
from faults.case import try_all


def test_damaged_foreign_files_end_in_their_value_or_an_error(tmp_path):
    assert try_all(foreign.foreign_faults(tmp_path, 72)) == 72
