"""Person search: per-query arrays of a record from descriptors."""

from collections.abc import Callable

import numpy as np

from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.metrics.distances import distances
from fgbench.metrics.gallery import Search
from fgbench.metrics.ranking import RankedQueries, rank
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.single_shot import single_shot

SHOWN = 6
"""Number of queries for which the record keeps the first gallery images."""
FIRST = 10
"""Number of first gallery images of such a query."""


def chosen_splits(index: ReidIndex, rules: SearchRules, seed: int) -> tuple[ReidSplit, ...]:
    """Return the splits that a seed uses: those with one number, which share their training images.

    Example:
        >>> from pathlib import Path
        >>> splits = tuple(ReidSplit(n, 1, np.array([0]), np.array([1]), np.array([2, 3])) for n in ("1a", "1b"))
        >>> index = ReidIndex(
        ...     "four", Path(), tuple("abcd"), np.array([5, 6, 6, 7]), np.array([1, 1, 2, 2]), splits
        ... )
        >>> [split.name for split in chosen_splits(index, SearchRules(metric="cosine", directions="first"), seed=0)]
        ['1a']
    """
    splits = tuple(split for split in index.splits if split.number == rules.number(seed))
    return splits if rules.directions == "both" else splits[:1]


def searched_rows(splits: tuple[ReidSplit, ...]) -> np.ndarray:
    """Return the images that need descriptors: ascending unique rows of the data set.

    Example:
        >>> split = ReidSplit("1", 1, np.array([0]), np.array([5, 2]), np.array([9, 5]))
        >>> searched_rows((split,)).tolist()
        [2, 5, 9]
    """
    return np.unique(np.concatenate([rows for split in splits for rows in (split.query, split.gallery)]))


def shuffle_identities(index: ReidIndex, split: ReidSplit, rng: np.random.Generator) -> np.ndarray:
    """Return the identities of all images, with random permutations within each camera and role of test images.

    The roles are query, gallery, and both. The permutation keeps the number of images of each identity in each camera
    and role. An image that is both query and gallery image has one identity.

    Example:
        >>> from pathlib import Path
        >>> split = ReidSplit("1", 1, np.array([0]), np.array([1]), np.array([2, 3]))
        >>> index = ReidIndex(
        ...     "four", Path(), tuple("abcd"), np.array([5, 6, 6, 7]), np.array([1, 1, 2, 2]), (split,)
        ... )
        >>> shuffle_identities(index, split, np.random.default_rng(0))[:2].tolist()  # training image and only query
        [5, 6]
    """
    identities = index.identities.copy()
    roles = 2 * np.isin(np.arange(len(index)), split.query) + np.isin(np.arange(len(index)), split.gallery)
    for camera in np.unique(index.cameras):
        for role in (1, 2, 3):
            rows = np.flatnonzero((index.cameras == camera) & (roles == role))
            identities[rows] = identities[rng.permutation(rows)]
    return identities


def search_arrays(
    descriptors: np.ndarray,
    index: ReidIndex,
    splits: tuple[ReidSplit, ...],
    rules: SearchRules,
    *,
    seed: int,
    shuffle: bool = False,
) -> dict[str, np.ndarray]:
    """Return the arrays of a record by name, with one row for each query, split by split.

    Args:
        descriptors: (N, D) descriptors of `searched_rows(splits)`.
        index: index of the data set.
        splits: splits with queries and galleries.
        rules: rules of the evaluation.
        seed: seed of the random galleries and of the control.
        shuffle: run the control experiment with permuted identities.

    Returns:
        Queries: `ids`, `identities`, `cameras`, and `split`, the name of the split.
        Measures: `relevant`, `tied`, `first_rank`, `ap_step`, `ap_trapezoid` and `inp`, as in
        `fgbench.metrics.ranking.RankedQueries`; with random galleries also `shot_rank`, as in `single_shot`.
        Rules for ties and queries without a match: `ties`, `no_match`.
        Examples, for a few queries of the first split: `shown` (S,), positions of the queries; `shown_gallery`
        (S, FIRST), rows of the first gallery images, -1 if there are fewer; `shown_right` (S, FIRST), whether they are
        matches.

    Example:
        >>> from pathlib import Path
        >>> split = ReidSplit("1", 1, np.array([0]), np.array([1]), np.array([2, 3]))
        >>> index = ReidIndex(
        ...     "four", Path(), tuple("abcd"), np.array([5, 6, 6, 7]), np.array([1, 1, 2, 2]), (split,)
        ... )
        >>> descriptors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], dtype=np.float32)  # of rows 1, 2, 3
        >>> arrays = search_arrays(descriptors, index, (split,), SearchRules(metric="cosine"), seed=0)
        >>> arrays["ids"].tolist(), arrays["first_rank"].tolist(), arrays["shown_gallery"][0, :3].tolist()
        ([1], [[2.0, 2.0]], [3, 2, -1])
    """
    rows = searched_rows(splits)

    def of_split(split: ReidSplit) -> np.ndarray:
        return distances(descriptors, rows.searchsorted(split.query), rows.searchsorted(split.gallery), rules.metric)

    return ranked_arrays(of_split, index, splits, rules, seed=seed, shuffle=shuffle)


