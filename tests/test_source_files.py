"""Names and lengths of the files of Python."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_LINES = 300


def test_every_test_file_has_its_own_name():
    """Pytest imports two files with one name as one module, and reports an error for the second."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) > 100
    assert not [name for name, count in names.items() if count > 1]


def test_no_file_is_long():
    files = [file for folder in ("fgbench", "tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 500
    lengths = {file.relative_to(ROOT): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert not {file: length for file, length in lengths.items() if length > MAX_LINES}
