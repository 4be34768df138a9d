"""The time that the phases of a run took, over all its sittings."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fgbench.files import write_json


class Journal:
    """How long each phase took over all sittings of a run, kept in its work folder."""

    def __init__(self, work: Path, rank: int) -> None:
        self._path = work / (f"journal-{rank}.json" if rank else "journal.json")
        stored: dict[str, Any] = {"phase_s": {}, "sittings": 0}
        if self._path.is_file():
            stored = json.loads(self._path.read_text())
        self.phase_s: dict[str, float] = stored["phase_s"]
        self.sittings: int = stored["sittings"] + 1
        self.started: str = stored.get("started", datetime.now(UTC).isoformat(timespec="seconds"))
        self.save()

    def save(self) -> None:
        """Write the journal."""
        write_json(self._path, {"phase_s": self.phase_s, "sittings": self.sittings, "started": self.started})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the block towards a phase, also when it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phase_s[name] = self.phase_s.get(name, 0.0) + time.perf_counter() - start
            self.save()
