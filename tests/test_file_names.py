"""Names of test files: pytest imports two files with one name as one module, and reports an error for the second."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent


def test_every_test_file_has_its_own_name():
    names = Counter(file.name for file in TESTS.rglob("test_*.py"))
    assert len(names) > 100
    assert not [name for name, count in names.items() if count > 1]
