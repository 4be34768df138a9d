"""Time and memory of the phases of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.record import Record

WHOLE = "whole"
"""Name of the sum over all phases."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a run, summarised over its seeds."""

    name: str
    wall_s: float
    """Mean over the seeds; a seed that skips the phase counts as 0."""
    peak_mib: float | None
    """Largest resident memory over the seeds; None if the system cannot measure it by phase."""


def phases_of(group: Sequence[Record]) -> list[Phase]:
    """Return the phases of records that differ only in their seed, in the order of execution, and then their sum."""
    costs = [record.cost for record in group]
    names = dict.fromkeys(name for cost in costs for name in cost.phase_s)
    phases = [
        Phase(
            name,
            sum(cost.phase_s.get(name, 0.0) for cost in costs) / len(costs),
            max((cost.phase_peak_mib[name] for cost in costs if name in cost.phase_peak_mib), default=None),
        )
        for name in names
    ]
    return [*phases, Phase(WHOLE, sum(phase.wall_s for phase in phases), max(cost.peak_mib for cost in costs))]
