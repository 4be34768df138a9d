from faults import work_files


def test_damaged_work_and_cache_files_end_in_the_same_values(tmp_path):
    tried = 0
    for _, case in work_files.cases(tmp_path, 2):
        case()
        tried += 1
    assert tried > 80
