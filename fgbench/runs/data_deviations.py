"""Deviations of the data of a run from the official data set of its recipe."""

from collections.abc import Iterator

from fgbench.datasets import Dataset, OwnImages, ReidDataset
from fgbench.datasets.image_folder_check import leaked
from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex
from fgbench.papers.recipes import Recipe
from fgbench.records.record import UNVERIFIED, Deviation


def data_deviations(
    dataset: Dataset | ReidDataset,
    whole: Index | ReidIndex,
    index: Index | ReidIndex,
    recipe: Recipe,
    control: str,
) -> list[Deviation]:
    """Return the deviations: annotations, counts, classes, images, control.

    Args:
        dataset: the data set of the run.
        whole: all its images.
        index: the images of the run.
        recipe: the recipe of the run.
        control: name of the control experiment, or `none`.
    """
    deviations = []

    def add(name: str, official: object, here: object, changes_experiment: bool) -> None:
        deviations.append(_deviation(name, official, here, changes_experiment))

    all_classes = len(whole.classes) if isinstance(whole, Index) else 0
    classes = len(index.classes) if isinstance(index, Index) else 0
    if isinstance(dataset, OwnImages) and isinstance(index, Index):
        add("data", recipe.settings.data, f"the user's own images in {dataset.title}", True)
        if copies := leaked(index):
            count = len(index) - int(index.train.sum())
            add("data.leak", "no test image is a training image", f"{copies} of {count} test images are", True)
        if classes < all_classes:
            add("data.classes", all_classes, f"the first {classes}", True)
    elif dataset.name != recipe.settings.data:
        add("data", recipe.settings.data, dataset.name, True)
    elif not dataset.synthetic:
        deviations += _of_annotations(dataset, whole)
        if classes < all_classes:
            add("data.classes", all_classes, f"the first {classes}", True)
        if isinstance(index, Index) and (recompressed := index.count_not_jpeg()):
            here = f"{recompressed} of {len(index)} recompressed, not JPEG"
            add("data.images", "the official JPEG files", here, False)
    if control != "none":
        add("control", "none", control, True)
    return deviations


def _of_annotations(dataset: Dataset | ReidDataset, whole: Index | ReidIndex) -> Iterator[Deviation]:
    """Yield the differences between the annotations and the official ones, as far as these are known."""
    if not dataset.official:
        here = "not verified: no hash of the official files is known"
        yield _deviation(UNVERIFIED, "the official files", here, changes_experiment=False)
    for kind, expected in dataset.official.items():
        if kind not in whole.annotation_hashes:  # recipes that need it cannot be planned
            yield _deviation(f"data.annotations.{kind}", "the official file", "missing", changes_experiment=False)
        elif whole.annotation_hashes[kind] != expected:
            yield _deviation(f"data.annotations.{kind}", "the official file", "another", changes_experiment=True)
    for kind, number in dataset.counts.items():
        if whole.counts[kind] != number:
            yield _deviation(f"data.counts.{kind}", number, whole.counts[kind], changes_experiment=True)


def _deviation(name: str, official: object, here: object, changes_experiment: bool) -> Deviation:
    return Deviation(field=name, recipe=official, run=here, origin="data", changes_experiment=changes_experiment)
