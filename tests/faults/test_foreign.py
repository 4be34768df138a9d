from faults import foreign


def test_damaged_foreign_files_end_in_their_value_or_an_error(tmp_path):
    tried = 0
    for _, case in foreign.foreign_faults(tmp_path, 72):
        case()
        tried += 1
    assert tried == 72
