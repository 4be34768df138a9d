"""Fields of the headers of an HTTP answer. A server may send anything."""

import re
from email.message import Message

_NUMBER = re.compile(r"[0-9]{1,18}")


def content_length(headers: Message) -> int | None:
    """Return the number of bytes that an answer announces; None if it does not announce it.

    Raises:
        ValueError: the field is not a number, or occurs twice with different numbers.
    """
    values = {value.strip() for value in headers.get_all("Content-Length", [])}
    if len(values) > 1 or not all(map(_NUMBER.fullmatch, values)):
        raise ValueError(f"the server announces an impossible length ({', '.join(sorted(values))[:40]!r})")
    return int(values.pop()) if values else None


def validator(headers: Message) -> str:
    """Return the value for If-Range that identifies the file: a strong ETag, else its date, else empty."""
    tag = headers.get("ETag", "")
    value: str = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    return value if value.isascii() and value.isprintable() else ""  # others cannot be sent back


def retry_after_s(headers: Message) -> float:
    """Return the wait in seconds that a server asks for; 0 if it does not, or gives a date."""
    wait = headers.get("Retry-After", "")
    return float(wait) if _NUMBER.fullmatch(wait) else 0.0
