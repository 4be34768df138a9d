"""Values of simulated nights: how often an unchanged night fails, and how soon planted faults are found.

The trainings of a run differ by a common effect on all images, by an effect on each class, and by chance for each
image. Each night trains all networks anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from made_records import made
from simulate.rate import Rate, Study
from simulate.trainings import CUB, EFFECTS, FROZEN, NAMES, QUICK, Effects, Trainings, kept

from fgbench.judge.nightly.findings import Finding, take_second_look
from fgbench.judge.nightly.quality import compare_quality, compare_runs
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_rows import RunRows, ValuePair, ValueRows
from fgbench.judge.nightly.value_tests import compare_values
from fgbench.metrics.values import Value
from fgbench.util.counted import counted

SERIES = 50
"""Nights of a series; a failed null night is accepted."""
NIGHTS = 5
"""Nights in which a planted fault may be found."""
RUN = 4
"""The run with a planted fault."""
Fault = Callable[[np.random.Generator, np.ndarray, Trainings], np.ndarray]
"""Returns the right images of a night, (runs, seeds, images), after a fault."""


@lru_cache
def _record(run: int, seed: int, profile: str):
    return made(NAMES[run], seed, profile=profile, values={"accuracy": Value(value=0.0, unit="%", n=1)})


def run_rows(before, after, kind: Trainings) -> list[RunRows]:
    """Return the runs of two nights (runs, seeds, images) without files."""
    rows = []
    for k, (old, new) in enumerate(zip(before, after, strict=True)):
        records = [
            [
                _record(k, seed, kind.profile).model_copy(
                    update={"values": {"accuracy": Value(value=100 * float(right.mean()), unit="%", n=len(right))}}
                )
                for seed, right in enumerate(night)
            ]
            for night in (old, new)
        ]
        arrays = {"labels": kind.labels}
        pairs = tuple(ValuePair(a, b, arrays, arrays) for a, b in zip(*records, strict=True))
        values = (ValueRows("accuracy", old.astype(float), new.astype(float)),)
        rows.append(RunRows(NAMES[k], pairs, values, kind.trained))
    return rows


@dataclass
class Nights:
    """The baselines, as `fgbench nightly` keeps them."""

    kind: Trainings
    baseline: np.ndarray
    fixed: np.ndarray
    suspects: set[str] = field(default_factory=set)

    def judge(self, night, *, accept=False) -> list[Finding]:
        """Return the failures of a night; a failed night replaces no baseline unless failures are accepted."""
        found = [*compare_runs(run_rows(self.baseline, night, self.kind))[0]]
        if self.fixed is not self.baseline:
            found += compare_runs(run_rows(self.fixed, night, self.kind))[0]
        failures = [finding for finding in take_second_look(found, self.suspects) if finding.fails]
        accepted = accept and failures
        self.suspects = set() if accepted else {finding.where for finding in found if finding.second_look}
        if accepted or not failures:
            self.baseline = night
        if accepted:
            self.fixed = night
        return failures


def alarms(rng, nights: int, kind: Trainings, effects: Effects) -> int:
    """Return the number of nights without a change that fail."""
    failed, left = 0, nights
    while left:
        chances, process = kind.chances(rng), effects(rng, (kind.runs, kind.seeds))
        first = kind.night(rng, chances, next(process))
        kept_nights = Nights(kind, first, first)
        for _ in range(min(SERIES, left)):
            failed += bool(kept_nights.judge(kind.night(rng, chances, next(process)), accept=True))
            left -= 1
    return failed


def null_nights(rng: np.random.Generator, trials: int) -> Sequence[Rate]:
    """Return the rate of false alarms for each distribution of the common effect of a training.

    The last cases have one seed a run, for which nothing is promised, and runs without training in which images change
    at random.
    """
    size = f"{QUICK.images} images of {QUICK.classes} classes, {QUICK.share:.0%} right; {QUICK.runs} runs"
    one, frozen = replace(QUICK, seeds=1), replace(QUICK, seeds=1, trained=False, whole=0.0, of_class=0.0)
    cases = [
        *((f"{name}; {size}, {QUICK.seeds} seeds", QUICK, effects, 0.01) for name, effects in EFFECTS.items()),
        (f"not trained, {QUICK.disagree:.0%} of images change; {size}", frozen, EFFECTS["Gaussian"], 0.01),
        *((f"{name}; {size}, 1 seed", one, EFFECTS[name], None) for name in ("Gaussian", "t2")),
    ]
    return [
        Rate("a night without a change fails", case, alarms(rng, trials, kind, effects), trials, limit=limit)
        for case, kind, effects, limit in cases
    ]


def lose(rng, rights, run, points):
    """Lower the accuracy of all seeds of a run by `points`; each seed loses other images."""
    now = rights.copy()
    for row in now[run]:
        right = np.flatnonzero(row)
        row[rng.choice(right, min(len(right), round(len(row) * points / 100)), replace=False)] = False
    return now


def lose_classes(count: int) -> Fault:
    """Return the fault that all images of some classes of a run are wrong."""

    def fault(rng, rights, kind):
        now = rights.copy()
        now[RUN][:, np.isin(kind.labels, rng.choice(kind.classes, count, replace=False))] = False
        return now

    return fault


def lose_points(points: float) -> Fault:
    """Return the fault that a run loses some points of accuracy."""
    return lambda rng, rights, kind: lose(rng, rights, RUN, points)


def apart(rng, rights, kind):
    """Move the first seed of a run down and the last one up by ten points."""
    now, shift = rights.copy(), kind.images // 10
    for seed, value in ((0, True), (-1, False)):
        row = now[RUN, seed]
        row[rng.choice(np.flatnonzero(row == value), shift, replace=False)] = not value
    return now


def wider(kind: Trainings) -> Trainings:
    """Return trainings whose standard deviation between seeds, common and by chance, is three times as large."""
    slope = kind.disagree / 2
    by_chance = slope / kind.images
    return replace(kind, whole=(9 * (by_chance + (slope * kind.whole) ** 2) - by_chance) ** 0.5 / slope)


def gain(rng, rights, kind):
    """Raise the accuracy of all seeds of a run by 15 points."""
    return ~lose(rng, ~rights, RUN, 15)


def found_after(
    rng, kind: Trainings, fault: Fault | None = None, faulty: Trainings | None = None, within=NIGHTS
) -> int:
    """Return the number of nights until a fault in `RUN` is found; 0 if it is not found.

    Args:
        rng: random generator.
        kind: trainings without the fault.
        fault: changes right images; with equal random numbers every night.
        faulty: trainings of `RUN` with the fault.
        within: largest number of nights.
    """
    chances = kind.chances(rng)
    first = kind.night(rng, chances)
    nights, seed = Nights(kind, first, first), int(rng.integers(2**32))
    for number in range(1, within + 1):
        now = kind.night(rng, chances) if kind.trained and not kind.repeated else first.copy()
        if faulty:
            now[RUN] = faulty.night(rng, chances)[RUN]
        if fault:
            now = fault(np.random.default_rng(seed + number * kind.trained), now, kind)
        if any(finding.where.startswith(f"{NAMES[RUN]}:") for finding in nights.judge(now)):
            return number
    return 0


def found(what: str, kind: Trainings, at_least: float | None = None, part=1, **fault) -> Callable[..., Rate]:
    """Return a simulation of how often a planted fault is found, and after how many nights.

    Args:
        what: the fault.
        kind: trainings without the fault.
        at_least: smallest rate that is promised.
        part: the number of trials is divided by it, for simulations of many nights.
        fault: arguments of `found_after`.
    """
    how = "with the same networks" if kind.repeated else "trained anew"
    trained = f"{how}, {counted(kind.seeds, 'seed')}" if kind.trained else "not trained"
    case = f"{kind.runs} runs {trained}; {kind.images:,} images of {kind.classes} classes, {kind.share:.0%} right"

    def simulate(rng, trials):
        trials = max(1, trials // part)
        nights = [found_after(rng, kind, **fault) for _ in range(trials)]
        hits = [number for number in nights if number]
        within = f"{what}, found within {fault.get('within', NIGHTS)} nights"
        return Rate(within, case, len(hits), trials, at_least=at_least, nights=float(np.median(hits)) if hits else None)

    return simulate


def detectable(what: str, kind: Trainings) -> Callable[..., Rate]:
    """Return a simulation of how often the loss that a check prints as detectable is found in one night."""

    def simulate(rng, trials):
        hits = 0
        for _ in range(trials):
            chances = kind.chances(rng)
            before = kind.night(rng, chances)
            now = kind.night(rng, chances) if kind.trained else before
            loss = -float(compare_values(run_rows(before, now, kind))[RUN].detectable)
            test = compare_values(run_rows(before, lose(rng, now, RUN, loss), kind))[RUN]
            hits += test.down <= test.level
        return Rate("the loss printed as detectable, found in one night", what, hits, trials, at_least=0.9)

    return simulate


def swapped(rng, trials: int) -> Rate:
    """Return how often other weights with an equal accuracy are named; with files and hashes."""
    hits = 0
    for _ in range(trials):
        right = rng.random((2, 1, 200)) < 0.8
        night = kept(right)
        weights = [entry.model_copy(update={"sha256": 64 * "f"}) for entry in night.records[1].weights]
        other = night.records[1].model_copy(update={"weights": weights})
        found_now, _ = compare_quality(night, ResultsFolder((night.records[0], other), night.outputs))
        hits += any(finding.fails and "the weights differ" in finding.text for finding in found_now)
    return Rate("weights swapped, found in the same night", "equal outputs", hits, trials, at_least=0.99, nights=1.0)


PLANTED = (
    found("two classes of twenty lost", QUICK, 0.9, fault=lose_classes(2)),
    found("two classes of twenty lost", replace(QUICK, seeds=1, trained=False), fault=lose_classes(2)),
    found("one class of 200 lost", CUB, 0.9, fault=lose_classes(1)),
    found("one class of 200 lost", FROZEN, 0.9, fault=lose_classes(1)),
    found("1 point of accuracy lost", CUB, fault=lose_points(1.0)),
    found("1 point of accuracy lost", replace(CUB, repeated=True), 0.9, fault=lose_points(1.0)),
    found("1 point of accuracy lost", FROZEN, 0.9, fault=lose_points(1.0)),
    found("15 points of accuracy gained", QUICK, fault=gain),
    found("15 points of accuracy gained", CUB, 0.9, fault=gain),
    found("15 points of accuracy gained", FROZEN, 0.9, fault=gain),
    found("seeds at -10, 0 and +10 points", CUB, 0.9, fault=apart),
    found("spread over seeds tripled", CUB, faulty=wider(CUB), within=30, part=3),
    found("spread over seeds tripled", QUICK, faulty=wider(QUICK), within=30, part=3),
    swapped,
    detectable("retrained with 2 seeds; 400 images of 20 classes", QUICK),
    detectable("retrained with 3 seeds; 5,794 images of 200 classes", CUB),
    detectable("not trained; 5,794 images of 200 classes", FROZEN),
)

STUDIES = {
    "night values": Study("Nights without a change in which all networks are trained anew", null_nights, 1000, 20),
    "faults of values": Study(
        "Planted faults in the values of one of six runs",
        lambda rng, trials: [case(rng, trials) for case in PLANTED],
        60,
        1,
    ),
}
