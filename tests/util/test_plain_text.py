# ruff: noqa: RUF001
import json

import pytest

from fgbench.util.plain_text import plain, plain_json, spreadsheet_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("α–β, 95 %\tand\na line", "α–β, 95 %\tand\na line"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("\x9b31m\x85\x7f\r\x00\x08", "\\x9b31m\\x85\\x7f\\r\\x00\\x08"),
        ("\u202egpj.exe\u2066\u200f\u061c", "\\u202egpj.exe\\u2066\\u200f\\u061c"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_become_escape_sequences(text, expected):
    assert plain(text) == expected


def test_json_keeps_its_values():
    value = {"a\x7f": ["\x1b[31m\u202e\x9b", "α"]}
    text = plain_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "+a", "--5", "＝1"])
def test_text_that_starts_like_a_formula_gets_an_apostrophe(text):
    assert spreadsheet_text(text) == f"'{plain(text)}"


@pytest.mark.parametrize("text", ["-0.5", "+3", "-1e-05", "-.5", "12", "a = b", "", "5-3", " x"])
def test_numbers_and_other_text_stay(text):
    assert spreadsheet_text(text) == text
