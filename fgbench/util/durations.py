"""Durations as people type them, such as `90s`, `9m` or `1h30m`."""

import re

from fgbench.util.errors import FgbenchError

UNIT_S = {"h": 3600, "m": 60, "s": 1}
"""Unit -> its length in seconds."""
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `9m`.

    Raises:
        FgbenchError: the text is no duration, or the duration is zero.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = (
        sum(float(number or 0) * unit for number, unit in zip(match.groups(), UNIT_S.values(), strict=True))
        if match
        else 0
    )
    if not seconds:
        raise FgbenchError(f"{text!r} is no duration", "write hours, minutes and seconds, such as 90s, 9m or 1h30m")
    return seconds
