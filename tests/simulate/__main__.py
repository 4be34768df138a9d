"""Simulations of error rates: `python -m tests.simulate [NAME ...]` measures them and prints them with their error.

`--short` uses few trials. `--write` keeps the rates in `docs/error_rates.json`, from which `--table` prints the tables
of the documentation. Exit code 1 if a rate is above its limit, or a planted fault is found too seldom.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/helpers")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402 - after the path
from simulate import claims, night_times, night_values, sensitivity, verdicts  # noqa: E402 - after the path
from simulate.rate import Rate, Study  # noqa: E402 - after the path

STUDIES: dict[str, Study] = {
    **verdicts.STUDIES, **claims.STUDIES, **sensitivity.STUDIES, **night_values.STUDIES, **night_times.STUDIES,
}  # fmt: skip
FILE = ROOT / "docs/error_rates.json"


def measure(name: str, trials: int) -> tuple[list[Rate], float]:
    """Return the rates of a study and its duration in seconds; the random numbers depend on the name alone."""
    start = time.monotonic()
    rng = np.random.default_rng(crc32(name.encode()))
    return list(STUDIES[name].run(rng, trials)), time.monotonic() - start


def table(title: str, rates: Sequence[Rate]) -> str:
    """Return the rates as a table of Markdown."""
    nights = any(rate.nights is not None for rate in rates)
    lines = [f"**{title}**", "", "| Measured | Conditions | Rate | Promised |" + " Nights |" * nights]
    lines.append("|:--|:--|--:|--:|" + "--:|" * nights)
    for rate in rates:
        promised = "" if rate.limit is None else f"at most {100 * rate.limit:g} %"
        promised = promised if rate.at_least is None else f"at least {100 * rate.at_least:g} %"
        cells = [rate.what, rate.case, f"{100 * rate.share:.2f} ± {100 * rate.error:.2f} %", promised]
        cells += ["" if rate.nights is None else f"{rate.nights:g}"] * nights
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def kept_table(name: str) -> str:
    """Return the table of a study from the rates that are kept.

    Raises:
        SystemExit: no rates of this study are kept.
    """
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    if name not in kept:
        sys.exit(f"{FILE} has no study {name!r}: python -m tests.simulate {name!r} --write")
    return table(STUDIES[name].title, [Rate(**rate) for rate in kept[name]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"studies: {', '.join(STUDIES)}; by default all")
    parser.add_argument("--short", action="store_true", help="few trials")
    parser.add_argument("--write", action="store_true", help=f"keep the rates in {FILE.relative_to(ROOT)}")
    parser.add_argument("--table", action="store_true", help="print the tables of the rates that are kept")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="studies at the same time")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in STUDIES]:
        parser.error(f"no study {unknown[0]!r}: {', '.join(STUDIES)}")
    names = options.names or list(STUDIES)
    if options.table:
        print("\n\n".join(map(kept_table, names)))
        return 0
    with ProcessPoolExecutor(min(options.jobs, len(names))) as pool:
        trials = [STUDIES[name].short if options.short else STUDIES[name].full for name in names]
        results = dict(zip(names, pool.map(measure, names, trials), strict=True))
    failures = []
    for name, (rates, seconds) in results.items():
        print(f"{table(STUDIES[name].title, rates)}\n\n{seconds:.0f} s\n")
        failures += [rate for rate in rates if rate.too_high or rate.too_low]
    for rate in failures:
        print(f"not as promised: {rate.what}, {rate.case}: {100 * rate.share:.2f} %")
    if options.write:
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
        kept |= {name: [asdict(rate) for rate in rates] for name, (rates, _) in results.items()}
        ordered = {name: kept[name] for name in STUDIES if name in kept}
        FILE.write_text(json.dumps(ordered, indent=1, default=int) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
