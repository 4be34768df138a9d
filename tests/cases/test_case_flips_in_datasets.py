"""Single flipped bits in annotations and names of files: an error in one sentence, or a change that is told.

As a program, `python tests/cases/test_case_flips_in_datasets.py 700` flips more bits and counts what followed. It needs
`tests/helpers` in PYTHONPATH.
"""

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from cars_folder import write_cars
from few_birds import few_birds
from reid_folders import market

from fgbench.datasets import datasets, reid_datasets
from fgbench.datasets.check import check
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import UNVERIFIED
from fgbench.runs.data_deviations import data_deviations
from fgbench.util.errors import FgbenchError

MAKERS = {
    "cub": lambda root: few_birds(root) / "CUB_200_2011",
    "market1501": lambda root: market(root / "Market-1501-v15.09.15"),
    "cars": lambda root: write_cars(root / "stanford_cars"),
}
PATTERNS = {"cub": "*.txt", "cars": "*.mat", "market1501": "*.jpg"}


KNOWN = {
    "refused", "no value changed", "no file has this name", "told: it differs from the official file",
    "told by counts", "told: the data are not verified",
}  # fmt: skip
"""What may follow."""


class Flips:
    """A small data set whose hashes and counts are the official ones, and flips of single bits in it."""

    def __init__(self, name, root):
        self.name, self.folder = name, MAKERS[name](root)
        self.files = sorted(self.folder.rglob(PATTERNS[name]))
        dataset = (datasets if name in datasets else reid_datasets)[name]
        index = dataset.read(self.folder)
        self.hashes, self.images = index.annotation_hashes, index.image_hash
        known = self.hashes if dataset.official else {}
        self.dataset = replace(dataset, official=known, counts=index.counts)
        self.recipe = next(each for each in load_recipes().values() if each.settings.data == name)

    def outcome_of(self, seed):
        """Flip one bit, read the data set, and flip it back; return what happened."""
        rng = random.Random(f"{self.name} {seed}")
        file = rng.choice(self.files)
        if self.name != "market1501":
            content = file.read_bytes()
            place = rng.randrange(len(content))
            changed = bytearray(content)
            changed[place] ^= 1 << rng.randrange(8)
            file.write_bytes(changed)
            try:
                return self._read(f"{file.name}, byte {place}")
            finally:
                file.write_bytes(content)
        name = bytearray(file.name.encode())
        name[rng.randrange(len(name))] ^= 1 << rng.randrange(8)
        renamed = file.parent / os.fsdecode(bytes(name))
        if b"/" in name or b"\0" in name or renamed.exists():
            return "no file has this name"
        file.rename(renamed)
        try:
            return self._read(f"{file.name} as {bytes(name)!r}")
        finally:
            renamed.rename(file)

    def _read(self, where):
        """Return what follows when the data set is read; every change must be told."""
        try:
            index = self.dataset.read(self.folder)
            same = [index.annotation_hashes, index.image_hash] == [self.hashes, self.images]
        except FgbenchError as error:
            return "refused" if str(self.folder) in str(error) else f"refused without the file: {where}: {error}"
        if same:
            return "no value changed"
        changed = {kind for kind, value in index.annotation_hashes.items() if value != self.hashes.get(kind)}
        told = {deviation.field for deviation in data_deviations(self.dataset, index, index, self.recipe, "none")}
        problems = check(index, self.dataset.official, self.dataset.tables, self.dataset.counts)
        if self.dataset.official:
            assert {f"data.annotations.{kind}" for kind in changed} <= told, (where, changed, told)
            assert problems.problems, where
            return "told: it differs from the official file"
        # No hash of the official names is known: the counts tell it, or the record says that nothing was verified.
        assert UNVERIFIED in told, (where, told)
        assert problems.problems or [note for note in problems.notes if note.kind == "unverified"], where
        return "told by counts" if problems.problems else "told: the data are not verified"


@pytest.mark.parametrize(("name", "count"), [("cub", 150), ("market1501", 150), ("cars", 8)])
def test_a_flipped_bit_is_refused_or_told(name, count, tmp_path):
    """A copied file has one wrong bit: no traceback, and no changed value without a word."""
    flips = Flips(name, tmp_path)
    outcomes = Counter(flips.outcome_of(seed) for seed in range(count))
    assert set(outcomes) <= KNOWN, outcomes
    assert outcomes["refused"] > count // 5, outcomes
    assert flips._read("at the end") == "no value changed"


if __name__ == "__main__":
    for each in MAKERS:
        place = Path(tempfile.mkdtemp())
        os.environ["FGBENCH_CACHE"] = str(place / "cache")
        made = Flips(each, place)
        print(each, dict(Counter(made.outcome_of(seed) for seed in range(int(sys.argv[1]) // len(MAKERS)))))
        shutil.rmtree(place)
