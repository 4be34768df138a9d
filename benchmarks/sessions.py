"""Time the quick hot paths in several processes: `python benchmarks/sessions.py FOLDER` adds benchmarks-<k>.json.

Times differ by several percent between processes, because each has its own memory layout; more rounds do not help. The
machine may also be slow for minutes. Nights are therefore compared by the mean over processes that run a few at a time
throughout the night.
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
    """Run the sessions in sequence; return the exit code of the first failed session, or 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    files = [str(HERE / name) for name in QUICK]
    existing, code = len(list(arguments.folder.glob("benchmarks-*.json"))), 0
    for number in range(existing + 1, existing + arguments.sessions + 1):
        result_file = arguments.folder / f"benchmarks-{number}.json"
        command = [sys.executable, "-m", "pytest", *files, *OPTIONS, "-k", CHOSEN, f"--benchmark-json={result_file}"]
        code = code or subprocess.run(command, check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
