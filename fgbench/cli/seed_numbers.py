"""The seeds that the user asks for: a number of seeds, or their numbers."""

from fgbench.util.errors import FgbenchError

EXAMPLES = "write a number of seeds, such as --seeds 3, or several seeds, such as --seeds 0,3,5"


def parse_seeds(count: str | None, one: int | None) -> int | tuple[int, ...] | None:
    """Return the number of seeds or the seeds; None if the user says nothing.

    Args:
        count: value of `--seeds`: a number of seeds from 0 on, or seeds with commas between them.
        one: value of `--seed`: one seed.

    Raises:
        FgbenchError: both are given, or `count` is neither.
    """
    if one is not None:
        if count is not None:
            raise FgbenchError("--seed and --seeds are given together", "leave one out")
        return (one,)
    if count is None:
        return None
    words = [word.strip() for word in count.split(",")]
    if not all(word.isdecimal() for word in words):
        raise FgbenchError(f"--seeds {count!r} is no number of seeds", EXAMPLES)
    numbers = tuple(map(int, words))
    if len(numbers) > 1:
        if len(set(numbers)) < len(numbers):
            raise FgbenchError(f"--seeds {count} names a seed twice", EXAMPLES)
        return numbers
    if not numbers[0]:
        raise FgbenchError("--seeds 0 runs nothing", "--seed 0 for the seed 0")
    return numbers[0]
