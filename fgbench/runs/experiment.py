"""What a run learns from and what it is measured on, for data sets of classes and for those of persons."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import Pixels, Rows, cached_pixels
from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.metrics.person_search import chosen_splits, search_arrays, searched_rows
from fgbench.metrics.sample_arrays import sample_arrays
from fgbench.metrics.search_rules import Ranking
from fgbench.papers.recipes import Recipe, Settings
from fgbench.runs.protocol import (
    SHUFFLED,
    SHUFFLED_IDENTITIES,
    Protocol,
    Split,
    person_splits,
    test_split,
    train_split,
)
from fgbench.util.errors import FgbenchError

OnImage = Callable[[int, int], object]
"""Called with (images done, images in all) as decoding goes on."""


@dataclass(frozen=True)
class Experiment:
    """A data set of classes."""

    training: Split
    """With labels."""
    test: Split
    """Without."""
    truth: Index
    """The test images with everything that is known of them, for measuring alone."""
    classes: int
    part_names: tuple[str, ...]
    name: str = ""
    """Of the split, where a data set has several."""

    def pixels(self, part: Split, pipeline: Pipeline, on_image: OnImage) -> Pixels:
        """The images of `training` or `test` after the deterministic steps of a pipeline."""
        return cached_pixels(part.images, pipeline, on_image)

    def arrays(self, outputs: Mapping[str, np.ndarray], pipeline: Pipeline) -> dict[str, np.ndarray]:
        """The per-sample arrays of the record."""
        return sample_arrays(outputs, self.truth, pipeline)


@dataclass(frozen=True)
class PersonSearch(Experiment):
    """A split of a data set of persons: identities are classes in training, and searched for in test."""

    index: ReidIndex | None = None
    splits: tuple[ReidSplit, ...] = ()
    rules: Ranking | None = None
    seed: int = 0
    shuffle: bool = False

    def pixels(self, part: Split, pipeline: Pipeline, on_image: OnImage) -> Pixels:
        """As for classes; the splits of a data set share the images in the cache."""
        assert self.index is not None
        if len({split.number for split in self.index.splits}) == 1:
            return cached_pixels(part.images, pipeline, on_image)
        everything = self.index.images(np.arange(len(self.index)))
        return Rows(cached_pixels(everything, pipeline, on_image), part.images.ids)

    def arrays(self, outputs: Mapping[str, np.ndarray], pipeline: Pipeline) -> dict[str, np.ndarray]:
        """What became of each query."""
        assert self.index is not None
        assert self.rules is not None
        return search_arrays(
            outputs["embedding"], self.index, self.splits, self.rules, seed=self.seed, shuffle=self.shuffle
        )


def protocol_of(index: Index | ReidIndex, recipe: Recipe, settings: Settings, *, shuffle: bool) -> Protocol:
    """The protocol of a run.

    Raises:
        FgbenchError: the recipe classifies where there are persons to be searched for, or the other way round; or there
            are fewer splits than it names.
    """
    rules = settings.ranking
    if isinstance(index, Index):
        if rules:
            raise FgbenchError(f"{recipe.key}: {settings.data} has classes, and no persons to be searched for")
        return Protocol.of(index, train=recipe.train, test=recipe.test, control=SHUFFLED if shuffle else "none")
    if rules is None:
        raise FgbenchError(f"{recipe.key}: {settings.data} has persons to be searched for: its classifier is ranking")
    there = {split.number for split in index.splits}
    if lacking := set(range(1, rules.splits + 1)) - there:
        raise FgbenchError(
            f"{recipe.key}: {settings.data} has {len(there)} splits, and none of number {min(lacking)}",
            f"set ranking.splits to {len(there)} at most",
        )
    return Protocol.of_persons(index, rules.definitions, control=SHUFFLED_IDENTITIES if shuffle else "none")


def experiment(index: Index | ReidIndex, protocol: Protocol, settings: Settings, seed: int) -> Experiment:
    """What a run of a seed learns from and is measured on."""
    if isinstance(index, Index):
        return Experiment(
            training=train_split(index, protocol, seed),
            test=test_split(index, protocol),
            truth=index.select(~index.train),
            classes=len(index.classes),
            part_names=index.part_names,
        )
    assert settings.ranking is not None
    splits = chosen_splits(index, settings.ranking, seed)
    training, test = person_splits(index, splits[0], searched_rows(splits), protocol, seed)
    assert training.labels is not None
    own: dict[str, Any] = {"index": index, "splits": splits, "rules": settings.ranking, "seed": seed}
    return PersonSearch(
        training=training,
        test=test,
        truth=test.images,
        classes=len(training.images.classes),
        part_names=(),
        name=", ".join(split.name for split in splits),
        shuffle=protocol.control == SHUFFLED_IDENTITIES,
        **own,
    )
