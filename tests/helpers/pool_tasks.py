"""A task that does not end, and a listener that notes progress and ends of tasks."""

import os
import time
from pathlib import Path


class Notes:
    """Notes the progress and the end of each task."""

    def __init__(self):
        self.steps, self.ends = [], []

    def expect(self, tasks):
        pass

    def progress(self, name, what, share):
        self.steps.append((name, what, share))

    def note(self, text):
        pass

    def finished(self, name, failure, wall_s):
        self.ends.append((name, failure))


def forever(path, report):
    """Write the process id and wait."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def wait_at(path, report):
    """Report, and wait until something is written to a FIFO."""
    report("waiting", 0.5)
    Path(path).read_text()
