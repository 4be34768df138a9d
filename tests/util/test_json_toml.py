import json
import os

import pytest

from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import MAX_DEPTH, read_json, read_toml

DAMAGED_JSON = {
    "empty": b"",
    "cut": b'{"a": [1, 2',
    "no UTF-8": b'{"a": "\xff"}',
    "nested": b"[" * 100_000,
    "nested and closed": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "nested with a number": b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH,
    "nested objects": b'{"a":' * 500 + b"1" + b"}" * 500,
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "65 bits": b'{"a": [9223372036854775808]}',
    "key twice": b'{"a": 1, "a": 2}',
    "half a pair": rb'{"a": "\ud800"}',
}
NOT_FINITE = {
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "overflow": b"[1e999]",
    "long": b"[" + b"9" * 5000 + b".0]",
}
DAMAGED_TOML = {
    "cut": b'a = "x',
    "no UTF-8": b'a = "\xff"',
    "nested arrays": b"a = " + b"[" * 5000 + b"]" * 5000,
    "nested tables": b"a = " + b"{b = " * 200 + b"1" + b"}" * 200,
    "dotted keys": b".".join([b"a"] * 3000) + b" = 1",
    "dotted table": b"[" + b".".join([b"a"] * 3000) + b"]",
    "5,000 digits": b"a = " + b"9" * 5000,
    "65 bits": b"a = 9223372036854775808",
    "key twice": b"a = 1\na = 2",
}


@pytest.mark.parametrize("content", (DAMAGED_JSON | NOT_FINITE).values(), ids=DAMAGED_JSON | NOT_FINITE)
def test_damaged_json_is_an_error_in_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(FgbenchError) as caught:
        read_json(path, "try again")
    sentence, hint = str(caught.value).split("\n")
    assert sentence.startswith(f"{path} is not JSON: ")
    assert len(sentence) < len(str(path)) + 150
    assert hint == "  try again"


@pytest.mark.parametrize("content", NOT_FINITE.values(), ids=NOT_FINITE)
def test_values_that_are_not_finite_may_be_accepted(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert repr(read_json(tmp_path / "a.json", finite=False)) == repr(json.loads(content))


@pytest.mark.parametrize("content", DAMAGED_TOML.values(), ids=DAMAGED_TOML)
def test_damaged_toml_is_an_error_in_one_line(tmp_path, content):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(FgbenchError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path} is not TOML: ")
    assert len(str(caught.value)) < len(str(path)) + 150


@pytest.mark.parametrize("read", [read_json, read_toml])
def test_what_is_no_file_is_an_error(tmp_path, read):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name, problem in (("fifo", "a FIFO"), ("folder", "a folder"), ("none", "No such file")):
        with pytest.raises(FgbenchError, match=rf"{name} cannot be read: .*{problem}"):
            read(tmp_path / name)


def test_sound_files_are_read(tmp_path):
    value = {"a": [1, 2.5, "ä", None, True, {"b": -(2**63)}]}
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "a.json") == value
    (tmp_path / "a.toml").write_text("a.b.c = [1, 2.5, 'ä', 9223372036854775807]")
    assert read_toml(tmp_path / "a.toml") == {"a": {"b": {"c": [1, 2.5, "ä", 2**63 - 1]}}}
