"""Error rates of verdicts: a measured mean over seeds against a printed number, both with their luck of training.

The authors' training and the trainings here have the same spread. The printed number is one training of the authors,
rounded to 0.1. It is faithful if the true means are equal; it is at the margin if they differ by exactly the margin.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from simulate.rate import Rate, Study
from simulate.seed_noise import NOISES, Noise

from fgbench.judge.margin_test import by_split, decide, position_of, seed_test
from fgbench.judge.seed_checks import outlying_seeds
from fgbench.papers.printed import load_papers

CELL = replace(next(c for c in load_papers()["bcnn"].cells() if c.id == "t1/bcnn_dd/birds"), margin=0.5)
TRUE, IMAGES = 84.0, 5794
SEEDS, SPREADS = (3, 5, 10, 30), (0.1, 0.2, 0.5, 1.0)
MAX_ADDED, MAX_LOOKS = 100, 40
"""Largest numbers of seeds in the studies that add seeds as advised, and after every seed."""
LIMIT = 0.05
INSIDE, OUTSIDE = 'false "reproduced" at the margin', 'false "not reproduced" or "exceeds", faithful'
Judge = Callable[[np.ndarray, float], str]
"""Returns the position of values, in the order of their seeds, relative to the margin of a printed number."""


def judge_all(values: np.ndarray, printed: float, splits: Sequence[str] = (), draws: int = 0) -> str:
    """Return the position of a fixed number of seeds."""
    cell = replace(CELL, value=printed, draws=draws)
    return position_of(seed_test(cell, by_split(values.tolist(), splits), n=IMAGES, slack=cell.rounding)[1])


def judge_as_advised(values: np.ndarray, printed: float) -> str:
    """Return the position after a user followed the advice on the number of seeds until a decision, or its end."""
    seeds = 3
    while True:
        decision = decide(replace(CELL, value=printed), values[:seeds].tolist(), deterministic=False, n=IMAGES)
        needed = decision.seeds_needed or 0
        if decision.position != "open" or not seeds < needed <= len(values):
            return decision.position
        seeds = needed


def judge_every_seed(values: np.ndarray, printed: float) -> str:
    """Return the first position that is decided if a user looks after every seed, from the third on."""
    for seeds in range(3, len(values) + 1):
        if (position := judge_all(values[:seeds], printed)) != "open":
            return position
    return "open"


def errors(rng: np.random.Generator, trials: int, noise: Noise, seeds: int, judge: Judge, case: str) -> list[Rate]:
    """Return both error rates; of all spreads, the worst one."""
    rates: dict[str, list[Rate]] = {INSIDE: [], OUTSIDE: []}
    for spread in SPREADS:
        wrong = dict.fromkeys(rates, 0)
        for _ in range(trials):
            values = TRUE + spread * noise(rng, seeds)
            printed = round(TRUE + spread * float(noise(rng, 1)[0]), 1)
            side = CELL.margin * rng.choice([-1, 1])
            wrong[INSIDE] += judge(values + side, printed) == "inside"
            wrong[OUTSIDE] += judge(values, printed) in {"above", "below"}
        for what, hits in wrong.items():
            rates[what].append(
                Rate(what, f"{case}, worst of the spreads {', '.join(map(str, SPREADS))}", hits, trials, LIMIT)
            )
    return [max(of_spreads, key=lambda rate: rate.share) for of_spreads in rates.values()]


def fixed_seeds(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the error rates with a number of seeds that is fixed beforehand."""
    return [
        rate
        for name, noise in NOISES.items()
        for seeds in SEEDS
        for rate in errors(rng, trials, noise, seeds, judge_all, f"{name}, {seeds} seeds")
    ]


def added_seeds(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the error rates if seeds are added after a look at the result."""
    return [
        rate
        for name, noise in NOISES.items()
        for case, most, judge in (
            (f"seeds added as advised, up to {MAX_ADDED}", MAX_ADDED, judge_as_advised),
            (f"a look after every seed, up to {MAX_LOOKS}", MAX_LOOKS, judge_every_seed),
        )
        for rate in errors(rng, trials, noise, most, judge, f"{name}, {case}")
    ]


def splits(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return the rate of false "reproduced" with ten random splits, against a mean over ten splits of the authors.

    The spread between splits is twice that between seeds. From the eleventh seed on, the splits are used again.
    """
    rates = []
    for seeds in (10, 30, 100):
        wrong = 0
        names = [str(seed % 10) for seed in range(seeds)]
        for _ in range(trials):
            own = TRUE + 0.2 * rng.normal(size=10)[np.arange(seeds) % 10] + 0.1 * rng.normal(size=seeds)
            authors = TRUE + 0.2 * rng.normal(size=10) + 0.1 * rng.normal(size=10)
            side = CELL.margin * rng.choice([-1, 1])
            wrong += judge_all(own + side, round(float(authors.mean()), 1), names, draws=10) == "inside"
        rates.append(Rate(INSIDE, f"10 splits, {seeds} seeds", wrong, trials, LIMIT))
    return rates


def failed_trainings(rng: np.random.Generator, trials: int) -> list[Rate]:
    """Return how often failed trainings are found, and how often good ones are called outliers."""
    rates = []
    for seeds in (5, 10, 30):
        found = inside = with_failure = 0
        for _ in range(trials):
            failed = rng.random(seeds) < 0.1
            values = TRUE + 0.1 * rng.normal(size=seeds) - 10.0 * failed
            if failed.any():
                with_failure += 1
                found += bool(outlying_seeds(dict(enumerate(values.tolist())), CELL.margin, "points"))
                inside += judge_all(values, TRUE) == "inside"
        case = f"each of {seeds} trainings fails by 10 points with a probability of 10 %, at least one does"
        rates += [
            Rate("failed training found", case, found, with_failure, at_least=0.9 if seeds < 30 else 0.99),
            Rate('"reproduced" in spite of a failed training', case, inside, with_failure, limit=0.001),
        ]
    for name, noise in NOISES.items():
        for spread in (0.1, 0.5):
            values = (TRUE + spread * noise(rng, 10) for _ in range(trials))
            wrong = sum(bool(outlying_seeds(dict(enumerate(v.tolist())), CELL.margin, "points")) for v in values)
            rates.append(Rate("good training called an outlier", f"{name}, 10 seeds, spread {spread}", wrong, trials))
    return rates


STUDIES = {
    "verdicts": Study("Verdicts with a fixed number of seeds", fixed_seeds, full=4000, short=100),
    "added seeds": Study("Verdicts with seeds that are added after a look", added_seeds, full=1000, short=4),
    "splits": Study("Verdicts over random splits", splits, full=4000, short=400),
    "failed trainings": Study("Failed trainings among the seeds", failed_trainings, full=2000, short=200),
}
