"""Error rates of the bounds of the effect of recompressed images (`fgbench.judge.sensitivity`).

Each image has a difficulty, and each compression makes each image more difficult by its own amount. A training moves
all images by its luck, and each image by more luck of its own. The true effect is that on the expected accuracy over
images and trainings.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from made_records import Kept, of_accuracy
from recompressed_runs import settings_at
from scipy import stats
from simulate.rate import Rate, Study
from simulate.seed_noise import NOISES, Noise

from fgbench.judge.sensitivity import find_bounds
from fgbench.records.record import Record

IMAGES = 2000
EASE = 0.5
"""Mean ease of an image, of which the standard deviation is 1: an accuracy of about 69 %."""
OWN_LUCK = 0.3
"""Standard deviation of the luck of one image in one training."""
QUALITIES = (75, 50, 30)
STRENGTHS: Mapping[str, tuple[float, ...]] = {"no effect": (0.0, 0.0, 0.0), "a growing effect": (0.02, 0.05, 0.1)}
"""Effects -> mean loss of ease at each quality. Its standard deviation over images is 0.05, 0.1 and 0.2 in both."""
SPREADS = (0.1, 0.3, 1.0)
"""Standard deviations of the accuracy over trainings from the luck that all images share, in points."""
SEEDS = {"1 pair, 3 plain seeds": (3, 1), "2 pairs": (2, 2), "3 pairs": (3, 3)}
"""Cases -> numbers of plain and of recompressed runs at each quality."""
LIMIT = 0.05
OF_BOUND, OF_INTERVAL = "bound below the largest true effect", "a true effect outside its interval"
OF_UNKNOWN = "bound below the effect of an unknown compression, as strong as the lowest quality, on the same images"


class Trainings:
    """Runs of a recipe, plain and at every quality.

    Args:
        losses: mean loss of ease at each quality.
        spread: standard deviation of the accuracy over trainings, in points; 0 if there is no luck of training at all.
        noise: luck that all images share.
    """

    def __init__(self, losses: Sequence[float], spread: float, noise: Noise) -> None:
        self.losses = (0.0, *losses)
        self.variation = (0.0, 0.05, 0.1, 0.2)
        self.own_luck = OWN_LUCK if spread else 0.0
        self.noise = noise
        slope = stats.norm.pdf(EASE / self._scale(0)) / self._scale(0)
        self.shared_luck = spread / 100 / slope
        # The expected accuracies: over images and their own luck exactly, over the shared luck by many draws.
        luck = self.shared_luck * noise(np.random.default_rng(0), 200_000) if spread else np.zeros(1)
        accuracies = [
            100 * float(stats.norm.cdf((EASE - loss + luck) / self._scale(level)).mean())
            for level, loss in enumerate(self.losses)
        ]
        self.effects = np.array(accuracies[1:]) - accuracies[0]
        """True effect of each quality, in points."""
        settings = {"stages": {}} if not spread else {}
        self._records = {
            (quality, seed): of_accuracy(0.0, seed, half=0, n=IMAGES, settings=settings_at(quality, **settings))
            for quality in (None, *QUALITIES)
            for seed in range(max(plain for plain, _ in SEEDS.values()))
        }

    def _scale(self, level: int) -> float:
        """Return the standard deviation of the ease of an image."""
        return float((1 + self.variation[level] ** 2 + self.own_luck**2) ** 0.5)

    def draw(self, rng: np.random.Generator, plain: int, recompressed: int) -> tuple[Kept, float]:
        """Return records with new images and new luck, and the effect of an unknown compression on these images.

        The unknown compression is as strong as the lowest quality, but makes other images more difficult. Its effect is
        that on the expected accuracy over trainings, in points.

        Args:
            rng: the random generator.
            plain: number of plain runs.
            recompressed: number of runs at each quality.
        """
        ease = EASE + rng.normal(size=IMAGES)
        pairs = []
        for level, quality in enumerate((None, *QUALITIES)):
            loss = self.losses[level] + self.variation[level] * rng.normal(size=IMAGES)
            for seed in range(plain if quality is None else recompressed):
                own = self.own_luck * rng.normal(size=IMAGES) if self.own_luck else 0.0
                shared = self.shared_luck * self.noise(rng, 1)[0] if self.shared_luck else 0.0
                right = ease - loss + own + shared > 0
                pairs.append((self._with(self._records[quality, seed], 100 * float(right.mean())), _arrays(right)))
        unknown = self.losses[-1] + self.variation[-1] * rng.normal(size=IMAGES)
        return Kept(*pairs), 100 * float((self._chance(ease - unknown) - self._chance(ease)).mean())

    def _chance(self, ease: np.ndarray) -> np.ndarray:
        """Return the probability over trainings that an image is classified correctly."""
        luck = float(np.hypot(self.own_luck, self.shared_luck))
        return stats.norm.cdf(ease / luck) if luck else (ease > 0).astype(float)

    def _with(self, record: Record, accuracy: float) -> Record:
        value = record.values["accuracy"].model_copy(update={"value": accuracy})
        return record.model_copy(update={"values": {"accuracy": value}})


def _arrays(right: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "ids": np.arange(IMAGES), "labels": np.zeros(IMAGES, int),
        "scores": np.stack([right, ~right], axis=1).astype(np.float32),
    }  # fmt: skip


def coverage(
    rng: np.random.Generator, trials: int, trainings: Trainings, plain: int, pairs: int, case: str
) -> list[Rate]:
    """Return how often the bound is too small, and how often an interval misses the true effect."""
    too_small = missed = beyond = 0
    for _ in range(trials):
        kept, unknown = trainings.draw(rng, plain, pairs)
        (bound,) = find_bounds(kept.records, kept).values()
        beyond += bound.bound < abs(unknown)
        too_small += bound.bound < np.abs(trainings.effects).max()
        missed += any(
            not effect.interval.low <= true <= effect.interval.high
            for effect, true in zip(bound.effects, trainings.effects, strict=True)
        )
    hits = {OF_BOUND: too_small, OF_INTERVAL: missed, OF_UNKNOWN: beyond}
    return [Rate(what, case, number, trials, LIMIT) for what, number in hits.items()]


def fixed(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the rates of a recipe without luck of training: one run at each quality."""
    return [
        rate
        for name, losses in STRENGTHS.items()
        for rate in coverage(rng, trials, Trainings(losses, 0.0, NOISES["normal"]), 1, 1, f"{name}, no luck")
    ]


def seeded(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the rates of recipes with luck of training; of all spreads, the worst one."""
    rates = []
    for noise_name, noise in NOISES.items():
        for strength, losses in STRENGTHS.items():
            trainings = [Trainings(losses, spread, noise) for spread in SPREADS]
            for seeds, (plain, pairs) in SEEDS.items():
                case = f"{strength}, {noise_name}, {seeds}, worst of the spreads {', '.join(map(str, SPREADS))}"
                of_spreads = [coverage(rng, trials, one, plain, pairs, case) for one in trainings]
                rates += [max(same, key=lambda rate: rate.share) for same in zip(*of_spreads, strict=True)]
    return rates


STUDIES = {
    "compression": Study(
        "Bounds of the effect of a compression, without luck of training", fixed, full=4000, short=100
    ),
    "compression seeds": Study(
        "Bounds of the effect of a compression, with luck of training", seeded, full=500, short=5
    ),
}
