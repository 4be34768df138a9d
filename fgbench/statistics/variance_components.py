"""Tests of a mean whose variance is a sum of components, each estimated from few or many values.

The approximation of Welch and Satterthwaite gives the sum one number of degrees of freedom. It is anti-conservative if
one component comes from two or three seeds. The interval of Banerjee (Sankhya 22:357-358, 1960) multiplies each
component by the square of its own t quantile before the sum. Its coverage is at least the nominal one for all
components.
"""

from collections.abc import Sequence
from math import inf, log10

from scipy import optimize, special

SMALLEST_P = 1e-60
"""Smallest p-value that `one_sided_p` returns."""

Component = tuple[float, float]
"""A variance of the mean, and the degrees of freedom of its estimate; infinity if the variance is known."""


def half_width(components: Sequence[Component], alpha: float) -> float:
    """Return the distance from the mean to the bound of a one-sided interval (Banerjee 1960).

    Args:
        components: components of the variance of the mean.
        alpha: 1 - confidence of the one-sided interval.

    Example:
        >>> round(half_width([(0.04, 2), (0.01, inf)], 0.05), 3)
        0.607
    """
    return float(sum(variance * _quantile(alpha, freedom) ** 2 for variance, freedom in components) ** 0.5)


def _quantile(alpha: float, freedom: float) -> float:
    """Return the quantile of the t distribution, or of the normal distribution if `freedom` is infinite."""
    return float(special.ndtri(alpha) if freedom == inf else special.stdtrit(freedom, alpha))


def one_sided_p(distance: float, components: Sequence[Component]) -> float:
    """Return the one-sided p-value of a mean that lies `distance` beyond a bound.

    The null hypothesis is that the true mean is not beyond the bound. The p-value is the smallest alpha whose interval
    (`half_width`; Banerjee 1960) excludes the bound. With one component it is Student's t test. Without variance it is
    0 or 1; a mean on the bound gives 1.

    Args:
        distance: estimated mean minus bound.
        components: components of the variance of the mean.

    Example:
        >>> round(one_sided_p(0.607, [(0.04, 2), (0.01, inf)]), 3)
        0.05
    """
    positive = [(variance, freedom) for variance, freedom in components if variance > 0]
    if not positive:
        return float(distance <= 0)
    if len(positive) == 1:
        ((variance, freedom),) = positive
        ratio = distance / variance**0.5
        return float(special.ndtr(-ratio) if freedom == inf else special.stdtr(freedom, -ratio))
    if distance <= 0:
        return 0.5 if distance == 0 else 1 - one_sided_p(-distance, positive)
    if half_width(positive, SMALLEST_P) <= distance:
        return SMALLEST_P
    # Solve for the alpha whose interval ends at the bound.
    return float(
        10
        ** optimize.brentq(lambda p: half_width(positive, 10**p) - distance, log10(SMALLEST_P), log10(0.5), xtol=1e-9)
    )
