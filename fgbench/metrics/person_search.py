"""Persons searched for in a gallery: from descriptors to what became of each query, as a record keeps it."""

import numpy as np

from fgbench.datasets.reid import ReidIndex, ReidSplit
from fgbench.metrics.distances import distances
from fgbench.metrics.gallery import Search
from fgbench.metrics.ranking import RankedQueries, rank
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.single_shot import single_shot

SHOWN = 6
"""Queries of which the record keeps the first gallery images."""
FIRST = 10
"""How many of these."""


def chosen_splits(index: ReidIndex, rules: SearchRules, seed: int) -> tuple[ReidSplit, ...]:
    """The splits that a seed runs: those of one number, which share their training images."""
    found = tuple(split for split in index.splits if split.number == rules.number(seed))
    return found if rules.directions == "both" else found[:1]


def searched_rows(splits: tuple[ReidSplit, ...]) -> np.ndarray:
    """The images that have to be described, as ascending rows of the data set, each once."""
    return np.unique(np.concatenate([rows for split in splits for rows in (split.query, split.gallery)]))


def shuffled(index: ReidIndex, split: ReidSplit, rng: np.random.Generator) -> np.ndarray:
    """The identities with those of the test images permuted, among images of the same camera and role.

    So there are as many of each in every camera as before, and a query that is in the gallery, too, is still itself.
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
    """Arrays by name, with a row for each query of each split, one split after the other.

    Args:
        descriptors: (N, D), those of `searched_rows(splits)`.
        index: the data set.
        splits: what to search in.
        rules: how.
        seed: of random galleries, and of the control.
        shuffle: the control experiment: identities permuted.

    Returns:
        `ids` and `identities` and `cameras` of the queries, `split` (its name), `relevant`, `tied`, `first_rank`,
        `ap_step`, `ap_trapezoid` and `inp` as in `metrics.ranking.RankedQueries`, with random galleries `shot_rank` as
        `single_shot` gives it; `ties` and `no_match`, the rules that make values of them. Of a few queries of the
        first split, `shown` (S,), their positions, `shown_gallery` (S, FIRST), rows of the data set or -1 where there
        are no more, and `shown_right` (S, FIRST).
    """
    rows = searched_rows(splits)
    found: dict[str, list[np.ndarray]] = {}
    shown: dict[str, np.ndarray] = {}
    for number, split in enumerate(splits):
        who = shuffled(index, split, np.random.default_rng([seed, number])) if shuffle else index.identities
        search = Search(
            who[split.query],
            who[split.gallery],
            index.cameras[split.query],
            index.cameras[split.gallery],
            same_camera=rules.same_camera,
        )
        nearness = distances(
            descriptors, rows.searchsorted(split.query), rows.searchsorted(split.gallery), rules.metric
        )
        ranking = rank(nearness, search)
        arrays = {
            "ids": split.query,
            "identities": who[split.query],
            "cameras": index.cameras[split.query],
            "split": np.full(len(split.query), split.name),
            **_columns(ranking),
        }
        if rules.gallery == "single_shot":
            arrays["shot_rank"] = single_shot(nearness, search, seed=seed, repeats=rules.repeats)
        for name, values in arrays.items():
            found.setdefault(name, []).append(values)
        if not shown:
            shown = _first_images(nearness, search, split, ranking)
    return {
        **{name: np.concatenate(values) for name, values in found.items()},
        **shown,
        "ties": np.array(rules.ties),
        "no_match": np.array(rules.no_match),
    }


def _columns(ranking: RankedQueries) -> dict[str, np.ndarray]:
    names = ("relevant", "tied", "first_rank", "ap_step", "ap_trapezoid", "inp")
    return {name: getattr(ranking, name) for name in names}


def _first_images(
    nearness: np.ndarray, search: Search, split: ReidSplit, ranking: RankedQueries
) -> dict[str, np.ndarray]:
    """What a few queries find first; of images equally near, the first in the gallery's order."""
    matched = np.flatnonzero(ranking.relevant)
    shown = matched[np.unique(np.linspace(0, len(matched) - 1, min(SHOWN, len(matched))).round().astype(int))]
    gallery = np.full((len(shown), FIRST), -1, dtype=np.int64)
    right = np.zeros((len(shown), FIRST), dtype=bool)
    for place, query in enumerate(shown):
        kept = np.flatnonzero(search.kept(int(query)))
        first = kept[nearness[query, kept].argsort(kind="stable")[:FIRST]]
        gallery[place, : len(first)] = split.gallery[first]
        right[place, : len(first)] = search.gallery_ids[first] == search.query_ids[query]
    return {"shown": shown, "shown_gallery": gallery, "shown_right": right}
