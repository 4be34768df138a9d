"""The effect of a further compression of all images on the values of a recipe, measured on the same test images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fgbench.judge.anomaly import ReadOutputs
from fgbench.judge.margin_test import points
from fgbench.judge.recomputed import depends_on_seed
from fgbench.metrics.per_sample import Samples, sample_values
from fgbench.records.recompression import plain_settings, quality_of
from fgbench.records.record import Record, by_identity, finish_order
from fgbench.runs.run import LIBRARIES
from fgbench.statistics import ALPHA, Interval
from fgbench.statistics.variance_components import Component, half_width
from fgbench.util.errors import ArgumentError
from fgbench.util.hashing import hash_value


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a further compression to one quality on a value."""

    quality: int
    """JPEG quality."""
    value: float
    """Mean over seeds of recompressed minus plain, in the unit of the value."""
    error: float
    """Standard error of `value`."""
    interval: Interval
    """Interval of `value`; the intervals of all qualities hold together with a confidence of 95 %."""
    measured: float
    """Mean over seeds of the recompressed runs."""
    lower: int
    """Number of test images whose value is lower than in the plain runs."""
    higher: int
    """Number of test images whose value is higher."""
    plain_ids: tuple[str, ...]
    """Run ids of the plain runs, one a seed."""
    run_ids: tuple[str, ...]
    """Run ids of the recompressed runs with the same seeds."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The effects of several qualities on one value of one recipe under the same conditions."""

    first: Record
    """A plain run."""
    value: str
    """Name of the value."""
    plain: float
    """Mean of the plain runs."""
    unit: str
    """Unit of the value."""
    effects: tuple[Effect, ...]
    """Effect of each quality, highest quality first."""
    trend: str
    """How the effect changes with the quality, in a sentence; empty for one quality."""
    seeds_unknown: bool
    """True if the values depend on the seed, but no run has a second seed that shows by how much."""

    @property
    def plain_ids(self) -> tuple[str, ...]:
        """Run ids of all compared plain runs."""
        return tuple(dict.fromkeys(run_id for effect in self.effects for run_id in effect.plain_ids))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Runs with the same seeds, plain and at one quality."""

    quality: int
    plain: tuple[Record, ...]
    recompressed: tuple[Record, ...]
    differences: np.ndarray
    """(N,) mean over seeds of recompressed minus plain of each test image, in percent."""


def conditions_of(record: Record) -> str:
    """Return a hash of everything that is equal in a plain run and its recompressed runs.

    Code, libraries, device and seed are not in it.
    """
    weights = [entry.model_dump() for entry in record.weights]
    settings = plain_settings(record)
    return hash_value([record.recipe, record.profile, record.protocol_hash, record.split, settings, weights])


def machine_of(record: Record) -> str:
    """Return a hash of the code, the libraries and the device that computed the values of a run."""
    packages = record.provenance_of("packages") or {}
    machine = [record.provenance_of(key) for key in ("source", "device", "processes")]
    return hash_value([*machine, *(packages.get(name) for name in LIBRARIES)])


def measure(records: Sequence[Record], outputs: ReadOutputs) -> list[Measurement]:
    """Return the measured effects, the latest last. Control runs are left out.

    A plain run and a recompressed run are compared if they have the same seed, code, libraries and device. Only values
    that are means over test images are compared.

    Args:
        records: all available records.
        outputs: returns the per-sample arrays of a record; called for the compared runs alone.
    """
    recompressed = {(r.recipe, r.profile) for r in records if quality_of(r) is not None}
    by_conditions: dict[str, list[Record]] = {}
    for record in records:
        if not record.control and (record.recipe, record.profile) in recompressed:
            by_conditions.setdefault(conditions_of(record), []).append(record)
    measurements: list[Measurement] = []
    for alike in by_conditions.values():
        by_machine: dict[str, list[Record]] = {}
        for record in alike if any(map(quality_of, alike)) else ():
            by_machine.setdefault(machine_of(record), []).append(record)
        for group in by_machine.values():
            measurements += _of_group(group, alike, outputs)
    return sorted(measurements, key=lambda measurement: finish_order(measurement.first))


def _of_group(group: Sequence[Record], alike: Sequence[Record], outputs: ReadOutputs) -> Iterator[Measurement]:
    """Yield the measurement of each value of runs that differ in quality and seed alone.

    Args:
        group: the runs.
        alike: all runs under the same conditions, also with other code; they show the spread over seeds.
        outputs: returns the per-sample arrays of a record.
    """
    runs: dict[int | None, dict[int, Record]] = {}
    for record in sorted(group, key=finish_order):
        runs.setdefault(quality_of(record), {}).setdefault(record.seed, record)
    plain = runs.pop(None, {})
    pairs = {
        quality: [(plain[seed], seeds[seed]) for seed in sorted(plain.keys() & seeds)]
        for quality, seeds in sorted(runs.items(), key=lambda item: -(item[0] or 0))
    }
    used = {record.run_id: record for paired in pairs.values() for pair in paired for record in pair}
    if not used:
        return
    first = min(plain.values(), key=lambda record: record.seed)
    samples = {run_id: _samples(record, outputs) for run_id, record in used.items()}
    for name in first.values:
        compared = [
            _differences(
                quality, [pair for pair in paired if all(name in samples[r.run_id] for r in pair)], name, samples
            )
            for quality, paired in pairs.items()
            if quality is not None
        ]
        if found := [pair for pair in compared if pair is not None]:
            yield _measurement(first, name, found, alike)


def _samples(record: Record, outputs: ReadOutputs) -> dict[str, Samples]:
    """Return the test images and their values, for each value of a run that is a mean over test images."""
    arrays, samples = outputs(record), {}
    for name in record.values:
        try:
            samples[name] = sample_values(arrays, name)
        except ArgumentError:
            continue
    return samples


def _differences(
    quality: int, pairs: Sequence[tuple[Record, Record]], name: str, samples: Mapping[str, Mapping[str, Samples]]
) -> _Pairs | None:
    """Return the differences of the pairs with the test images of the first pair; None without a pair."""
    kept: list[tuple[Record, Record]] = []
    rows: list[np.ndarray] = []
    images: np.ndarray | None = None
    for pair in pairs:
        (before, old), (after, new) = (samples[record.run_id][name] for record in pair)
        images = before if images is None else images
        if np.array_equal(before, images) and np.array_equal(after, images) and len(images):
            kept.append(pair)
            rows.append(100 * (new - old))
    if not rows:
        return None
    plain, recompressed = zip(*kept, strict=True)
    return _Pairs(quality, plain, recompressed, np.mean(rows, axis=0))


def _measurement(first: Record, name: str, pairs: Sequence[_Pairs], alike: Sequence[Record]) -> Measurement:
    """Return the effects with intervals that hold together (Bonferroni), and their trend."""
    seeded = depends_on_seed(first)
    seeds = _seed_variance([record for record in alike if name in record.values], name) if seeded else None
    effects = []
    for pair in pairs:
        centre, images = _over_images(pair.differences)
        components = [images, *_over_seeds(seeds, len(pair.plain))]
        half = half_width(components, ALPHA / 2 / len(pairs))
        effects.append(
            Effect(
                quality=pair.quality,
                value=float(pair.differences.mean()),
                error=sum(component[0] for component in components) ** 0.5,
                interval=Interval(centre - half, centre + half),
                measured=float(np.mean([record.values[name].value for record in pair.recompressed])),
                lower=int((pair.differences < 0).sum()),
                higher=int((pair.differences > 0).sum()),
                plain_ids=tuple(record.run_id for record in pair.plain),
                run_ids=tuple(record.run_id for record in pair.recompressed),
            )
        )
    plain = {record.run_id: record.values[name].value for pair in pairs for record in pair.plain}
    unit = first.values[name].unit
    trend = _trend(pairs, seeds, unit) if len(pairs) > 1 else ""
    return Measurement(
        first, name, float(np.mean([*plain.values()])), unit, tuple(effects), trend, seeded and seeds is None
    )


def _over_images(differences: np.ndarray) -> tuple[float, Component]:
    """Return the centre of the interval of a mean difference, and its variance from the choice of test images.

    Two images are added: one without a difference, and half a one each way. The variance is then not 0 if no image
    changes (Agresti and Min, Stat. Med. 24:729-740, 2005).

    Args:
        differences: (N,) differences in percent.
    """
    n = len(differences) + 2
    centre = float(differences.sum()) / n
    variance = (float((differences**2).sum()) + 100**2) / n - centre**2
    return centre, (variance / n, max(len(differences) - 1, 1))


def _over_seeds(seeds: Component | None, number: int, weight: float = 1.0) -> list[Component]:
    """Return the variance of a weighted difference of two means over seeds; no component if no variance is known.

    The two runs of a pair count as independent. Equal random numbers in both make the true variance smaller.
    """
    return [(2 * weight**2 * seeds[0] / number, seeds[1])] if seeds else []


def _seed_variance(records: Sequence[Record], name: str) -> Component | None:
    """Return the variance between seeds, pooled over plain runs and all qualities; None without a second seed.

    Equal values do not prove that the variance is 0: it is at least that of rounding to one test image (Sheppard, Proc.
    London Math. Soc. 29:353-380, 1898).
    """
    groups = [[record.values[name].value for record in group] for group in by_identity(records)]
    freedom = sum(len(values) - 1 for values in groups)
    if not freedom:
        return None
    squares = sum(float(np.var(values)) * len(values) for values in groups)
    step = 100 / records[0].values[name].n
    return max(squares / freedom, step**2 / 12), freedom


def _trend(pairs: Sequence[_Pairs], seeds: Component | None, unit: str) -> str:
    """Return a sentence on the line through the effects (least squares), and on their order."""
    strength = np.array([-pair.quality / 10 for pair in pairs])
    weights = (strength - strength.mean()) / ((strength - strength.mean()) ** 2).sum()
    effects = [float(pair.differences.mean()) for pair in pairs]
    slope = float(weights @ effects)
    text = f"the effect changes by {slope:+.2f} {points(unit)} for each 10 steps of lower quality"
    if len({len(pair.differences) for pair in pairs}) == 1:
        per_image = weights @ [pair.differences for pair in pairs]
        n = len(per_image)
        components: list[Component] = [(float(per_image.var(ddof=1)) / n, n - 1)] if n > 1 else []
        of_pairs = [_over_seeds(seeds, len(pair.plain), w) for w, pair in zip(weights, pairs, strict=True)]
        if seeds:
            components.append((sum(variance for ((variance, _),) in of_pairs), seeds[1]))
        half = half_width(components, ALPHA / 2)
        text += f" (95 % interval {slope - half:+.2f} to {slope + half:+.2f})"
    steps = np.diff([0.0, *effects])
    return text if (steps >= 0).all() or (steps <= 0).all() else f"{text}; it does not grow steadily"
