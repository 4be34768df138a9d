"""Readers of JSON and TOML files that other programs or people wrote. Every fault is an error that names the file."""

import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_text

MAX_DEPTH = 100
"""Most levels of arrays and tables. Deeper ones exceed the recursion limit of functions that walk through values."""
_MAX_INTEGER = 1 << 63
"""Integers of TOML have 64 bits. A larger one cannot be converted to a float, or to text."""


def read_json(path: Path, hint: str = "", *, finite: bool = True) -> Any:
    """Return the value in a JSON file.

    Args:
        path: the file.
        hint: the next thing to do if it cannot be read.
        finite: False to accept NaN and Infinity, which are no JSON, but which Python writes.

    Raises:
        FgbenchError: the file cannot be read, is no regular file or no UTF-8, or is refused by `parse_json`.
    """
    return _read(path, "JSON", lambda text: parse_json(text, finite=finite), hint)


def read_toml(path: Path, hint: str = "") -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        FgbenchError: the file cannot be read, is no regular file or no UTF-8, is not TOML, is nested too deeply, or has
            an integer of more than 64 bits.
    """
    content: dict[str, Any] = _read(path, "TOML", lambda text: _checked(tomllib.loads(text)), hint)
    return content


def _read(path: Path, kind: str, parse: Callable[[str], Any], hint: str) -> Any:
    try:
        return parse(read_text(path))
    except OSError as error:
        raise FgbenchError(f"{path} cannot be read: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise FgbenchError(f"{path} is not {kind}: byte {error.start} is no UTF-8", hint) from error
    except (ValueError, RecursionError) as error:
        raise FgbenchError(f"{path} is not {kind}: {_reason(error)}", hint) from error


def parse_json(text: str, *, finite: bool = True) -> Any:
    """Return the value of a JSON text. A byte order mark before it, which some editors write, is skipped.

    Args:
        text: the text.
        finite: False to accept NaN and infinity.

    Raises:
        ValueError: the text is not JSON, has a key twice, an escape sequence for half of a surrogate pair or an integer
            of more than 64 bits, or is nested too deeply.
    """
    try:
        value = json.loads(
            text.removeprefix("\ufeff"),
            parse_constant=_refuse if finite else None,
            parse_float=_finite if finite else None,
            parse_int=_within_64_bits,
            object_pairs_hook=_unique,
        )
        if "\\u" in text:  # only an escape sequence can give half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair: surrogates not allowed") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(_reason(error)) from error
    return _checked(value) if text.count("[") + text.count("{") >= MAX_DEPTH else value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not abs(value) < math.inf:
        raise ValueError("a number is too large")
    return value


def _within_64_bits(digits: str) -> int:
    value = int(digits)
    if not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise ValueError("an integer has more than 64 bits")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice in an object")
    return value


def _checked(value: Any) -> Any:
    """Return a value of JSON or TOML.

    Raises:
        ValueError: it is nested too deeply, or has an integer of more than 64 bits.
    """
    level, depth = [value], 0
    while level:
        if any(isinstance(item, int) and not -_MAX_INTEGER <= item < _MAX_INTEGER for item in level):
            raise ValueError("an integer has more than 64 bits")
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return value


def _reason(error: ValueError | RecursionError) -> str:
    """Return an error of a parser in words."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = str(error)
    # Python refuses to convert a number of more than 4,300 digits.
    return "an integer has more than 64 bits" if text.startswith("Exceeds the limit") else text
