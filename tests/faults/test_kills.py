from functools import partial

import pytest
from faults import full_disk, kills, records
from faults.case import try_all


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Restore what the attempts set."""
    for name in ("FGBENCH_CACHE", "FGBENCH_DATA", "FGBENCH_URL_VIPER", "MD5_VIPER"):
        monkeypatch.setenv(name, "")


def test_a_run_that_was_killed_at_a_write_continues_to_the_same_values(tmp_path):
    with kills.run_attempt(tmp_path, "fv_sift", with_cache=True) as attempt:
        assert attempt.operations > 150
        assert try_all(attempt.cases("run", kill=103, torn=167)) > 2


def test_a_report_that_was_killed_at_a_write_is_written_by_the_same_command(tmp_path):
    source = records.make_results(tmp_path / "source")
    with kills.report_attempt(tmp_path, source) as attempt:
        assert try_all(attempt.cases("report", kill=45)) > 1


@pytest.mark.parametrize(
    ("attempts", "rooms"),
    [
        (partial(kills.run_attempt, recipe="fv_sift", with_cache=True), (700,)),
        (partial(kills.download_attempt, side=200), (0, 300)),
    ],
    ids=["run", "data get"],
)
def test_a_command_on_a_full_disk_succeeds_when_the_disk_is_freed(tmp_path, attempts, rooms):
    try:
        disk = full_disk.small_disk(tmp_path / "disk")
        with disk as folder, attempts(folder) as attempt:
            assert try_all(full_disk.cases("command", folder, attempt, rooms)) == len(rooms)
    except PermissionError as error:
        pytest.skip(str(error))
