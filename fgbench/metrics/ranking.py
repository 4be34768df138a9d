"""Person re-identification: CMC, mean average precision (mAP) and mean inverse negative penalty (mINP).

CMC and the rules for the gallery: Zheng et al., Scalable person re-identification: a benchmark (ICCV 2015), and the
evaluation code of Market-1501 that came with it. mINP: Ye et al., arXiv 2001.04193, section 3.4.

A ranking is computed once and holds every definition; which one a number follows is named where the number is taken.
Where negatives are exactly as near as a match the order is open. Every measure therefore has two values for a query:
an optimistic one (the match comes first) and a pessimistic one (it comes last), which are equal where no tie matters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fgbench.metrics.gallery import BLOCK_MIB, Features, Search, blocks
from fgbench.util.errors import FgbenchError

Ties = Literal["optimistic", "pessimistic", "mean"]
"""Matches before negatives as near as they are, after them, or the mean of the two values of each query's measure."""
NoMatch = Literal["skip", "zero"]
"""A query without any match is left out of the mean (torchreid, FastReID) or counts as zero (layumi's evaluation)."""


@dataclass(frozen=True, slots=True, eq=False)
class RankedQueries:
    """What became of each query; last axis of 2: optimistic, pessimistic. Shares are from 0 to 1."""

    relevant: np.ndarray
    """(Q,) number of matches in the gallery that are not removed."""
    tied: np.ndarray
    """(Q,) bool: a negative is exactly as near as a match, so that the two values differ."""
    first_rank: np.ndarray
    """(Q, 2) rank of the nearest match, from 1; infinity without a match."""
    ap_step: np.ndarray
    """(Q, 2) average precision, the mean over the matches i = 1 ... R at ranks r_i of i / r_i (torchreid, FastReID,
    scikit-learn from 0.19); NaN without a match."""
    ap_trapezoid: np.ndarray
    """(Q, 2) average precision by the trapezoidal rule of Market-1501's own code (and layumi's): the mean over the
    matches of half of (i - 1) / (r_i - 1) + i / r_i, the former being 1 where r_i = 1; never above `ap_step`."""
    inp: np.ndarray
    """(Q, 2) inverse negative penalty R / r_R, the share of matches among all images down to the last match; NaN
    without a match."""

    @property
    def tied_percent(self) -> float:
        """Share of the queries for which a tie matters, in percent."""
        return float(self.tied.mean() * 100)


def rank(distances: np.ndarray | Features, search: Search, *, block_mib: float = BLOCK_MIB) -> RankedQueries:
    """Where the matches of each query stand in its gallery, sorted by distance.

    Args:
        distances: (Q, G), smaller is nearer (negate similarities), or `Features` of both sides.
        search: Q queries, G gallery images, and which of them count.
        block_mib: memory for distances, so many queries being looked at together.

    Raises:
        FgbenchError: shapes do not fit, a distance that is not finite, or no query has any match.
    """
    count = len(search.query_ids)
    relevant, tied = np.zeros(count, np.int64), np.zeros(count, bool)
    first_rank = np.full((count, 2), np.inf)
    ap_step, ap_trapezoid, inp = (np.full((count, 2), np.nan) for _ in range(3))
    for rows, negatives, query, match in blocks(distances, search, block_mib):
        matches = np.bincount(query, minlength=len(negatives))
        stop = matches.cumsum()
        # Of a ranking only the matches' places are wanted: a sort of bare distances, without indices, is the fast way.
        negatives.sort(axis=1)
        before = np.empty((len(query), 2), np.int64)
        for row, start, end in zip(negatives, stop - matches, stop, strict=True):
            before[start:end, 0] = row.searchsorted(match[start:end], "left")
            before[start:end, 1] = row.searchsorted(match[start:end], "right")
        number = np.arange(1, len(query) + 1) - (stop - matches)[query]
        place = before + number[:, None]
        precision = number[:, None] / place
        # Precision just before each match; before the first image of all there is none to be wrong.
        earlier = np.ones_like(precision)
        np.divide(number[:, None] - 1, place - 1, out=earlier, where=place > 1)
        found = matches > 0
        relevant[rows] = matches
        tied[rows] = np.bincount(query, before[:, 0] < before[:, 1], len(negatives)) > 0
        first_rank[rows][found] = place[number == 1]
        ap_step[rows][found] = _mean_of_runs(precision, matches[found])
        ap_trapezoid[rows][found] = _mean_of_runs((earlier + precision) / 2, matches[found])
        inp[rows][found] = precision[number == matches[query]]
    if not relevant.any():
        raise FgbenchError(f"none of the {count} queries has a match in the gallery", "do both sides use the same ids?")
    return RankedQueries(relevant, tied, first_rank, ap_step, ap_trapezoid, inp)


