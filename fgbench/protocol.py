"""What is identical for every method on a data set, with a hash; and what a method may see of a split."""

from dataclasses import asdict, dataclass, field, replace

import numpy as np

from fgbench.datasets.index import Index
from fgbench.hashing import hash_value

METRICS = (("accuracy", "share of test images whose highest score is their class, ties to the lower class"),)
"""Each metric of a classification protocol with its definition."""


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
    """Number of classes used."""
    train_images: int
    """Images in the training split."""
    test_images: int
    """Images in the test split."""
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
    if protocol.control == "shuffled training labels":
        labels = np.random.default_rng(seed).permutation(labels)
    return Split(_strip(images, protocol.train_sees), labels)


def test_split(index: Index, protocol: Protocol) -> Split:
    """The test split without labels."""
    return Split(_strip(index.select(~index.train), protocol.test_sees), None)


def _strip(images: Index, sees: tuple[str, ...]) -> Index:
    return replace(
        images,
        labels=np.zeros_like(images.labels),
        boxes=images.boxes if "boxes" in sees else None,
        parts=images.parts if "parts" in sees else None,
    )
