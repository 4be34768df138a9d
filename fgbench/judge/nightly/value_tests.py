"""Paired tests of the values of runs in two nights, on the same images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from scipy import special

from fgbench.judge.nightly.run_rows import RunRows, ValueRows, count_differing
from fgbench.statistics import holm
from fgbench.statistics.detectable_loss import detectable_count, detectable_loss
from fgbench.statistics.overdispersion import Dispersion, decrease_test, estimate_dispersion
from fgbench.util.counted import counted

ALPHA = 0.00025
"""Nominal probability of a false alarm against one baseline: of values down, of values up, and of the spread over
seeds. A night is compared with two baselines. `python -m tests.simulate` measures the rate of false alarms."""
POWER = 0.9
"""Power at which the detectable change is reported."""
DISPERSION = {"quick": 2.5}
"""Expected variance between trainings by profile, as a multiple of the binomial variance; the recipes of the quick
profile show 1.3 to 4.2."""
DEFAULT_DISPERSION = 1.25
"""The same for other profiles: 0.1 to 0.2 points between trainings at the size of the test set of CUB-200-2011."""


@dataclass(frozen=True, slots=True)
class ValueTest:
    """One test of a run, over all its seeds."""

    where: str
    """The run and what was tested."""
    base: float
    """Value in the baseline."""
    head: float
    """Value in the judged night."""
    unit: str
    """Unit of the value."""
    down: float
    """One-sided p-value for a change to the worse, adjusted for all runs."""
    up: float
    """One-sided p-value for a change to the better, adjusted for all runs."""
    test: str
    """Name of the test."""
    detail: str
    """What changed: number of images, or classes."""
    level: float = ALPHA
    """Largest adjusted p-value of a finding."""
    detectable: str = ""
    """The smallest change to the worse that the test finds with the power `POWER`, as text."""


def dispersion_of(runs: Iterable[RunRows], profile: str) -> Dispersion:
    """Return the dispersion between the trainings of a profile, estimated from the seeds of the baseline."""
    old = [[rows.old for rows in run.values] for run in runs if run.profile == profile and run.trained]
    return estimate_dispersion(old, DISPERSION.get(profile, DEFAULT_DISPERSION))


def compare_values(runs: Sequence[RunRows]) -> list[ValueTest]:
    """Return the tests of all values that are means over images.

    A run that is not trained and draws no random number is tested without any variance between trainings. The p-values
    are adjusted by Bonferroni for the number of runs that differ and by Holm for the values of each run, so that a run
    with many values does not weaken the tests of the other runs.

    Args:
        runs: the runs of both nights.
    """
    dispersions = {profile: dispersion_of(runs, profile) for profile in {run.profile for run in runs}}
    differing, tests = count_differing(runs), []
    for run in runs:
        dispersion = dispersions[run.profile] if run.trained else None
        down = [decrease_test(rows.old, rows.new, dispersion) for rows in run.values]
        up = holm([decrease_test(rows.new, rows.old, dispersion)[0] for rows in run.values])
        level = ALPHA / max(1, differing * len(run.values))
        for rows, (_, test), p, q in zip(run.values, down, holm([p for p, _ in down]), up, strict=True):
            loss = _detectable(rows, dispersion, level)
            tests.append(_value_test(run, rows, test, min(1.0, differing * p), min(1.0, differing * q), loss))
    return tests


def _value_test(run: RunRows, rows: ValueRows, test: str, down: float, up: float, loss: float) -> ValueTest:
    lower, higher = ((a > b).any(axis=0).sum() for a, b in ((rows.old, rows.new), (rows.new, rows.old)))
    before = float(np.mean([pair.base.values[rows.name].value for pair in run.pairs]))
    after = float(np.mean([pair.head.values[rows.name].value for pair in run.pairs]))
    moved = f"{counted(int(lower), 'image')} lower and {higher} higher of {rows.old.shape[1]}"
    unit = run.pairs[0].base.values[rows.name].unit
    found = f"{-100 * loss:.2f}" if 100 * loss < before else ""
    return ValueTest(f"{run.label}: {rows.name}", before, after, unit, down, up, test, moved, detectable=found)


def _detectable(rows: ValueRows, dispersion: Dispersion | None, level: float) -> float:
    """Return the loss of a value, as a part of 1, that its test finds with the power `POWER`."""
    if dispersion is not None:
        return detectable_loss(rows.old, rows.new, dispersion, level, POWER)
    old, new = rows.old[:1], rows.new[:1]
    if np.isin(np.concatenate([old, new]), (0.0, 1.0)).all():
        # As many images as get better for other reasons get worse for them.
        usual = 2 * min(int((old > new).sum()), int((old < new).sum()))
        return detectable_count(usual, level, POWER) / int(old.shape[1])
    # The bound of Hoeffding instead of a normal distribution.
    quantile = float(special.ndtri(level))
    bound = 2 * log(1 / level) / quantile**2
    return detectable_loss(old, new, Dispersion(bound, np.inf), level, POWER)
