"""Random deviations of trainings from their mean, with a standard deviation of 1."""

from collections.abc import Callable

import numpy as np

Noise = Callable[[np.random.Generator, int], np.ndarray]
"""Returns n independent deviations."""

NOISES: dict[str, Noise] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails (t with 3 degrees of freedom)": lambda rng, n: rng.standard_t(3, size=n) / 3**0.5,
    "skewed to low values (gamma of shape 4)": lambda rng, n: (4 - rng.gamma(4, size=n)) / 2,
}
