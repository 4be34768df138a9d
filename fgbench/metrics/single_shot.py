"""Single-gallery-shot CMC, the original protocol of CUHK03: the gallery has one random image of each identity.

Source: Li et al., DeepReID (CVPR 2014). `Search(same_camera="remove")` gives `eval_cuhk03` of torchreid, and
`"remove_camera"` gives the evaluation of open-reid. They differ in the negatives from the camera of the query. All
distractors count as one identity, as in both libraries.
"""

from collections.abc import Iterator

import numpy as np

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.query_blocks import BLOCK_MIB, blocks
from fgbench.util.errors import ArgumentError


def single_shot(
    distances: np.ndarray | Features, search: Search, *, seed: int, repeats: int = 10, block_mib: float = BLOCK_MIB
) -> np.ndarray:
    """Return the rank of the match in random galleries with one image of each identity, for `cmc`.

    Args:
        distances: as in `fgbench.metrics.ranking.rank`.
        search: as in `rank`.
        seed: seed of the random galleries. Each query has its own random generator, so `block_mib` has no effect.
        repeats: number of galleries for each query; 10 in torchreid and open-reid.
        block_mib: as in `rank`.

    Returns:
        (Q, repeats, 2) float64, optimistic and pessimistic rank; infinity for a query without a match.

    Raises:
        ArgumentError: as in `rank`, or `repeats` is below 1.

    Example:
        >>> search = Search(np.array([1]), np.array([2, 2, 1]), same_camera="keep")
        >>> single_shot(np.array([[0.1, 0.2, 0.3]]), search, seed=0, repeats=2).tolist()
        [[[2.0, 2.0], [2.0, 2.0]]]
    """
    if repeats < 1:
        raise ArgumentError(f"a single-shot CMC needs at least one gallery, not {repeats}")
    ranks = np.full((len(search.query_ids), repeats, 2), np.inf)
    for query, match, negatives, images in _queries(distances, search, block_mib):
        draw = np.random.default_rng([seed, query])
        # (repeats, 1) distances of the matches, (repeats, C) distances of one negative of each identity.
        drawn_match = match[draw.integers(len(match), size=(repeats, 1))]
        drawn_negatives = negatives[images.cumsum() - images + draw.integers(images, size=(repeats, len(images)))]
        ranks[query, :, 0] = 1 + (drawn_negatives < drawn_match).sum(axis=1)
        ranks[query, :, 1] = 1 + (drawn_negatives <= drawn_match).sum(axis=1)
    return ranks


def _queries(
    distances: np.ndarray | Features, search: Search, block_mib: float
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield each query with a match: its index, distances to matches (M,) and negatives (N,), and image counts (C,).

    The negatives are sorted by identity. The image counts are the numbers of negatives of each identity, at least 1.
    """
    order = search.gallery_ids.argsort(kind="stable")
    ids = search.gallery_ids[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    matched = False
    for block in blocks(distances, search, block_mib):
        for query in block.queries():
            negative = np.ones(len(order), bool)
            query.keep_negatives(negative)
            kept = negative[order]
            images = np.add.reduceat(kept, starts, dtype=np.int64)
            matched = True
            yield block.rows.start + query.row, query.match, query.distances[order[kept]], images[images > 0]
    if not matched:
        raise ArgumentError(
            f"none of the {len(search.query_ids)} queries has a match in the gallery",
            "use the same ids for queries and gallery",
        )
