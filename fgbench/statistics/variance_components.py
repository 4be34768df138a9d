"""Tests of a mean whose variance has several parts, each estimated from few or many values.

Adding the parts and giving the sum a number of degrees of freedom (Welch, Satterthwaite) errs on the wrong side where
one of them comes from two or three seeds. So each part is multiplied by the square of its own t quantile before they
are added (Banerjee, Sankhya 22:357-358, 1960), which never errs on the wrong side, whatever the parts.
"""

from collections.abc import Sequence
from math import inf, log10

from scipy import optimize, special, stats

LEAST = 1e-60
"""No p-value is told below it."""

Part = tuple[float, float]
"""A variance of the mean, and the degrees of freedom it was estimated with: infinity for one that is known."""


def half_width(parts: Sequence[Part], alpha: float) -> float:
    """From the mean to the end of a one-sided interval of confidence 1 - alpha."""
    return float(sum(variance * _quantile(alpha, freedom) ** 2 for variance, freedom in parts) ** 0.5)


def _quantile(alpha: float, freedom: float) -> float:
    """That of Student's t, or of the normal distribution."""
    return float(special.ndtri(alpha) if freedom == inf else special.stdtrit(freedom, alpha))


def one_sided(distance: float, parts: Sequence[Part]) -> float:
    """p-value of a mean that lies `distance` beyond a bound, against "it is not beyond it".

    With one part it is Student's; without variance 0 or 1, and 1 on the bound.
    """
    own = [(variance, freedom) for variance, freedom in parts if variance > 0]
    if not own:
        return float(distance <= 0)
    if len(own) == 1:
        ((variance, freedom),) = own
        return float(stats.t.sf(distance / variance**0.5, freedom))
    if distance <= 0:
        return 0.5 if distance == 0 else 1 - one_sided(-distance, own)
    if half_width(own, LEAST) <= distance:
        return LEAST
    # The confidence at which the interval just reaches the bound.
    return float(
        10 ** optimize.brentq(lambda p: half_width(own, 10**p) - distance, log10(LEAST), log10(0.5), xtol=1e-9)
    )