def ranked_arrays(
    distances_of: Callable[[ReidSplit], np.ndarray],
    index: ReidIndex,
    splits: tuple[ReidSplit, ...],
    rules: SearchRules,
    *,
    seed: int,
    shuffle: bool = False,
) -> dict[str, np.ndarray]:
    """Return the arrays of `search_arrays` from distances.

    Args:
        distances_of: returns the distances (Q, G) of a split between its query and gallery images; smaller is nearer.
        index: index of the data set.
        splits: splits with queries and galleries.
        rules: rules of the evaluation.
        seed: seed of the random galleries and of the control.
        shuffle: run the control experiment with permuted identities.

    Example:
        >>> from pathlib import Path
        >>> split = ReidSplit("1", 1, np.array([0]), np.array([1]), np.array([2, 3]))
        >>> index = ReidIndex(
        ...     "four", Path(), tuple("abcd"), np.array([5, 6, 6, 7]), np.array([1, 1, 2, 2]), (split,)
        ... )
        >>> arrays = ranked_arrays(
        ...     lambda split: np.array([[0.1, 0.2]]), index, (split,), SearchRules(metric="cosine"), seed=0
        ... )
        >>> arrays["first_rank"].tolist()
        [[1.0, 1.0]]
    """
    columns: dict[str, list[np.ndarray]] = {}
    shown: dict[str, np.ndarray] = {}
    for number, split in enumerate(splits):
        identities = (
            shuffle_identities(index, split, np.random.default_rng([seed, number])) if shuffle else index.identities
        )
        search = Search(
            identities[split.query],
            identities[split.gallery],
            index.cameras[split.query],
            index.cameras[split.gallery],
            same_camera=rules.same_camera,
        )
        query_distances = distances_of(split)
        ranked = rank(query_distances, search)
        arrays = {
            "ids": split.query,
            "identities": identities[split.query],
            "cameras": index.cameras[split.query],
            "split": np.full(len(split.query), split.name),
            **_measures(ranked),
        }
        if rules.gallery == "single_shot":
            arrays["shot_rank"] = single_shot(query_distances, search, seed=seed, repeats=rules.repeats)
        for name, values in arrays.items():
            columns.setdefault(name, []).append(values)
        if not shown:
            shown = _first_images(query_distances, search, split, ranked)
    return {
        **{name: np.concatenate(values) for name, values in columns.items()},
        **shown,
        "ties": np.array(rules.ties),
        "no_match": np.array(rules.no_match),
    }


def _measures(ranked: RankedQueries) -> dict[str, np.ndarray]:
    names = ("relevant", "tied", "first_rank", "ap_step", "ap_trapezoid", "inp")
    return {name: getattr(ranked, name) for name in names}


def _first_images(
    query_distances: np.ndarray, search: Search, split: ReidSplit, ranked: RankedQueries
) -> dict[str, np.ndarray]:
    """Return the first gallery images of a few queries; ties are in the order of the gallery."""
    matched = np.flatnonzero(ranked.relevant)
    shown = matched[np.unique(np.linspace(0, len(matched) - 1, min(SHOWN, len(matched))).round().astype(int))]
    gallery = np.full((len(shown), FIRST), -1, dtype=np.int64)
    right = np.zeros((len(shown), FIRST), dtype=bool)
    for place, query in enumerate(shown):
        kept = np.flatnonzero(search.kept(int(query)))
        first = kept[query_distances[query, kept].argsort(kind="stable")[:FIRST]]
        gallery[place, : len(first)] = split.gallery[first]
        right[place, : len(first)] = search.gallery_ids[first] == search.query_ids[query]
    return {"shown": shown, "shown_gallery": gallery, "shown_right": right}
