"""What is identical for every method on a data set, with a hash; and what a method may see of a split."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.util.hashing import hash_value

METRICS = (("accuracy", "share of test images whose highest score is their class, ties to the lower class"),)
"""Each metric of a classification protocol with its definition."""

SHUFFLED = "shuffled training labels"
SHUFFLED_IDENTITIES = "shuffled identities, in training and test"
"""The control experiments. Descriptors of a network that has learnt nothing still find clothes of one colour, so that
persons have to be mixed up in test, too, for the rates to fall to chance."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Everything two methods must share before their numbers may stand in one column."""

    data: str
    """Name of the data set."""
    annotations: str
    """Hash of the annotations, split included."""
    images: str
    """Hash of the bytes of every image used."""
    classes: int
    """Number of classes used; of persons, the identities in training."""
    train_images: int
    """Images in the training split, or in the first of several."""
    test_images: int
    """Images in the test split, or in the first of several."""
    train_sees: tuple[str, ...] = ()
    """Annotations beyond class labels that a method may use in training: `boxes`, `parts`."""
    test_sees: tuple[str, ...] = ()
    """Annotations that a method may use in test."""
    metrics: tuple[tuple[str, str], ...] = METRICS
    """Metrics with their definitions."""
    selection: str = "last epoch"
    """Which state of a trained method is measured; nothing selects on the test split."""
    control: str = "none"
    """`none`, or a control experiment such as `shuffled training labels`."""

    @property
    def hash(self) -> str:
        """Two protocols may be compared only if this is equal."""
        return hash_value(asdict(self))

    @classmethod
    def of(
        cls, index: Index, *, train: tuple[str, ...] = (), test: tuple[str, ...] = (), control: str = "none"
    ) -> "Protocol":
        """The protocol of the official split of `index`."""
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
        """The protocol of a data set for re-identification: the same for all its splits, which may be averaged."""
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
    """What a method sees of one split. Test splits carry no labels; annotations the protocol withholds are None."""

    images: Index = field(repr=False)
    """The images, stripped of labels and of every withheld annotation."""
    labels: np.ndarray | None
    """(N,) int64 class labels of a training split, None for a test split."""


def train_split(index: Index, protocol: Protocol, seed: int = 0) -> Split:
    """The training split with labels, permuted from `seed` if the protocol is the shuffled-label control."""
    images = index.select(index.train)
    labels = images.labels
    if protocol.control == SHUFFLED:
        labels = np.random.default_rng(seed).permutation(labels)
    return Split(_strip(images, protocol.train_sees), labels)


def test_split(index: Index, protocol: Protocol) -> Split:
    """The test split without labels."""
    return Split(_strip(index.select(~index.train), protocol.test_sees), None)


def person_splits(
    index: ReidIndex, split: ReidSplit, searched: np.ndarray, protocol: Protocol, seed: int
) -> tuple[Split, Split]:
    """The training images with identities as labels, and the images at `searched` without identity and camera.

    Labels are permuted from `seed` if the protocol is the control of shuffled identities.
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
