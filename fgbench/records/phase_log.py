"""The time, the memory and the energy that the phases of a run took, over all its sittings."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fgbench.util.files import write_json
from fgbench.util.gpu_board import Meter
from fgbench.util.memory import forget_peak, peak_mib

NOTE_S = 10.0
"""Seconds between two notes of how long a phase has taken."""
KILLED = "without what a sitting that was killed used in its last phase"
UNMEASURED = "an earlier sitting did not measure it"


class PhaseLog:
    """How long each phase took over all sittings of a run, and what energy; kept in its work folder.

    Args:
        work: the work folder.
        rank: of this process.
        meter: of the boards it computes on.

    Attributes:
        energy_j: of all phases together; None where it is not known.
        energy_note: why it is not known, or what it lacks.
        phase_s: seconds of each phase.
        phase_peak_mib: largest resident memory of this process in each phase; empty where the system cannot tell.
        peak_mib: the largest of any sitting, in its phases and between them.
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
        self.phase_peak_mib: dict[str, float] = stored.get("phase_peak_mib", {})
        self.peak_mib: float = stored.get("peak_mib", 0.0)
        self.recalled: dict[str, int] = stored.get("recalled", {})
        self._phase = ""
        self._counted: float | None = None
        self._forgets = forget_peak()  # what this process did before is not of this run
        self.started: str = stored.get("started", datetime.now(UTC).isoformat(timespec="seconds"))
        self.energy_j: float | None = stored.get("energy_j")
        self.energy_note: str = stored.get("energy_note", UNMEASURED if self.energy_j is None else "")
        if stored.get("open") and self.energy_j is not None:
            self.energy_note = KILLED
        self._lose()
        self.save()

    def save(self, open_phase: str = "") -> None:
        """Write the journal, with the phase that is going on."""
        kept = ("phase_s", "phase_peak_mib", "peak_mib", "sittings", "started", "energy_j", "energy_note", "recalled")
        write_json(self._path, {name: getattr(self, name) for name in kept} | {"open": open_phase})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time, the memory and the energy of the block towards a phase, also when it fails."""
        self.peak_mib = max(self.peak_mib, peak_mib())  # between the phases
        self.save(name)
        self._phase, self._forgets = name, forget_peak()
        self._counted, spent = time.perf_counter(), self._meter.start()
        try:
            yield
        finally:
            self._count(self._counted)
            self._counted = None
            joule = spent()
            if self.energy_j is not None:
                self.energy_j += joule
            self._lose()
            self.save()

    def tick(self) -> None:
        """Note what the phase that is going on has taken so far: a sitting that is killed loses seconds, not hours."""
        if self._counted is not None and time.perf_counter() - self._counted > NOTE_S:
            self._count(self._counted)
            self.save(self._phase)

    def recall(self, images: int) -> None:
        """Count images that were not computed towards the phase that is going on."""
        if images:
            self.recalled[self._phase] = self.recalled.get(self._phase, 0) + images

    def _count(self, since: float) -> None:
        self._counted, name = time.perf_counter(), self._phase
        self.phase_s[name] = self.phase_s.get(name, 0.0) + self._counted - since
        peak = peak_mib()
        self.peak_mib = max(self.peak_mib, peak)
        if self._forgets:
            self.phase_peak_mib[name] = max(self.phase_peak_mib.get(name, 0.0), peak)

    def _lose(self) -> None:
        """What one sitting did not measure is not known of the run."""
        if self._meter.note:
            if self.energy_j is not None:
                self.energy_note = self._meter.note
            self.energy_j = None
