"""Person re-identification: CMC, mean average precision (mAP) and mean inverse negative penalty (mINP).

CMC and the rules for the gallery: Zheng et al., Scalable person re-identification: a benchmark (ICCV 2015), and its
evaluation code for Market-1501. mINP: Ye et al., arXiv 2001.04193, section 3.4.

`rank` computes all definitions of average precision at once; `average` and `cmc` reduce them to one number. If a
negative has exactly the same distance as a match, their order is undefined. Every measure of a query therefore has two
values: optimistic (the match comes first) and pessimistic (the match comes last).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fgbench.metrics.gallery import Features, Search
from fgbench.metrics.negatives_before import negatives_before
from fgbench.metrics.query_blocks import BLOCK_MIB, blocks
from fgbench.util.errors import ArgumentError

Ties = Literal["optimistic", "pessimistic", "mean"]
"""Rule for ties: matches before negatives at the same distance, after them, or the mean of both values."""
NoMatch = Literal["skip", "zero"]
"""A query without a match is skipped (torchreid, FastReID) or counts as zero (evaluation code of layumi)."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedQueries:
    """Measures of each query. The last axis of size 2 is (optimistic, pessimistic). Shares are from 0 to 1.

    Example:
        >>> search = Search(np.array([1]), np.array([2, 1]), same_camera="keep")
        >>> rank(np.array([[0.1, 0.1]]), search).tied_percent
        100.0
    """

    relevant: np.ndarray
    """(Q,) number of matches in the gallery, without removed images."""
    tied: np.ndarray
    """(Q,) bool: a negative has exactly the same distance as a match, so the two values differ."""
    first_rank: np.ndarray
    """(Q, 2) rank of the nearest match, from 1; infinity without a match."""
    ap_step: np.ndarray
    """(Q, 2) average precision by steps: the mean of i / r_i over the matches i = 1 ... R at ranks r_i (torchreid,
    FastReID, scikit-learn from 0.19); NaN without a match."""
    ap_trapezoid: np.ndarray
    """(Q, 2) average precision by the trapezoidal rule of the evaluation codes of Market-1501 and layumi: the mean over
    the matches of ((i - 1) / (r_i - 1) + i / r_i) / 2, where the first term is 1 if r_i = 1; never above `ap_step`."""
    inp: np.ndarray
    """(Q, 2) inverse negative penalty R / r_R: the share of matches among all images up to the last match; NaN without
    a match."""

    @property
    def tied_percent(self) -> float:
        """Percentage of queries whose optimistic and pessimistic values differ."""
        return float(self.tied.mean() * 100)


def rank(distances: np.ndarray | Features, search: Search, *, block_mib: float = BLOCK_MIB) -> RankedQueries:
    """Rank the gallery of each query by distance and compute the measures of the matches.

    Args:
        distances: (Q, G), smaller is nearer (negate similarities), or `Features` of queries and gallery images.
        search: Q queries and G gallery images, and the rules for the images that count.
        block_mib: memory for distances in MiB; determines the number of queries in a block.

    Raises:
        ArgumentError: the shapes do not fit, a distance is not finite, or no query has a match.

    Example:
        >>> search = Search(np.array([1]), np.array([2, 1, 1]), same_camera="keep")
        >>> ranked = rank(np.array([[0.1, 0.2, 0.3]]), search)
        >>> ranked.first_rank[0].tolist(), ranked.ap_step[0].round(3).tolist(), ranked.inp[0].round(3).tolist()
        ([2.0, 2.0], [0.583, 0.583], [0.667, 0.667])
    """
    count = len(search.query_ids)
    relevant, tied = np.zeros(count, np.int64), np.zeros(count, bool)
    first_rank = np.full((count, 2), np.inf)
    ap_step, ap_trapezoid, inp = (np.full((count, 2), np.nan) for _ in range(3))
    for block in blocks(distances, search, block_mib):
        rows, matches = block.rows, block.matches
        # (M, 2) number of negatives before each match: optimistic, pessimistic. Only these are needed, not the order.
        counts = [negatives_before(q.distances, q.match, q.keep_negatives) for q in block.queries()]
        if not counts:
            continue
        before = np.stack([np.concatenate(side) for side in zip(*counts, strict=True)], axis=1)
        query, stop = np.arange(len(matches)).repeat(matches), matches.cumsum()
        # (M,) number i of each match of its query, and (M, 2) its rank r_i and precision i / r_i.
        number = np.arange(1, len(query) + 1) - (stop - matches)[query]
        ranks = before + number[:, None]
        precision = number[:, None] / ranks
        # (M, 2) precision just before each match, (i - 1) / (r_i - 1); 1 before the first image.
        earlier = np.ones_like(precision)
        np.divide(number[:, None] - 1, ranks - 1, out=earlier, where=ranks > 1)
        has_match = matches > 0
        relevant[rows] = matches
        tied[rows] = np.bincount(query, before[:, 0] < before[:, 1], len(matches)) > 0
        first_rank[rows][has_match] = ranks[number == 1]
        ap_step[rows][has_match] = _mean_of_runs(precision, matches[has_match])
        ap_trapezoid[rows][has_match] = _mean_of_runs((earlier + precision) / 2, matches[has_match])
        inp[rows][has_match] = precision[number == matches[query]]
    if not relevant.any():
        raise ArgumentError(
            f"none of the {count} queries has a match in the gallery", "use the same ids for queries and gallery"
        )
    return RankedQueries(relevant, tied, first_rank, ap_step, ap_trapezoid, inp)


