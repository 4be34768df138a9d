import pytest

from fgbench.util.durations import parse_duration
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("9m", 540), ("1h30m", 5400), ("1.5h", 5400), (" 2M ", 120), ("1h1m1s", 3661)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "m", "0m", "-9m", "9m1h", "nine minutes"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(FgbenchError, match=r"is no duration\n  write hours, minutes and seconds, such as 90s"):
        parse_duration(text)
