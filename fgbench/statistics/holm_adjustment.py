"""Many tests at once."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false alarm among them is kept (Holm, Scand. J. Stat. 6:65-70, 1979).

    Returns:
        Adjusted values in the order given: one at or below alpha is significant at alpha among all.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted.tolist()  # type: ignore[no-any-return]
