"""Time, memory and energy of the phases of a run, over all its sessions. A session is one start of the program."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fgbench.util.damaged import read_checked_json, write_checked_json
from fgbench.util.device_memory import device_peak_mib, forget_device_peak
from fgbench.util.gpu_board import Meter
from fgbench.util.memory import forget_peak, peak_mib

CPU = torch.device("cpu")
LOG = "journal.json"
"""Name of the file of the first process in the work folder."""
SAVE_INTERVAL_S = 10.0
"""Seconds between two saves of the duration of the current phase."""
KILLED = "incomplete: a session was killed, and the energy of its last phase is missing"
"""Note on the energy of a run with a killed session."""
DAMAGED = "unknown: the log of the earlier sessions was damaged; the times are those of the later sessions"
"""Note on the energy of a run whose log was damaged."""
UNMEASURED = "an earlier session did not measure it"
"""Note on the energy of a run with a session that has no energy."""


class PhaseLog:
    """Time, memory and energy of each phase over all sessions of a run; saved in the work folder with a checksum.

    If the saved log is damaged, it is set aside, and the counts begin again with this session.

    Args:
        work: the work folder.
        rank: rank of this process.
        meter: energy meter of the boards that this process uses.
        device: device of this process.

    Attributes:
        device_peak_mib: largest memory of tensors on the GPU over all sessions; None on a CPU.
        energy_j: energy of all phases; None if it is unknown.
        energy_note: why the energy is unknown or incomplete.
        phase_s: seconds by phase.
        phase_peak_mib: largest resident memory of this process by phase; empty if the system cannot measure it.
        peak_mib: largest resident memory over all sessions, in phases and between them.
        started: time at which the first session began, in UTC.
        sittings: number of sessions.
        recalled: number of network outputs by phase that were read from the cache of an earlier run.
    """

    def __init__(self, work: Path, rank: int, meter: Meter, device: torch.device = CPU) -> None:
        self._path = work / (f"journal-{rank}.json" if rank else LOG)
        self._meter, self._device = meter, device
        stored: dict[str, Any] = {"phase_s": {}, "sittings": 0, "energy_j": 0.0}
        earlier = os.path.lexists(self._path)
        if saved := read_checked_json(self._path):
            stored = saved
        elif earlier:
            stored |= {"energy_j": None, "energy_note": DAMAGED}
        self.phase_s: dict[str, float] = stored["phase_s"]
        self.sittings: int = stored["sittings"] + 1
        self.phase_peak_mib: dict[str, float] = stored.get("phase_peak_mib", {})
        self.peak_mib: float = stored.get("peak_mib", 0.0)
        self.device_peak_mib: float | None = stored.get("device_peak_mib")
        self.recalled: dict[str, int] = stored.get("recalled", {})
        self._phase = ""
        self._counted: float | None = None
        # Memory that this process used before the run does not count.
        self._forgets = forget_peak()
        forget_device_peak(device)
        self.started: str = stored.get("started", datetime.now(UTC).isoformat(timespec="seconds"))
        self.energy_j: float | None = stored.get("energy_j")
        self.energy_note: str = stored.get("energy_note", UNMEASURED if self.energy_j is None else "")
        if stored.get("open") and self.energy_j is not None:
            self.energy_note = KILLED
        self._check_meter()
        self.save()

    def save(self, open_phase: str = "") -> None:
        """Save the log, with the name of the current phase."""
        saved = ("phase_s", "phase_peak_mib", "peak_mib", "device_peak_mib", "sittings", "started", "energy_j",
                 "energy_note", "recalled")  # fmt: skip
        write_checked_json(self._path, {name: getattr(self, name) for name in saved} | {"open": open_phase})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add time, memory and energy of a `with` block to a phase, also if the block fails."""
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
            self._check_meter()
            self.save()

    def tick(self) -> None:
        """Save the duration of the current phase if the last save is older than `SAVE_INTERVAL_S`."""
        if self._counted is not None and time.perf_counter() - self._counted > SAVE_INTERVAL_S:
            self._count(self._counted)
            self.save(self._phase)

    def recall(self, images: int) -> None:
        """Count network outputs that were read from the cache in the current phase."""
        if images:
            self.recalled[self._phase] = self.recalled.get(self._phase, 0) + images

    def _count(self, since: float) -> None:
        """Add the time since a moment to the current phase, and update the peaks of memory."""
        self._counted, name = time.perf_counter(), self._phase
        self.phase_s[name] = self.phase_s.get(name, 0.0) + self._counted - since
        peak = peak_mib()
        self.peak_mib = max(self.peak_mib, peak)
        if (device_peak := device_peak_mib(self._device)) is not None:
            self.device_peak_mib = max(self.device_peak_mib or 0.0, device_peak)
        if self._forgets:
            self.phase_peak_mib[name] = max(self.phase_peak_mib.get(name, 0.0), peak)

    def _check_meter(self) -> None:
        """Forget the energy of the run if this session cannot measure its own."""
        if self._meter.note:
            if self.energy_j is not None:
                self.energy_note = self._meter.note
            self.energy_j = None


def logged_phases(work: Path) -> dict[str, float]:
    """Return the seconds by phase of an unfinished run; empty for a run that has not begun."""
    return dict((read_checked_json(work / LOG) or {}).get("phase_s", {}))
