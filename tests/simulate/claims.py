"""Error rates of claims: an order between two methods whose true accuracies are equal."""

from collections.abc import Sequence

import numpy as np
from simulate.rate import Rate, Study
from simulate.seed_noise import NOISES, Noise

from fgbench.judge.run_pairs import p_over_looks
from fgbench.statistics import ALPHA, compare_crossed, mcnemar

IMAGES, ACCURACY = 5794, 0.84
SPREADS = ((0.1, 0.1), (0.5, 0.5), (1.0, 1.0), (0.1, 1.0))
"""Standard deviations between the trainings of both methods, in points."""
WIDE = ((0.1, 6.0), (6.0, 6.0))
"""Spreads beside which the images hardly count."""
LOOKS = range(3, 11)
LIMIT = 0.05
WHAT = "false order of two equal methods"


def rights(rng: np.random.Generator, noise: Noise, easiness: np.ndarray, seeds: int, spread: float) -> np.ndarray:
    """Return right and wrong images of the trainings of one method: (S, N).

    Each method has images of its own that it tends to get right. A training changes the accuracy of all images by
    `spread` points, and each image by chance.
    """
    chances = np.clip(easiness + 0.1 * rng.normal(size=len(easiness)), 0, 1)
    changes = spread / 100 * noise(rng, seeds)
    return rng.random((seeds, len(easiness))) < chances + changes[:, None]


def false_orders(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the rate of false orders with fixed and with added seeds."""
    rates = []
    for name, noise in NOISES.items():
        for spreads in SPREADS:
            for case, looks in (
                ("3 seeds", (3,)),
                ("10 seeds", (10,)),
                ("a look after every seed to 10", range(3, 11)),
            ):
                rates.append(_rate(rng, trials, noise, spreads, looks, f"{name}, spreads {{}} and {{}}, {case} a side"))
        for spreads in WIDE:
            case = f"{name}, spreads {{}} and {{}}, a look after every seed to 40 a side, few images"
            rates.append(_rate(rng, trials, noise, spreads, range(3, 41), case, images=1000))
    return rates


def _rate(
    rng: np.random.Generator,
    trials: int,
    noise: Noise,
    spreads: tuple[float, float],
    looks: Sequence[int],
    case: str,
    images: int = IMAGES,
) -> Rate:
    """Return the rate of false orders at any look."""
    wrong = 0
    for _ in range(trials):
        easiness = np.clip(rng.normal(ACCURACY, 0.25, images), 0.1, 0.9)
        a, b = (rights(rng, noise, easiness, max(looks), spread) for spread in spreads)
        p = (p_over_looks(compare_crossed(a[:n], b[:n]).p, n) for n in looks)
        wrong += any(value < ALPHA for value in p)
    return Rate(WHAT, case.format(*spreads), wrong, trials, LIMIT)


def single_networks(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the rate of false orders by McNemar's test of one trained network a side, which is refused therefore."""
    rates = []
    for spread in (0.1, 1.0):
        wrong = 0
        for _ in range(trials):
            easiness = np.clip(rng.normal(ACCURACY, 0.25, IMAGES), 0.1, 0.9)
            a, b = (rights(rng, NOISES["normal"], easiness, 1, spread)[0] for _ in range(2))
            wrong += mcnemar(a, b).p < ALPHA
        text = f"normal, spreads {spread} and {spread}, one training a side: refused"
        rates.append(Rate(WHAT, text, wrong, trials))
    return rates


STUDIES = {
    "claims": Study("Claims on the order of two methods", false_orders, full=500, short=20),
    "claims of one training": Study("Why one training a side is refused", single_networks, full=2000, short=200),
}
