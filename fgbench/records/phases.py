"""What the phases of a run took."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.record import Record

WHOLE = "whole"
"""Name of all phases together."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a run over its seeds."""

    name: str
    wall_s: float
    """Mean over the seeds; of one that skips the phase, nothing."""
    peak_mib: float | None
    """Largest resident memory in any seed; None where the system could not tell it for each phase."""


def phases_of(group: Sequence[Record]) -> list[Phase]:
    """The phases of records that differ in their seed alone, in the order they were run, and all together."""
    costs = [record.cost for record in group]
    names = dict.fromkeys(name for cost in costs for name in cost.phase_s)
    own = [
        Phase(
            name,
            sum(cost.phase_s.get(name, 0.0) for cost in costs) / len(costs),
            max((cost.phase_peak_mib[name] for cost in costs if name in cost.phase_peak_mib), default=None),
        )
        for name in names
    ]
    return [*own, Phase(WHOLE, sum(phase.wall_s for phase in own), max(cost.peak_mib for cost in costs))]
