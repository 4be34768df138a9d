r"""Text of records and file names for terminals, spreadsheets and other programs, without control characters.

A control character in a name can move the cursor, change the title of a terminal or reverse the order of a line. It is
written as an escape sequence instead, such as `\x1b`.
"""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 except tab and newline, line separators, marks and overrides of the direction, and single surrogates."""
_STARTS_FORMULA = re.compile("[=+\\-@\t\r＝＋－＠]")  # noqa: RUF001 - full-width characters count, too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def plain(text: str) -> str:
    r"""Return text with an escape sequence in place of each control character; tabs and newlines stay.

    >>> print(plain("red: \x1b[31m"))
    red: \x1b[31m
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    r"""Return text with an escape sequence in place of each control character and each newline.

    >>> print(one_line("two\nlines"))
    two\nlines
    """
    return plain(text).replace("\n", r"\n")


def plain_json(text: str) -> str:
    """Return JSON text with the escape sequence of JSON in place of each control character in a string."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def spreadsheet_text(text: str) -> str:
    """Return the text of a cell of CSV, which no spreadsheet takes for a formula.

    Text that starts like a formula gets an apostrophe. Numbers stay numbers.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("-0.5")
    ("'=1+1", '-0.5')
    """
    is_formula = _STARTS_FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{plain(text)}" if is_formula else plain(text)
