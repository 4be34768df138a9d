"""A number with its noun in the singular or plural."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    Args:
        number: how many.
        noun: the noun of one.
        plural: the noun of several; by default `noun` with an s.

    Returns:
        `1 run`, `2 runs`, `0 runs` or `1,200 runs`.

    >>> counted(1, "run"), counted(0, "class", "classes")
    ('1 run', '0 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
