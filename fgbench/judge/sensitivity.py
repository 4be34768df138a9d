"""The bound of the effect that a compression of unknown effect has on a value, from records of recompressed runs.

All photographs of a data set may have been recompressed before fgbench reads them. The effect on a value is then not
known, but it can be bounded: the recipe is run again on images that are compressed once more, at several qualities
(`fgbench run --recompress`, `fgbench sensitivity`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fgbench.judge.anomaly import ReadOutputs
from fgbench.judge.compression_effects import Effect, Measurement, conditions_of, machine_of, measure
from fgbench.judge.margin_test import points
from fgbench.records.record import Record

MIN_QUALITIES = 2
"""Number of qualities that a bound needs."""
HIGHEST_LOW = 50
"""A bound needs a quality of at most this: a weaker compression after another one changes little."""


class BoundKey(NamedTuple):
    """What a bound is about."""

    conditions: str
    """`conditions_of` the runs: everything that is equal in them except for code, libraries, machine and seed."""
    machine: str
    """`machine_of` the runs: code, libraries and device."""
    value: str
    """Name of the value, such as `accuracy`."""


@dataclass(frozen=True, slots=True)
class DataBound:
    """Bound of the effect of a compression on a value."""

    bound: float
    """Largest effect, up or down, in the unit of the value."""
    unit: str
    """Unit of the value."""
    effects: tuple[Effect, ...]
    """Effect of each measured quality, highest quality first."""
    run_ids: tuple[str, ...]
    """Runs that the bound stands on: the plain ones first."""
    text: str
    """The bound with its runs, effects, trend and assumption, in a few sentences."""


Bounds = Mapping[BoundKey, DataBound]
"""Result of `find_bounds`."""


def find_bounds(records: Sequence[Record], outputs: ReadOutputs) -> dict[BoundKey, DataBound]:
    """Return the bound of each value for which one was measured, the latest last.

    Args:
        records: all available records.
        outputs: returns the per-sample arrays of a record; called for recompressed runs and their plain runs alone.
    """
    bounds: dict[BoundKey, DataBound] = {}
    for measurement in measure(records, outputs):
        if not missing_for_bound(measurement):
            key = BoundKey(conditions_of(measurement.first), machine_of(measurement.first), measurement.value)
            bounds[key] = _bound(measurement)
    return bounds


def missing_for_bound(measurement: Measurement) -> str:
    """Return what a measurement lacks for a bound, in a clause; empty if it lacks nothing."""
    qualities = [effect.quality for effect in measurement.effects]
    if len(qualities) < MIN_QUALITIES or min(qualities) > HIGHEST_LOW:
        return f"a bound needs {MIN_QUALITIES} qualities, one of them at most {HIGHEST_LOW}"
    if measurement.seeds_unknown:
        return "the values depend on the seed, and no run has a second seed that shows by how much; add --seeds 3"
    return ""


def bound_for(records: Sequence[Record], value: str, bounds: Bounds) -> DataBound | None:
    """Return the bound for a value of a run; None if none was measured.

    A bound that was measured with the code, libraries and device of the run is preferred. Else it is the latest one,
    and its text says that they differ.

    Args:
        records: the records of a mean, which differ in their seed alone.
        value: name of the value, such as `accuracy`.
        bounds: result of `find_bounds`.
    """
    conditions = {conditions_of(record) for record in records}
    machines = {machine_of(record) for record in records}
    fitting = {
        key.machine: bound for key, bound in bounds.items() if {key.conditions} == conditions and key.value == value
    }
    if not fitting:
        return None
    for machine in machines & fitting.keys():
        return fitting[machine]
    latest = list(fitting.values())[-1]
    return replace(
        latest, text=f"{latest.text} The runs of the bound have other code, libraries or device than this run."
    )


def _bound(measurement: Measurement) -> DataBound:
    effects, unit = measurement.effects, points(measurement.unit)
    bound = max(abs(end) for effect in effects for end in effect.interval)
    plain = measurement.plain_ids
    qualities = "; ".join(
        f"quality {effect.quality}: {effect.value:+.2f} ({effect.interval.low:+.2f} to {effect.interval.high:+.2f}; "
        f"{', '.join(effect.run_ids)})"
        for effect in effects
    )
    text = (
        f"A further compression changes the {measurement.value} by at most {bound:.2f} {unit}: the largest distance "
        f"from 0 of the 95 % intervals, which hold together. Effect in {unit}, with interval and runs: {qualities}; "
        f"plain: {', '.join(plain)}. Trend: {measurement.trend}. {assumption(effects)}"
    )
    run_ids = (*plain, *(run_id for effect in effects for run_id in effect.run_ids))
    return DataBound(bound, measurement.unit, effects, run_ids, text)


def assumption(effects: Sequence[Effect]) -> str:
    """Return the assumption behind a bound, in a sentence."""
    lowest = min(effect.quality for effect in effects)
    return (
        "The unknown compression is assumed to change the value by no more than a further compression to quality "
        f"{lowest} does."
    )
