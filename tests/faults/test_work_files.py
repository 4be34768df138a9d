from faults import work_files
from faults.case import try_all


def test_damaged_work_and_cache_files_end_in_the_same_values(tmp_path):
    assert try_all(work_files.cases(tmp_path, 2)) > 80
