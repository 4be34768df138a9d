"""An anomaly: a property of a run, or of the seeds of a run, that suggests a mistake or an edit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fgbench.records.record import Record

ReadOutputs = Callable[[Record], Mapping[str, np.ndarray]]
"""Returns the per-sample arrays of a record."""


Kind = Literal[
    "impossible", "identical", "chance", "too good", "leak", "seeds", "unused runs", "copy", "invalid start", "start"
]  # fmt: skip
"""Kinds of anomalies."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A property of a run that suggests a mistake or an edit."""

    kind: Kind
    text: str
    """Description in one sentence."""

    @property
    def invalidates_run(self) -> bool:
        """True if the run cannot be right, so that its values are not used."""
        return self.kind in {"impossible", "identical", "leak", "invalid start"}


Anomalies = Mapping[str, Sequence[Anomaly]]
"""Anomalies by run id."""
