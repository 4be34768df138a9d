"""Faults of files that other programs wrote: MATLAB files, TOML, benchmark results, histories, archives, HTTP answers.

A fault is survived if the reader returns what it returns for the undamaged file, or raises an `FgbenchError`.
"""

import random
from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from pathlib import Path

from faults.case import Case
from faults.foreign_binary import archives, http_answers, matlab_files
from faults.foreign_texts import benchmarks, histories, papers


def foreign_faults(folder: Path, count: int, seed: int = 0) -> Iterator[Case]:
    """Yield cases, of each kind in turn.

    Args:
        folder: an empty folder.
        count: number of cases; a kind of which there are too few gives less.
        seed: seed of the places of the damages.
    """
    rng = random.Random(seed)
    kinds = (
        matlab_files(folder / "matlab", rng), papers(folder / "papers"), benchmarks(folder / "benchmarks", rng),
        histories(folder / "history", rng), archives(folder / "archive", rng), http_answers(folder / "http", rng),
    )  # fmt: skip
    yield from islice((case for case in chain(*zip_longest(*kinds)) if case), count)
