"""Times the quick hot paths in several processes: `python benchmarks/sessions.py FOLDER` adds benchmarks-<k>.json.

A process has its own layout of memory, and so times of its own, as much as several percent apart, however many rounds
it has; and a machine has minutes in which it is slow. What nights are compared by is therefore the mean over processes,
a few at a time, all through the night.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
QUICK = ("test_bilinear.py", "test_compact_bilinear.py", "test_dense_sift.py", "test_fisher.py")
CHOSEN = "fgbench and not gmm"
OPTIONS = ("--nightly", "--benchmark-only", "--benchmark-columns=median,iqr,rounds", "-q", "-p", "no:cacheprovider")
SESSIONS = 2


def main() -> int:
    """Run the sessions one after the other; returns the exit code of the first that failed, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    files = [str(HERE / name) for name in QUICK]
    before, code = len(list(asked.folder.glob("benchmarks-*.json"))), 0
    for number in range(before + 1, before + asked.sessions + 1):
        into = asked.folder / f"benchmarks-{number}.json"
        command = [sys.executable, "-m", "pytest", *files, *OPTIONS, "-k", CHOSEN, f"--benchmark-json={into}"]
        code = code or subprocess.run(command, check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
