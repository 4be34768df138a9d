"""Time and memory of the phases of a run, and the estimates of its cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.record import Record
from fgbench.records.run_cost import Expected

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
    expected_s: float | None
    """Time that was estimated before the run; None without an estimate of this phase."""


def expected_of(group: Sequence[Record]) -> Expected | None:
    """Return the estimated cost of records that differ only in their seed: that of the first seed with an estimate."""
    return next((record.cost.expected for record in group if record.cost.expected), None)


def phases_of(group: Sequence[Record]) -> list[Phase]:
    """Return the phases of records that differ only in their seed, in the order of execution, and then their sum."""
    costs, expected = [record.cost for record in group], expected_of(group)
    names = dict.fromkeys(name for cost in costs for name in cost.phase_s)
    phases = [
        Phase(
            name,
            sum(cost.phase_s.get(name, 0.0) for cost in costs) / len(costs),
            max((cost.phase_peak_mib[name] for cost in costs if name in cost.phase_peak_mib), default=None),
            expected.phase_s.get(name) if expected else None,
        )
        for name in names
    ]
    whole_s, peak_mib = sum(phase.wall_s for phase in phases), max(cost.peak_mib for cost in costs)
    return [*phases, Phase(WHOLE, whole_s, peak_mib, expected.wall_s if expected else None)]