def cmc(first_ranks: np.ndarray, rank: int, *, ties: Ties, no_match: NoMatch) -> float:
    """Cumulative match characteristic: share of the queries with a match among the first `rank` images, in percent.

    Args:
        first_ranks: (Q, 2) or, for several draws of the gallery, (Q, N, 2), optimistic and pessimistic ranks of the
            first match, from 1; infinity where a query has none. Draws count alike.
        rank: from 1.
        ties: which of the two; `mean` for the mean of their CMC.
        no_match: how queries without a match count.

    Raises:
        FgbenchError: a rank below 1, an unknown rule, shapes do not fit, or only queries without a match to skip.
    """
    if rank < 1:
        raise FgbenchError(f"CMC starts at rank 1, not {rank}")
    return average(np.where(np.isinf(first_ranks), np.nan, first_ranks <= rank), ties=ties, no_match=no_match)


def mean_ap(ranking: RankedQueries, *, rule: Literal["step", "trapezoid"], ties: Ties, no_match: NoMatch) -> float:
    """Mean average precision in percent, by one of the two rules told apart in `RankedQueries`; errors as `average`."""
    if rule not in {"step", "trapezoid"}:
        raise FgbenchError(f"no average precision by {rule!r}", "take 'step' or 'trapezoid'")
    return average(ranking.ap_step if rule == "step" else ranking.ap_trapezoid, ties=ties, no_match=no_match)


def mean_inp(ranking: RankedQueries, *, ties: Ties, no_match: NoMatch) -> float:
    """Mean inverse negative penalty, mINP, in percent; errors as `average`."""
    return average(ranking.inp, ties=ties, no_match=no_match)


def average(values: np.ndarray, *, ties: Ties, no_match: NoMatch) -> float:
    """Mean over the queries of a measure, in percent.

    Args:
        values: (Q, ..., 2), shares from 0 to 1, optimistic and pessimistic; NaN where a query has no match.
        ties: which of the two, or the mean of both.
        no_match: how queries without a match count.

    Raises:
        FgbenchError: an unknown rule, shapes do not fit, no queries, or only queries without a match to skip.
    """
    if values.ndim < 2 or values.shape[-1] != 2 or not values.size:
        raise FgbenchError(f"a mean of optimistic and pessimistic values, (Q, ..., 2), not {values.shape}")
    if ties not in {"optimistic", "pessimistic", "mean"}:
        raise FgbenchError(f"no rule {ties!r} for ties", "take 'optimistic', 'pessimistic' or 'mean'")
    if no_match not in {"skip", "zero"}:
        raise FgbenchError(f"no rule {no_match!r} for queries without a match", "take 'skip' or 'zero'")
    chosen = {"optimistic": values[..., :1], "pessimistic": values[..., 1:], "mean": values}[ties]
    shares = chosen.reshape(len(values), -1).mean(axis=1)
    matched = ~np.isnan(shares)
    if no_match == "skip" and not matched.any():
        raise FgbenchError(f"none of the {len(values)} queries has a match", "or count them with no_match='zero'")
    return float(100 * shares[matched].sum() / (matched.sum() if no_match == "skip" else len(values)))


def _mean_of_runs(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Means of values (M, 2) over runs of the given lengths, none of them empty: (len(lengths), 2)."""
    return np.add.reduceat(values, lengths.cumsum() - lengths) / lengths[:, None]  # type: ignore[no-any-return]
