"""Results of a night on disk, and benchmark times with given spread."""

from math import log

import numpy as np

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.records.store import Store


def folder(path, *pairs):
    """Write pairs of a record and its arrays into a results folder; return the folder."""
    store = Store(path / "records")
    for record, arrays in pairs:
        fields = record.model_dump(mode="json", exclude={"outputs", "outputs_sha256"})
        store.write(fields, arrays)
    return path


def bench(name="b", seconds=1.0, spread=0.01, sessions=6, version="v", machine="m", seed=0):
    logs = log(seconds) + spread * np.linspace(-1, 1, sessions)
    return BenchmarkTimes(name=name, title=name, version=version, machine=machine, sessions=tuple(map(float, logs)))
