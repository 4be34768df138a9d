"""Person search from a file: descriptors of images, or distances between query and gallery images."""

from typing import Any

import numpy as np

from fgbench.datasets.reid import JUNK, ReidIndex, ReidSplit
from fgbench.judge.outside.answers import Answers, needed
from fgbench.judge.outside.faults import Faults, listed
from fgbench.judge.outside.images import AskedImages
from fgbench.metrics.person_search import ranked_arrays, search_arrays, searched_rows
from fgbench.metrics.search_rules import SearchRules
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError

ONE_WAY = "give features, or the distances of a data set whose splits have one direction"


def searched(
    answers: Answers, index: ReidIndex, splits: tuple[ReidSplit, ...], rules: SearchRules, *, seed: int
) -> dict[str, np.ndarray]:
    """Return the arrays of a record of person search.

    Args:
        answers: with `features` (M, D) of the images `image`; or with `distances` (Q, G), where `query` and `gallery`
            name the images of rows and columns, or `query_ids`, `query_cameras`, `gallery_ids` and `gallery_cameras`
            say who is in them.
        index: the data set.
        splits: the splits of the seed.
        rules: the rules of the search.
        seed: number of the file, from 0; it selects random galleries.

    Raises:
        FgbenchError: an image is unknown, double or missing, or a number is not finite.
    """
    if "distances" not in answers.arrays:
        descriptors = _descriptors(answers, index, splits)
        return search_arrays(descriptors, index, splits, rules, seed=seed)
    if len(splits) > 1:
        raise answers.error(f"distances answer one direction, split {splits[0].number} has {len(splits)}", ONE_WAY)
    matrix = _distances(answers, index, splits[0])
    return ranked_arrays(lambda split: matrix, index, splits, rules, seed=seed)


def _asked(index: ReidIndex, rows: np.ndarray, what: str) -> AskedImages:
    return AskedImages(index.name, what, index.files, rows, ignored=np.flatnonzero(index.identities == JUNK))


def _check(answers: Answers, faults: Faults, what: str) -> None:
    if faults.texts:
        raise answers.error("; ".join(faults.texts), f"give each of the {what} exactly once")


def _descriptors(answers: Answers, index: ReidIndex, splits: tuple[ReidSplit, ...]) -> np.ndarray:
    """Return the descriptors (N, D) of `searched_rows`."""
    (features,) = needed(answers, ["features"])
    what = f"query and gallery images of split {splits[0].name}"
    asked, faults = _asked(index, searched_rows(splits), what), Faults("image")
    order = asked.order(answers, faults)
    _check(answers, faults, what)
    if features.ndim != 2 or len(features) != len(answers.arrays["image"]) or features.dtype.kind not in "iuf":
        raise answers.error(f"features has the shape {features.shape}, not one row for each image")
    descriptors: np.ndarray = features[order]
    finite = np.isfinite(descriptors).all(axis=1)
    if not finite.all():
        names = [index.files[row] for row in asked.rows[~finite]]
        raise answers.error(
            f"features of {counted(len(names), 'image')} not finite: {listed(names)}", "give finite numbers"
        )
    return descriptors if descriptors.dtype.kind == "f" else descriptors.astype(np.float64)


def _distances(answers: Answers, index: ReidIndex, split: ReidSplit) -> np.ndarray:
    """Return the distances (Q, G) of a split, in the order of its query and gallery images."""
    (matrix,) = needed(answers, ["distances"])
    if "query" in answers.arrays or "gallery" in answers.arrays:
        needed(answers, ["query", "gallery"])
        sides = [_order_by_name(answers, index, rows, name) for name, rows in _sides(split)]
        lengths = [len(answers.arrays[name]) for name, _ in _sides(split)]
    else:
        needed(answers, [f"{name}_{kind}" for name, _ in _sides(split) for kind in ("ids", "cameras")])
        sides = [_order_by_person(answers, index, rows, name) for name, rows in _sides(split)]
        lengths = [len(answers.arrays[f"{name}_ids"]) for name, _ in _sides(split)]
    if matrix.shape != tuple(lengths) or matrix.dtype.kind not in "iuf":
        raise answers.error(f"distances has the shape {matrix.shape}, not {lengths[0]} query by {lengths[1]} gallery")
    ordered: np.ndarray = matrix[np.ix_(sides[0], sides[1])]
    if not np.isfinite(ordered).all():
        number = counted(int((~np.isfinite(ordered)).sum()), "distance")
        raise answers.error(f"{number} not finite", "give finite numbers")
    return ordered.astype(np.float64, copy=False)


def _sides(split: ReidSplit) -> tuple[tuple[str, np.ndarray], ...]:
    return (("query", split.query), ("gallery", split.gallery))


def _order_by_name(answers: Answers, index: ReidIndex, rows: np.ndarray, name: str) -> np.ndarray:
    """Return the position in the file of each query or gallery image."""
    asked, faults = _asked(index, rows, f"{name} images"), Faults(f"{name} image")
    order = asked.order(answers, faults, name)
    _check(answers, faults, f"{name} images")
    return order


def _order_by_person(answers: Answers, index: ReidIndex, rows: np.ndarray, name: str) -> np.ndarray:
    """Return the position in the file of each query or gallery image, from who is in it and which camera took it.

    Images of one person by one camera keep their order. No rate depends on it, except with random galleries.
    """
    persons, cameras = needed(answers, [f"{name}_ids", f"{name}_cameras"])
    if persons.ndim != 1 or persons.shape != cameras.shape or {persons.dtype.kind, cameras.dtype.kind} - set("iu"):
        raise answers.error(f"{name}_ids and {name}_cameras are not whole numbers of the same length")
    kept = np.flatnonzero(persons != JUNK)
    order: np.ndarray = np.empty(len(rows), dtype=np.int64)
    given, official = _counts(persons[kept], cameras[kept]), _counts(index.identities[rows], index.cameras[rows])
    if given != official:
        raise _other_images(answers, name, given, official)
    order[_sorted(index.identities[rows], index.cameras[rows])] = kept[_sorted(persons[kept], cameras[kept])]
    return order


def _sorted(persons: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Return the positions of images by person, then camera, then order."""
    return np.lexsort((cameras, persons))


def _counts(persons: np.ndarray, cameras: np.ndarray) -> dict[tuple[int, int], int]:
    pairs, counts = np.unique(np.stack([persons, cameras], axis=1), axis=0, return_counts=True)
    return {(int(person), int(camera)): int(count) for (person, camera), count in zip(pairs, counts, strict=True)}


def _other_images(answers: Answers, name: str, given: dict[Any, int], official: dict[Any, int]) -> FgbenchError:
    """Return the error for persons and cameras that have another number of images than in the data set."""
    differing = sorted(key for key in {*given, *official} if given.get(key, 0) != official.get(key, 0))
    texts = [
        f"person {person}, camera {camera}: {given.get((person, camera), 0)} instead of "
        f"{official.get((person, camera), 0)}"
        for person, camera in differing
    ]
    return answers.error(
        f"another number of {name} images than in the data set: {listed(texts)}",
        f"give each of the {name} images exactly once",
    )
