"""Faults of a list of answers: each kind with its number and its first names."""

from collections.abc import Callable, Sequence

import numpy as np

from fgbench.util.counted import counted

FIRST = 3
"""Number of names that a message lists."""


def listed(names: Sequence[str]) -> str:
    """Return the first distinct names, and how many more there are.

    >>> listed(["a.jpg"]), listed(list("aabcde"))
    ("'a.jpg'", "'a', 'b', 'c' and 2 more")
    """
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - FIRST
    return ", ".join(map(repr, distinct[:FIRST])) + (f" and {more:,} more" if more > 0 else "")


def whole_number(text: str) -> int | None:
    """Return a whole number; None for other text.

    >>> whole_number("007"), whole_number("-1"), whole_number("1.0")
    (7, -1, None)
    """
    plain = text.strip()
    return int(plain) if plain.removeprefix("-").isdecimal() else None


class Faults:
    """Collects the faults of the answers of a file.

    Args:
        noun: what is answered, such as `image`.
        plural: its plural; by default with an s.
    """

    def __init__(self, noun: str, plural: str = "") -> None:
        self.noun, self.plural = noun, plural or f"{noun}s"
        self.texts: list[str] = []

    def add(self, what: str, names: Sequence[str], noun: str = "") -> None:
        """Add a kind of fault; nothing happens without a name.

        Args:
            what: the fault, such as `not in cub`.
            names: names that have it; a name that occurs several times counts once.
            noun: what has the fault, if it is something else than what is answered.
        """
        distinct = list(dict.fromkeys(names))
        if distinct:
            number = counted(len(distinct), noun) if noun else counted(len(distinct), self.noun, self.plural)
            self.texts.append(f"{number} {what}: {listed(distinct)}")

    def order(self, places: np.ndarray, count: int, name_of: Callable[[int], str]) -> np.ndarray:
        """Return for each expected answer its position in the file, and add what is double or missing.

        Args:
            places: (M,) expected answer that each answer of the file is, from 0 to `count` - 1; negative for none.
            count: number of expected answers.
            name_of: returns the name of an expected answer.

        Returns:
            (count,) positions in the file; useful only without faults.
        """
        positions = np.flatnonzero(places >= 0)
        times = np.bincount(places[positions], minlength=count)
        self.add("given more than once", [name_of(int(place)) for place in np.flatnonzero(times > 1)])
        if missing := [name_of(int(place)) for place in np.flatnonzero(times == 0)]:
            self.texts.append(f"{len(missing):,} of {count:,} {self.plural} missing: {listed(missing)}")
        order = np.zeros(count, dtype=np.int64)
        order[places[positions]] = positions
        return order
