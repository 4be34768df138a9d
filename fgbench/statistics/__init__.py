"""Confidence intervals and hypothesis tests; each function names its source."""

from fgbench.statistics.equivalence import ALPHA, LEVEL, MIN_SEEDS, Equivalence, Spread, spread_of_splits, tost
from fgbench.statistics.equivalence_power import POWER, power, seeds_to_decide, spread_that_decides
from fgbench.statistics.holm_adjustment import holm
from fgbench.statistics.intervals import Interval, bootstrap_interval, mean_interval, standard_error, wilson_interval
from fgbench.statistics.paired import (
    McNemar,
    PairedDifference,
    compare_crossed,
    compare_resampled,
    mcnemar,
    paired_permutation,
)
from fgbench.statistics.power_law import PowerLaw, power_law

__all__ = [
    "ALPHA",
    "LEVEL",
    "MIN_SEEDS",
    "POWER",
    "Equivalence",
    "Interval",
    "McNemar",
    "PairedDifference",
    "PowerLaw",
    "Spread",
    "bootstrap_interval",
    "compare_crossed",
    "compare_resampled",
    "holm",
    "mcnemar",
    "mean_interval",
    "paired_permutation",
    "power",
    "power_law",
    "seeds_to_decide",
    "spread_of_splits",
    "spread_that_decides",
    "standard_error",
    "tost",
    "wilson_interval",
]