def cmc(first_ranks: np.ndarray, rank: int, *, ties: Ties, no_match: NoMatch) -> float:
    """Return the cumulative match characteristic (CMC): the percentage of queries with a match up to `rank`.

    Args:
        first_ranks: optimistic and pessimistic rank of the first match, from 1: (Q, 2), or (Q, N, 2) for N random
            galleries, which have equal weight. Infinity if a query has no match.
        rank: number of images from the start of the ranking, at least 1.
        ties: rule for ties.
        no_match: rule for queries without a match.

    Raises:
        ArgumentError: the rank is below 1, a rule is unknown, the shapes do not fit, or no query remains.

    Example:
        >>> cmc(np.array([[1, 1], [3, 3]]), 1, ties="mean", no_match="skip")
        50.0
    """
    if rank < 1:
        raise ArgumentError(f"the rank of a CMC has to be at least 1, not {rank}")
    return average(np.where(np.isinf(first_ranks), np.nan, first_ranks <= rank), ties=ties, no_match=no_match)


def average(values: np.ndarray, *, ties: Ties, no_match: NoMatch) -> float:
    """Return the mean of a measure over queries, in percent: mAP of `ap_step` or `ap_trapezoid`, mINP of `inp`.

    Args:
        values: (Q, ..., 2) shares from 0 to 1, optimistic and pessimistic; NaN if a query has no match.
        ties: rule for ties.
        no_match: rule for queries without a match.

    Raises:
        ArgumentError: a rule is unknown, the shapes do not fit, or no query remains.

    Example:
        >>> ap = np.array([[1.0, 0.5], [np.nan, np.nan]])
        >>> average(ap, ties="mean", no_match="skip"), average(ap, ties="mean", no_match="zero")
        (75.0, 37.5)
    """
    if values.ndim < 2 or values.shape[-1] != 2 or not values.size:
        raise ArgumentError(f"the values have to be optimistic and pessimistic, (Q, ..., 2), not {values.shape}")
    if ties not in {"optimistic", "pessimistic", "mean"}:
        raise ArgumentError(f"the rule {ties!r} for ties is unknown", "use 'optimistic', 'pessimistic' or 'mean'")
    if no_match not in {"skip", "zero"}:
        raise ArgumentError(f"the rule {no_match!r} for queries without a match is unknown", "use 'skip' or 'zero'")
    chosen = {"optimistic": values[..., :1], "pessimistic": values[..., 1:], "mean": values}[ties]
    shares = chosen.reshape(len(values), -1).mean(axis=1)
    matched = ~np.isnan(shares)
    if no_match == "skip" and not matched.any():
        raise ArgumentError(
            f"none of the {len(values)} queries has a match", "set no_match='zero' to count them as zero"
        )
    return float(100 * shares[matched].sum() / (matched.sum() if no_match == "skip" else len(values)))


def _mean_of_runs(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return means over consecutive runs of rows of `values` (M, 2), with positive lengths: (len(lengths), 2)."""
    return np.add.reduceat(values, lengths.cumsum() - lengths) / lengths[:, None]  # type: ignore[no-any-return]
