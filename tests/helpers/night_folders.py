"""Results folders of nights for `fgbench nightly`, and their content."""

import re

import bench_file
import numpy as np
from made_nights import folder
from made_records import of_right

from fgbench.judge.nightly.night_folders import MARKER

RIGHT = np.random.default_rng(0).random(400) < 0.8
"""Images that the run of a night predicts correctly."""
RECORD = "0123456789abcdef"
"""Id of a run."""


def fewer(count):
    """Return `RIGHT` with some correct images less."""
    lost = RIGHT.copy()
    lost[np.flatnonzero(RIGHT)[:count]] = False
    return lost


def tonight(results, right=RIGHT, seconds=0.2):
    """Write the folder of a night that is to be judged: one run and three sessions of benchmarks."""
    place = folder(results / "tonight", of_right(right))
    for k in range(3):
        rounds = [seconds * (1 + 0.01 * k)] * 9
        whole = bench_file.content(bench_file.hot(rounds_of_reference=rounds))
        bench_file.write(place / f"benchmarks-{k}.json", whole)


def kept_night(path):
    """Write the folder of a kept night with one record; return the folder."""
    (path / "records").mkdir(parents=True)
    (path / MARKER).touch()
    (path / "records" / f"{RECORD}.json").write_text("{}")
    return path


def content(results):
    """Return all files of a folder, path -> bytes, without the lock and the times in the history."""
    files = {str(path.relative_to(results)): path.read_bytes() for path in results.rglob("*") if path.is_file()}
    files.pop(".nightly.lock", None)
    if "history.jsonl" in files:
        files["history.jsonl"] = re.sub(rb'"finished":"[^"]*"', b"", files["history.jsonl"])
    return files


def part(files, name):
    """Return the files of one folder in `content`."""
    return {path.partition("/")[2]: text for path, text in files.items() if path.partition("/")[0] == name}
