"""Variances of many quantities from few values each, every one leaning on the others."""

from dataclasses import dataclass
from math import inf

import numpy as np
from scipy import optimize, special


@dataclass(frozen=True, slots=True)
class Moderated:
    """Variances, and how sure they are."""

    variances: np.ndarray
    """(G,)."""
    freedom: float
    """Degrees of freedom of each: infinity where all are the same but for chance."""


def moderate(variances: np.ndarray, freedom: float) -> Moderated:
    """Variances drawn together as far as they are alike (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004, section 6).

    Each true variance is thought to come from a scaled inverse chi-squared distribution, whose two parameters are those
    that give the mean and variance of the logarithms seen. Then a mean over its standard error has Student's
    distribution with the degrees of freedom of both. One variance alone stays as it is.

    Args:
        variances: (G,), each from the same number of values; of those that are 0, the least of the others is taken.
        freedom: degrees of freedom of each.
    """
    s2 = np.asarray(variances, dtype=np.float64)
    positive = s2[s2 > 0]
    if len(s2) < 2 or not len(positive):
        return Moderated(s2, freedom)
    logs = np.log(np.maximum(s2, positive.min())) - special.digamma(freedom / 2) + np.log(freedom / 2)
    surplus = float(logs.var(ddof=1) - special.polygamma(1, freedom / 2))
    if surplus <= 0:
        return Moderated(np.full(len(s2), np.exp(logs.mean())), inf)
    prior = 2 * _trigamma_inverse(surplus)
    center = float(np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2)))
    return Moderated((prior * center + freedom * s2) / (prior + freedom), prior + freedom)


def _trigamma_inverse(value: float) -> float:
    """Where the trigamma function is `value`: it falls from infinity to 0."""
    return float(np.exp(optimize.brentq(lambda log: special.polygamma(1, np.exp(log)) - value, -40.0, 40.0)))
