"""The time and the energy that the phases of a run took, over all its sittings."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fgbench.energy import Meter
from fgbench.files import write_json

KILLED = "without what a sitting that was killed used in its last phase"
UNMEASURED = "an earlier sitting did not measure it"


class Journal:
    """How long each phase took over all sittings of a run, and what energy; kept in its work folder.

    Args:
        work: the work folder.
        rank: of this process.
        meter: of the boards it computes on.

    Attributes:
        energy_j: of all phases together; None where it is not known.
        energy_note: why it is not known, or what it lacks.
        recalled: of each phase, how many images of a network were not computed in it, as an earlier run had done so.
    """

    def __init__(self, work: Path, rank: int, meter: Meter) -> None:
        self._path = work / (f"journal-{rank}.json" if rank else "journal.json")
        self._meter = meter
        stored: dict[str, Any] = {"phase_s": {}, "sittings": 0, "energy_j": 0.0}
        if self._path.is_file():
            stored = json.loads(self._path.read_text())
        self.phase_s: dict[str, float] = stored["phase_s"]
        self.sittings: int = stored["sittings"] + 1
        self.recalled: dict[str, int] = stored.get("recalled", {})
        self._phase = ""
        self.started: str = stored.get("started", datetime.now(UTC).isoformat(timespec="seconds"))
        self.energy_j: float | None = stored.get("energy_j")
        self.energy_note: str = stored.get("energy_note", UNMEASURED if self.energy_j is None else "")
        if stored.get("open") and self.energy_j is not None:
            self.energy_note = KILLED
        self._lose()
        self.save()

    def save(self, open_phase: str = "") -> None:
        """Write the journal, with the phase that is going on."""
        kept = ("phase_s", "sittings", "started", "energy_j", "energy_note", "recalled")
        write_json(self._path, {name: getattr(self, name) for name in kept} | {"open": open_phase})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time and the energy of the block towards a phase, also when it fails."""
        self.save(name)
        self._phase = name
        start, spent = time.perf_counter(), self._meter.start()
        try:
            yield
        finally:
            self.phase_s[name] = self.phase_s.get(name, 0.0) + time.perf_counter() - start
            joule = spent()
            if self.energy_j is not None:
                self.energy_j += joule
            self._lose()
            self.save()

    def recall(self, images: int) -> None:
        """Count images that were not computed towards the phase that is going on."""
        if images:
            self.recalled[self._phase] = self.recalled.get(self._phase, 0) + images

    def _lose(self) -> None:
        """What one sitting did not measure is not known of the run."""
        if self._meter.note:
            if self.energy_j is not None:
                self.energy_note = self._meter.note
            self.energy_j = None
