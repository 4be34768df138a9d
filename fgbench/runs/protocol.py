"""The protocol: everything that is identical for every method on a data set, and what a method may see of a split."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.util.hashing import hash_value

METRICS = (("accuracy", "share of test images whose highest score is their class, ties to the lower class"),)
"""Each metric of a classification protocol with its definition."""

SHUFFLED = "shuffled training labels"
SHUFFLED_IDENTITIES = "shuffled identities, in training and test"
"""Names of the control experiments. An untrained network can still match clothes of the same colour. Identities are
therefore also shuffled in test, so that the rates fall to chance level."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Everything that two methods must share before their numbers may stand in one column."""

    data: str
    """Name of the data set."""
    annotations: str
    """Hash of the annotations, split included."""
    images: str
    """Hash of the bytes of every image used."""
    classes: int
    """Number of classes; in a person search, of identities in training."""
    train_images: int
    """Number of images in the training split, or in the first of several."""
    test_images: int
    """Number of images in the test split, or in the first of several."""
    train_sees: tuple[str, ...] = ()
    """Annotations beyond class labels that a method may use in training: `boxes`, `parts`."""
    test_sees: tuple[str, ...] = ()
    """Annotations that a method may use in test: `boxes`, `parts`."""
    metrics: tuple[tuple[str, str], ...] = METRICS
    """Metrics with their definitions."""
    selection: str = "last epoch"
    """The state of a trained method that is measured; nothing selects on the test split."""
    control: str = "none"
    """`none`, or a control experiment such as `shuffled training labels`."""

    @property
    def hash(self) -> str:
        """Hash of all fields. Numbers of two protocols may be compared only if it is equal."""
        return hash_value(asdict(self))

    @classmethod
    def of(
        cls, index: Index, *, train: tuple[str, ...] = (), test: tuple[str, ...] = (), control: str = "none"
    ) -> "Protocol":
        """Return the protocol of the official split of a classification data set.

        Args:
            index: the data set.
            train: annotations that a method may use in training.
            test: annotations that a method may use in test.
            control: name of the control experiment, or `none`.
        """
        return cls(
            data=index.name,
            annotations=hash_value(index.annotation_hashes),
            images=index.image_hash,
            classes=len(index.classes),
            train_images=int(index.train.sum()),
            test_images=int((~index.train).sum()),
            train_sees=train,
            test_sees=test,
            control=control,
        )

    @classmethod
    def of_persons(cls, index: ReidIndex, metrics: tuple[tuple[str, str], ...], *, control: str = "none") -> "Protocol":
        """Return the protocol of a re-identification data set. All splits share it, so that they may be averaged.

        Args:
            index: the data set.
            metrics: names of metrics and rules with their definitions.
            control: name of the control experiment, or `none`.
        """
        first = index.splits[0]
        return cls(
            data=index.name,
            annotations=hash_value(index.annotation_hashes),
            images=index.image_hash,
            classes=len(np.unique(index.identities[first.train])),
            train_images=len(first.train),
            test_images=len(np.union1d(first.query, first.gallery)),
            metrics=metrics,
            control=control,
        )


@dataclass(frozen=True, slots=True)
class Split:
    """One split as a method sees it. A test split has no labels; annotations that the protocol withholds are None."""

    images: Index = field(repr=False)
    """The images without labels and withheld annotations."""
    labels: np.ndarray | None
    """(N,) int64 class labels of a training split, None for a test split."""


def train_split(index: Index, protocol: Protocol, seed: int = 0) -> Split:
    """Return the training split with labels; `seed` permutes them if the protocol is the control experiment."""
    images = index.select(index.train)
    labels = images.labels
    if protocol.control == SHUFFLED:
        labels = np.random.default_rng(seed).permutation(labels)
    return Split(_strip(images, protocol.train_sees), labels)


def test_split(index: Index, protocol: Protocol) -> Split:
    """Return the test split without labels."""
    return Split(_strip(index.select(~index.train), protocol.test_sees), None)


def person_splits(
    index: ReidIndex, split: ReidSplit, searched: np.ndarray, protocol: Protocol, seed: int
) -> tuple[Split, Split]:
    """Return the training images with identities as labels, and the images at rows `searched` without annotations.

    `seed` permutes the labels if the protocol is the control experiment.
    """
    images = index.training(split)
    labels = images.labels
    if protocol.control == SHUFFLED_IDENTITIES:
        labels = np.random.default_rng(seed).permutation(labels)
    return Split(_strip(images, ()), labels), Split(index.images(searched), None)


def _strip(images: Index, sees: tuple[str, ...]) -> Index:
    return replace(
        images,
        labels=np.zeros_like(images.labels),
        boxes=images.boxes if "boxes" in sees else None,
        parts=images.parts if "parts" in sees else None,
    )
