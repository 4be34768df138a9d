"""Trainings of simulated nights: which test images each of them gets right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from made_records import RECIPES, Kept, of_right

from fgbench.judge.nightly.results_folder import ResultsFolder

NAMES = sorted(RECIPES)
"""Recipes of the runs."""
Effects = Callable[[np.random.Generator, tuple[int, ...]], Iterator[np.ndarray]]
"""Yields for each night the standardised common effect of each training, (runs, seeds)."""


@dataclass(frozen=True)
class Trainings:
    """Random differences between trainings of the same network."""

    images: int
    classes: int
    share: float
    """Mean share of right images."""
    disagree: float
    """Share of images that one of two trainings has right and the other wrong."""
    whole: float
    """Standard deviation of a common effect of a training on all images, in logits."""
    of_class: float
    """Standard deviation of the effect of a training on a class, in logits."""
    runs: int
    seeds: int
    profile: str
    trained: bool = True
    """False if nothing is trained: the outputs are equal in all nights."""
    repeated: bool = False
    """True if every seed gives the same network in all nights."""

    @property
    def labels(self):
        """True class of each image."""
        return np.arange(self.images) % self.classes

    def chances(self, rng):
        """Return the probability (runs, images) of each image to be right, from a beta distribution."""
        k = self.disagree / (2 * self.share * (1 - self.share))
        size = k / (1 - k)
        return rng.beta(self.share * size, (1 - self.share) * size, (self.runs, self.images)).clip(1e-9, 1 - 1e-9)

    def night(self, rng, chances, effects=None):
        """Return whether each image is right, (runs, seeds, images); `effects` (runs, seeds) are normal by default."""
        shape = (self.runs, self.seeds)
        whole = self.whole * (rng.normal(size=shape) if effects is None else effects)
        of_class = self.of_class * rng.normal(size=(*shape, self.classes))
        logits = np.log(chances / (1 - chances))[:, None] + whole[..., None] + of_class[..., self.labels]
        return rng.random(logits.shape) < 1 / (1 + np.exp(-logits.clip(-700, 700)))


QUICK = Trainings(400, 20, share=0.6, disagree=0.15, whole=0.27, of_class=0.3, runs=6, seeds=2, profile="quick")
"""Like seeds of the profile `quick`: a standard deviation of 2 points or more, two to four times the binomial one."""
CUB = Trainings(5794, 200, share=0.84, disagree=0.09, whole=0.022, of_class=0.3, runs=6, seeds=3, profile="paper")
"""Test set of the size of CUB; the common effect has 0.1 points, the binomial one 0.3."""
FROZEN = replace(CUB, seeds=1, trained=False)
"""The same without training or random numbers."""


def independent(draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Effects:
    """Return effects that are independent between nights."""

    def effects(rng, shape):
        while True:
            yield draw(rng, shape)

    return effects


def drifting(rng, shape):
    """Yield normal effects on a wave over 40 nights that moves the accuracy of `QUICK` by 4 % of it, all runs alike."""
    height = 0.04 * QUICK.share / (QUICK.disagree / 2) / QUICK.whole
    for night in count(rng.integers(40)):
        yield rng.normal(size=shape) + height * np.sin(2 * np.pi * night / 40)


def correlated(rho: float) -> Effects:
    """Return normal effects that follow an autoregressive process over nights."""

    def effects(rng, shape):
        now = rng.normal(size=shape)
        while True:
            yield now
            now = rho * now + (1 - rho**2) ** 0.5 * rng.normal(size=shape)

    return effects


EFFECTS: dict[str, Effects] = {
    "Gaussian": independent(lambda rng, shape: rng.normal(size=shape)),
    "t3": independent(lambda rng, shape: rng.standard_t(3, size=shape)),
    "t2": independent(lambda rng, shape: rng.standard_t(2, size=shape)),
    "drift of 4 % of the accuracy": drifting,
    "AR(1) 0.7": correlated(0.7),
    "AR(1) 0.9": correlated(0.9),
}


def kept(rights, profile="paper"):
    """Return records of right and wrong images (runs, seeds, images), as `read_folder` returns them."""
    numbered = [(k, seed, r) for k, seeds in enumerate(rights) for seed, r in enumerate(seeds)]
    pairs = [of_right(r, NAMES[k], seed=seed, profile=profile) for k, seed, r in numbered]
    return ResultsFolder(tuple(record for record, _ in pairs), Kept(*pairs))


def worse(result):
    """Return the findings of kind `worse`."""
    return [finding for finding in result[0] if finding.kind == "worse"]
