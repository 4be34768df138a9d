import os

import pytest
from made_nights import bench

from fgbench.judge.nightly.history import Night, append_night, read_history
from fgbench.util.errors import FgbenchError


def night(**fields):
    values = {
        "finished": "2026-01-01T00:00:00+00:00", "commit": "", "source": "s", "passed": True, "accepted": False,
        "values": {"m": 50.0}, "units": {"m": "%"}, "benches": (bench(),), "failed": (),
    }  # fmt: skip
    return Night(**values | fields)


def test_a_history_is_read_as_it_was_written(tmp_path):
    nights = [night(), night(values={"end\u2028of\x85a\x0bline": 1.0}), night(passed=False)]
    for one in nights:
        append_night(tmp_path, one)
    assert read_history(tmp_path) == nights
    path = tmp_path / "history.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    append_night(tmp_path, night())
    assert read_history(tmp_path) == [*nights, night()]
    assert read_history(tmp_path / "nowhere") == []


LINE = night().model_dump_json()


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe", LINE.encode("utf-16"), b"", b"null", b"[" * 100_000, LINE[:-9].encode(),
        LINE.replace('"m":50.0', f'"m":{"9" * 5000}').encode(), LINE.replace("50.0", "NaN").encode(),
        LINE.replace("50.0", "1e999").encode(), LINE.replace('"accepted"', '"passed"').encode(),
        night(benches=()).model_dump_json().replace('"benches":[]', '"benches":null').encode(),
        night(benches=()).model_dump_json().replace('"benches":[]', '"benches":' + "[" * 500 + "]" * 500).encode(),
        night(benches=(bench(sessions=1),)).model_dump_json().replace("-0.01", "1e5").encode(),
        LINE.replace('"sessions":[', '"sessions":[],"x":[').encode(),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_damaged_line_is_an_error_that_names_it(tmp_path, line):
    append_night(tmp_path, night())
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(FgbenchError, match=r"history.jsonl(, line 2: | is damaged: byte )") as caught:
        read_history(tmp_path)
    assert len(str(caught.value)) < 1000


def test_what_is_no_file_is_an_error(tmp_path):
    (tmp_path / "a/history.jsonl").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b/history.jsonl")
    for folder in ("a", "b"):
        with pytest.raises(FgbenchError, match=r"history.jsonl cannot be read: it is a"):
            read_history(tmp_path / folder)
        with pytest.raises(FgbenchError):
            append_night(tmp_path / folder, night())
