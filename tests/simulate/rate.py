"""A measured rate of a simulation, and a study that measures rates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened in simulated trials.

    Example:
        >>> rate = Rate("a false alarm", "Gaussian noise", hits=4, trials=1000, limit=0.01)
        >>> rate.share, round(rate.error, 4), rate.too_high
        (0.004, 0.002, False)
    """

    what: str
    """What is counted, such as `false "reproduced"`."""
    case: str
    """Conditions of the simulation."""
    hits: int
    trials: int
    limit: float | None = None
    """Largest rate that fgbench promises; None for a rate that is only reported."""
    at_least: float | None = None
    """Smallest rate that fgbench promises, for planted faults; None for a rate that is only reported."""
    nights: float | None = None
    """Median number of nights until a planted fault is found, the first one included; None if nights do not count."""

    @property
    def share(self) -> float:
        """Measured rate."""
        return self.hits / self.trials

    @property
    def error(self) -> float:
        """Monte Carlo error: the standard error of the rate. With no hit or only hits, that of one hit more or less."""
        share = min(max(self.share, 1 / self.trials), 1 - 1 / self.trials) if self.trials > 1 else 0.5
        return float((share * (1 - share) / self.trials) ** 0.5)

    @property
    def too_high(self) -> bool:
        """True if the rate is above its limit by more than three Monte Carlo errors."""
        return self.limit is not None and self.share > self.limit + 3 * self._error_at(self.limit)

    @property
    def too_low(self) -> bool:
        """True if the rate is below its promise by more than three Monte Carlo errors."""
        return self.at_least is not None and self.share < self.at_least - 3 * self._error_at(self.at_least)

    def _error_at(self, share: float) -> float:
        return float((share * (1 - share) / self.trials) ** 0.5)


@dataclass(frozen=True, slots=True)
class Study:
    """Simulations that belong together."""

    title: str
    """Title of the table, and what is simulated, in one sentence."""
    run: Callable[[np.random.Generator, int], Sequence[Rate]]
    """Returns the rates from a random generator and a number of trials."""
    full: int
    """Number of trials of the program."""
    short: int
    """Number of trials in the test suite."""
