"""The fault campaign: `python -m tests.faults [KIND ...]` tries every fault and prints a table of what was survived.

It takes about half an hour on two cores. Exit code 1 if a fault was not survived.
"""

import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "helpers")]

from faults import records

Case = tuple[str, Callable[[], object]]


def of_records(folder: Path) -> Iterator[Case]:
    """Yield the faults of records: every edit with every verb, damaged files, odd fields and arrays."""
    results = records.Results(folder)
    yield from records.edits(results)
    yield from records.damaged_files(results, 600)
    yield from records.odd_fields(results, 500, verbs_every=10)
    yield from records.odd_arrays(results, verbs_every=15)


CAMPAIGNS: dict[str, Callable[[Path], Iterable[Case]]] = {"records": of_records}


def main(names: list[str]) -> int:
    """Try the faults of the named campaigns, or of all; return the exit code."""
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    started = time.monotonic()
    for name in names or CAMPAIGNS:
        with tempfile.TemporaryDirectory() as folder:
            for kind, case in CAMPAIGNS[name](Path(folder)):
                tried[f"{name}: {kind}"] += 1
                try:
                    case()
                except Exception:  # noqa: BLE001 - every error is a fault that was not survived
                    traceback.print_exc()
                else:
                    survived[f"{name}: {kind}"] += 1
    width = max(map(len, tried))
    for kind, count in tried.items():
        print(f"{kind:<{width}} {count:>6} tried {survived[kind]:>6} survived")
    total = sum(tried.values()), sum(survived.values())
    print(f"{'all':<{width}} {total[0]:>6} tried {total[1]:>6} survived in {(time.monotonic() - started) / 60:.0f} min")
    return 0 if total[0] == total[1] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
