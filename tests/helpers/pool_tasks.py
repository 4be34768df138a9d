"""Tasks that end late or look around, and a listener that notes progress and ends of tasks."""

import os
import sys
import time
from pathlib import Path

from fgbench.util import code_hash


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


def note_what_is_there(path, report):
    """Write whether this process has the compiler of torch, and the parsed code of all modules."""
    compiler = any(name.startswith("torch._inductor") for name in sys.modules)
    parsed = code_hash._parse.cache_info().currsize
    Path(path).write_text(f"{compiler} {parsed >= len(code_hash.value_modules())}")


def forever(path, report):
    """Write the process id and wait."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


def wait_at(path, report):
    """Report, and wait until something is written to a FIFO."""
    report("waiting", 0.5)
    Path(path).read_text()
