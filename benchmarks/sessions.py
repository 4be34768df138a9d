"""Time the quick hot paths in several processes: `python benchmarks/sessions.py FOLDER` adds benchmarks-<k>.json.

`--again RESULTS` times only the benchmarks that look slower than in the nights kept in RESULTS, and adds
benchmarks-again-<k>.json. A benchmark is slower only if it is slower in both measurements.

Times differ by several percent between processes, because each has its own memory layout; more rounds do not help. The
machine may also be slow for minutes. Nights are therefore compared by the mean over processes that run a few at a time
throughout the night.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fgbench.judge.nightly.benchmark_times import AGAIN_FILES
from fgbench.judge.nightly.night_comparison import find_slower
from fgbench.util.errors import FgbenchError

HERE = Path(__file__).parent
QUICK = ("test_bilinear.py", "test_compact_bilinear.py", "test_dense_sift.py", "test_fisher.py")
CHOSEN = "fgbench and not gmm"
OPTIONS = ("--nightly", "--benchmark-only", "--benchmark-columns=median,iqr,rounds", "-q", "-p", "no:cacheprovider")
SESSIONS = 2
MAX_AGAIN = 5
"""Largest number of benchmarks that are timed again: those with the largest changes."""


def main() -> int:
    """Run the sessions in sequence; return the exit code of the first failed session, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--again", type=Path, metavar="RESULTS", help="time only what looks slower than in RESULTS")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.again is None:
        chosen = [*(str(HERE / name) for name in QUICK), "-k", CHOSEN]
        return run_sessions(chosen, arguments.folder, "benchmarks-", arguments.sessions)
    try:
        slower = find_slower(arguments.again)
    except FgbenchError as error:
        print(f"nothing is timed again: {error}", file=sys.stderr)
        return 1
    if not slower:
        print("no benchmark looks slower: nothing is timed again")
        return 0
    print(f"timed again: {', '.join(slower[:MAX_AGAIN])}; also slower: {', '.join(slower[MAX_AGAIN:]) or 'none'}")
    return run_sessions(slower[:MAX_AGAIN], arguments.folder, AGAIN_FILES, arguments.sessions)


def run_sessions(chosen: Sequence[str], folder: Path, start: str, sessions: int) -> int:
    """Run some tests of pytest in sessions that write `<folder>/<start><k>.json`; return the first exit code but 0."""
    existing, code = len([path for path in folder.glob(f"{start}*.json") if path.stem.removeprefix(start).isdigit()]), 0
    for number in range(existing + 1, existing + sessions + 1):
        result_file = folder / f"{start}{number}.json"
        command = [sys.executable, "-m", "pytest", *chosen, *OPTIONS, f"--benchmark-json={result_file}"]
        code = code or subprocess.run(command, check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
