"""Values of simulated nights: `python tests/helpers/simulated_nights.py` prints how often they raise an alarm."""

import sys
from dataclasses import dataclass, replace

import numpy as np
from made_records import RECIPES, of_right
from made_records import Kept as Arrays

from fgbench.judge.nightly.quality import compare_quality
from fgbench.judge.nightly.results_folder import ResultsFolder

NAMES = sorted(RECIPES)


@dataclass(frozen=True)
class Trainings:
    """Random differences between trainings of the same network."""

    images: int
    share: float
    """Mean share of right images."""
    disagree: float
    """Share of images that one of two trainings has right and the other wrong."""
    whole: float
    """Standard deviation of a common effect of a training on all images, in logits."""
    runs: int
    seeds: int
    profile: str

    def chances(self, rng):
        """Return the probability (runs, images) of each image to be right, from a beta distribution."""
        k = self.disagree / (2 * self.share * (1 - self.share))
        size = k / (1 - k)
        return rng.beta(self.share * size, (1 - self.share) * size, (self.runs, self.images)).clip(1e-9, 1 - 1e-9)

    def night(self, rng, chances):
        """Return whether each image is right, (runs, seeds, images)."""
        logits = np.log(chances / (1 - chances))[:, None] + self.whole * rng.normal(size=(self.runs, self.seeds, 1))
        return rng.random(logits.shape) < 1 / (1 + np.exp(-logits))


QUICK = Trainings(images=400, share=0.6, disagree=0.15, whole=0.27, runs=6, seeds=2, profile="quick")
"""Like seeds of the profile `quick`: a standard deviation of 2 points or more, two to four times the binomial one."""
CUB = Trainings(images=5794, share=0.84, disagree=0.09, whole=0.022, runs=6, seeds=3, profile="paper")
"""Test set of the size of CUB; the common effect has 0.1 points, the binomial one 0.3."""


def kept(rights, profile="paper"):
    """Return records of right and wrong images (runs, seeds, images), as `read_folder` returns them."""
    numbered = [(k, seed, r) for k, seeds in enumerate(rights) for seed, r in enumerate(seeds)]
    pairs = [of_right(r, NAMES[k], seed=seed, profile=profile) for k, seed, r in numbered]
    outputs = Arrays(*pairs)
    return ResultsFolder(tuple(record for record, _ in pairs), outputs)


def lose(rng, rights, run, points):
    """Lower the accuracy of all seeds of a run by `points`; each seed loses other images."""
    now = rights.copy()
    for row in now[run]:
        row[rng.choice(np.flatnonzero(row), round(len(row) * points / 100), replace=False)] = False
    return now


def worse(result):
    """Return the findings of kind `worse`."""
    return [finding for finding in result[0] if finding.kind == "worse"]


def quality_alarms(rng, nights, kind=QUICK):
    """Return the number of nights with new trainings that raise an alarm against the previous or the first night."""
    chances = kind.chances(rng)
    first = before = kept(kind.night(rng, chances), kind.profile)
    alarms = 0
    for _ in range(nights):
        now = kept(kind.night(rng, chances), kind.profile)
        alarms += any(finding.fails for base in (before, first) for finding in compare_quality(base, now)[0])
        before = now
    return alarms


def quality_power(rng, nights, kind, points, *, anew):
    """Return the number of nights in which a loss of accuracy is found, with new or with unchanged trainings."""
    found = 0
    for _ in range(nights):
        chances = kind.chances(rng)
        before = kind.night(rng, chances)
        now = lose(rng, kind.night(rng, chances) if anew else before, 4, points)
        found += any(
            "accuracy" in f.where for f in worse(compare_quality(kept(before, kind.profile), kept(now, kind.profile)))
        )
    return found


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    few = max(1, many // 20)
    print(f"values: a false alarm in {quality_alarms(rng, many) / many:.2%} of nights in which all was trained anew")
    for seeds in (1, 3, 5):
        for anew in (False, True):
            found = quality_power(rng, few, replace(CUB, seeds=seeds), 1.0, anew=anew)
            print(
                f"a point at CUB's size, {seeds} seeds, {'anew' if anew else 'same networks'}: {found / few:.0%} found"
            )
    for points in (5, 10, 15):
        found = quality_power(rng, few, QUICK, points, anew=False)
        print(f"{points} points under quick, same networks: {found / few:.0%} found")
