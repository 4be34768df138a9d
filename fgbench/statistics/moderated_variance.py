"""Moderated variances: many variances, each estimated from few values, are shrunk towards a common value."""

from dataclasses import dataclass
from math import inf

import numpy as np
from scipy import optimize, special


@dataclass(frozen=True, slots=True)
class Moderated:
    """Moderated variances with their degrees of freedom."""

    variances: np.ndarray
    """(G,) moderated variances."""
    freedom: float
    """Degrees of freedom of each variance; infinity if all true variances are estimated to be equal."""


def moderate(variances: np.ndarray, freedom: float) -> Moderated:
    """Shrink variances towards a common value (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004, section 6.2).

    The prior of the true variances is a scaled inverse chi-squared distribution. Its two parameters are fitted to the
    mean and variance of the logarithms of the given variances. A mean divided by its moderated standard error then has
    a t distribution whose degrees of freedom are the sum of prior and data.

    Args:
        variances: (G,), each estimated from the same number of values. A variance of 0 counts as the smallest positive
            one in the fit of the prior. A single variance is returned as it is.
        freedom: degrees of freedom of each variance.

    Example:
        >>> moderated = moderate(np.array([1.0, 1.0, 100.0]), 4)
        >>> moderated.variances.round(1).tolist(), round(moderated.freedom, 1)
        ([1.1, 1.1, 82.6], 4.9)
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
    """Return the argument at which the trigamma function equals `value`. The function decreases from infinity to 0."""
    return float(np.exp(optimize.brentq(lambda log: special.polygamma(1, np.exp(log)) - value, -40.0, 40.0)))
