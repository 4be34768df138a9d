"""Annotations that a recipe needs and a data set lacks. They are known before an image is decoded."""

from fgbench.datasets.index import Index
from fgbench.datasets.misplaced import file_move
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.usable_splits import check_matches
from fgbench.metrics.person_search import chosen_splits
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.util.errors import FgbenchError, MissingError

ANNOTATIONS = {"boxes": "boxes of the objects", "parts": "keypoints"}
"""Annotation -> its name in words."""


def check_annotations(
    index: Index | ReidIndex, recipe: Recipe, settings: Settings, title: str, tables: dict[str, str]
) -> None:
    """Check that a data set has the annotations that a recipe needs.

    Args:
        index: the images of the run.
        recipe: the recipe of the run.
        settings: settings of the run.
        title: title of the data set.
        tables: kind of annotation -> file that it is read from, for the message.

    Raises:
        MissingError: the data set has no boxes or keypoints, as copies without these files.
        FgbenchError: no test image has a visible keypoint, or no query has a match.
    """
    if isinstance(index, ReidIndex):
        if settings.ranking and settings.ranking.same_camera != "keep":
            for number in range(settings.ranking.splits):
                for split in chosen_splits(index, settings.ranking, number):
                    check_matches(index, split)
        return
    kinds = set(recipe.train) | set(recipe.test)
    if "parts" in kinds:
        kinds.add("boxes")  # distances between keypoints are measured in sizes of the box
    for kind in sorted(kinds & set(ANNOTATIONS)):
        if getattr(index, kind) is None:
            file = tables.get(kind, kind)
            raise MissingError(
                "data",
                f"{title} in {index.root} has no {ANNOTATIONS[kind]}: {file} is missing",
                file_move(index.root, file) or f"put {file} of the official data set into {index.root}",
            )
    if "parts" in kinds and index.parts is not None and not (index.parts[~index.train][..., 2] > 0).any():
        raise FgbenchError(
            f"{index.root / tables.get('parts', '')}: no keypoint is visible in any test image, so that {recipe.key} "
            "measures nothing",
            "put the official file in its place",
        )
