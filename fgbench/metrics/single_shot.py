"""Single-gallery-shot CMC, the classic protocol of CUHK03: the gallery holds one random image of each identity.

Li et al., DeepReID (CVPR 2014). With `Search(same_camera="remove")` this is torchreid's `eval_cuhk03`, with
`"remove_camera"` open-reid's; they differ by the negatives from the query's own camera. All distractors count
as one identity, as they do there.
"""

from collections.abc import Iterator

import numpy as np

from fgbench.metrics.gallery import BLOCK_MIB, Features, Search, blocks
from fgbench.util.errors import FgbenchError


def single_shot(
    distances: np.ndarray | Features, search: Search, *, seed: int, repeats: int = 10, block_mib: float = BLOCK_MIB
) -> np.ndarray:
    """Rank of the match in random galleries of one image an identity, for `cmc`: (Q, repeats, 2) float64.

    Last axis: optimistic, pessimistic; infinity for a query without a match.

    Args:
        distances: as `ranking.rank`.
        search: as `ranking.rank`.
        seed: of the draws; each query has a generator of its own, so `block_mib` changes nothing.
        repeats: galleries for each query; 10 in torchreid and open-reid.
        block_mib: as `ranking.rank`.

    Raises:
        FgbenchError: as `ranking.rank`, or less than one repeat.
    """
    if repeats < 1:
        raise FgbenchError(f"a CMC needs one gallery at least, not {repeats}")
    ranks = np.full((len(search.query_ids), repeats, 2), np.inf)
    for query, match, negatives, images in _queries(distances, search, block_mib):
        draw = np.random.default_rng([seed, query])
        own = match[draw.integers(len(match), size=(repeats, 1))]
        others = negatives[images.cumsum() - images + draw.integers(images, size=(repeats, len(images)))]
        ranks[query, :, 0] = 1 + (others < own).sum(axis=1)
        ranks[query, :, 1] = 1 + (others <= own).sum(axis=1)
    return ranks


def expected_single_shot(
    distances: np.ndarray | Features, search: Search, *, ranks: int, block_mib: float = BLOCK_MIB
) -> np.ndarray:
    """What the CMC of `single_shot` tends to with ever more repeats, for each query: (Q, ranks, 2) float64.

    Entry k - 1 is the probability that the match is among the first k images, to be averaged by `ranking.average`; last
    axis: optimistic, pessimistic; NaN for a query without a match. Given the match that is drawn, each other identity
    gets before it with the share of its images that are nearer, independently of the others; so the number before it
    has a Poisson binomial distribution, which is built up identity by identity.

    Args:
        distances: as `ranking.rank`.
        search: as `ranking.rank`.
        ranks: how many ranks, from 1.
        block_mib: as `ranking.rank`.

    Raises:
        FgbenchError: as `ranking.rank`, or less than one rank.
    """
    if ranks < 1:
        raise FgbenchError(f"CMC starts at rank 1, not {ranks}")
    result = np.full((len(search.query_ids), ranks, 2), np.nan)
    for query, match, negatives, images in _queries(distances, search, block_mib):
        nearer = np.stack([negatives < match[:, None], negatives <= match[:, None]], axis=1)
        shares = np.add.reduceat(nearer, images.cumsum() - images, axis=2, dtype=np.int64) / images
        chance = np.zeros((ranks, len(match), 2))  # of exactly 0, 1, 2, ... identities before the match
        chance[0] = 1
        for share in np.moveaxis(shares, 2, 0):
            chance[1:] += share * (chance[:-1] - chance[1:])
            chance[0] *= 1 - share
        result[query] = chance.mean(axis=1).cumsum(axis=0)
    return result


def _queries(
    distances: np.ndarray | Features, search: Search, block_mib: float
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Each query that has a match: its number, distances to its matches (M,) and negatives (N,), and runs (C,).

    The negatives come identity after identity; the runs are how many images each of these has, never 0.
    """
    order = search.gallery_ids.argsort(kind="stable")
    ids = search.gallery_ids[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    matched = False
    for rows, negatives, query, match in blocks(distances, search, block_mib):
        for row in np.unique(query):
            nearness = negatives[row, order]
            kept = np.isfinite(nearness)
            images = np.add.reduceat(kept, starts, dtype=np.int64)
            matched = True
            yield rows.start + int(row), match[query == row], nearness[kept], images[images > 0]
    if not matched:
        raise FgbenchError(f"none of the {len(search.query_ids)} queries has a match in the gallery")
