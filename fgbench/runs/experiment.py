"""The training images and the test images of a run, for classification and for person search."""

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
from fgbench.metrics.search_rules import SearchRules
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
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
"""Called with (decoded images, all images)."""


@dataclass(frozen=True)
class Experiment:
    """The data of a classification experiment."""

    training: Split
    """Training images with labels."""
    test: Split
    """Test images without labels."""
    truth: Index
    """The test images with all annotations; used only to measure."""
    classes: int
    """Number of classes in training."""
    part_names: tuple[str, ...]
    """Names of the keypoints; empty if the data set has none."""
    name: str = ""
    """Name of the split if the data set has several."""

    def pixels(self, part: Split, pipeline: Pipeline, on_image: OnImage) -> Pixels:
        """Return images of `training` or `test` after the deterministic pipeline steps: (N, H, W, 3) uint8."""
        return cached_pixels(part.images, pipeline, on_image)

    def arrays(self, outputs: Mapping[str, np.ndarray], pipeline: Pipeline) -> dict[str, np.ndarray]:
        """Return the per-sample arrays of the record."""
        return sample_arrays(outputs, self.truth, pipeline)


@dataclass(frozen=True)
class PersonSearch(Experiment):
    """The data of a person search. In training, identities are classes. In test, a query searches for its identity."""

    index: ReidIndex | None = None
    """The whole data set."""
    splits: tuple[ReidSplit, ...] = ()
    """Splits that this run measures; the first determines the training images."""
    rules: SearchRules | None = None
    """Rules of the ranking."""
    seed: int = 0
    """Seed of random galleries and of shuffled identities."""
    shuffle: bool = False
    """True for the control experiment with shuffled identities."""

    def pixels(self, part: Split, pipeline: Pipeline, on_image: OnImage) -> Pixels:
        """Return images as `Experiment.pixels` does; all splits of a data set share the images in the cache."""
        assert self.index is not None
        if len({split.number for split in self.index.splits}) == 1:
            return cached_pixels(part.images, pipeline, on_image)
        everything = self.index.images(np.arange(len(self.index)))
        return Rows(cached_pixels(everything, pipeline, on_image), part.images.ids)

    def arrays(self, outputs: Mapping[str, np.ndarray], pipeline: Pipeline) -> dict[str, np.ndarray]:
        """Return the result of each query, as per-sample arrays of the record."""
        assert self.index is not None
        assert self.rules is not None
        return search_arrays(
            outputs["embedding"], self.index, self.splits, self.rules, seed=self.seed, shuffle=self.shuffle
        )


def protocol_of(index: Index | ReidIndex, recipe: Recipe, settings: Settings, *, shuffle: bool) -> Protocol:
    """Return the protocol of a run.

    Args:
        index: the data set.
        recipe: the recipe of the run.
        settings: settings of the run.
        shuffle: True for the control experiment.

    Raises:
        FgbenchError: the recipe classifies but the data set is for person search, or the reverse; or the data set has
            fewer splits than the recipe names.
    """
    rules = settings.ranking
    if isinstance(index, Index):
        if rules:
            raise FgbenchError(
                f"{recipe.key}: {settings.data} has classes, not persons to search for", "leave out ranking"
            )
        return Protocol.of(index, train=recipe.train, test=recipe.test, control=SHUFFLED if shuffle else "none")
    if rules is None:
        raise FgbenchError(
            f"{recipe.key}: {settings.data} is for person search: its classifier is ranking",
            'set classifier = "ranking"',
        )
    numbers = {split.number for split in index.splits}
    if missing := set(range(1, rules.splits + 1)) - numbers:
        raise FgbenchError(
            f"{recipe.key}: {settings.data} has {len(numbers)} splits; split {min(missing)} does not exist",
            f"set ranking.splits to at most {len(numbers)}",
        )
    return Protocol.of_persons(index, rules.definitions, control=SHUFFLED_IDENTITIES if shuffle else "none")


def experiment(index: Index | ReidIndex, protocol: Protocol, settings: Settings, seed: int) -> Experiment:
    """Return the training and test images of a run.

    Args:
        index: the data set.
        protocol: protocol of the run.
        settings: settings of the run.
        seed: seed of the run; it selects the splits of a person search and shuffles labels of a control experiment.
    """
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
    search: dict[str, Any] = {"index": index, "splits": splits, "rules": settings.ranking, "seed": seed}
    return PersonSearch(
        training=training,
        test=test,
        truth=test.images,
        classes=len(training.images.classes),
        part_names=(),
        name=", ".join(split.name for split in splits),
        shuffle=protocol.control == SHUFFLED_IDENTITIES,
        **search,
    )
