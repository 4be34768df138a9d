"""Checks of the seeds of a run: seeds that are missing, outliers or repeated, and runs that no verdict uses."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.recomputed import depends_on_seed
from fgbench.records.record import Record, by_identity
from fgbench.statistics.outliers import find_outliers

MAX_SEED = 1000
"""Seeds from this on are reported, without a list of all that are missing below them."""


def seed_anomalies(records: Sequence[Record]) -> Iterable[tuple[str, Anomaly]]:
    """Yield an anomaly for each record of a run whose seeds are not 0, 1, ..., n - 1, each once.

    A seed that was left out could have had a worse value than the others. `fgbench run --seeds n` runs the first n.
    """
    by_run: dict[str, list[Record]] = {}
    for record in records:
        by_run.setdefault(record.identity, []).append(record)
    for group in by_identity(records):
        texts = [*missing_seeds(group)] if depends_on_seed(group[0]) else []
        of_run = by_run[group[0].identity]
        for record in group if len(of_run) > len(group) else ():
            same = [other for other in of_run if other.seed == record.seed]
            if len(same) > 1:
                others = ", ".join(sorted(other.run_id for other in same if other is not record))
                used = f"{record.run_id} is used, {others} {_is(same[1:])} not"
                texts.append(f"seed {record.seed} was run {len(same)} times: {used}")
        for record in group:
            for text in texts:
                yield record.run_id, Anomaly("seeds", text)


def missing_seeds(group: Sequence[Record]) -> list[str]:
    """Return a sentence if seeds between 0 and the largest one are missing, else no sentence."""
    seeds = {record.seed for record in group}
    highest = max(seeds)
    if highest >= MAX_SEED:
        return [f"seed {highest} is not one of the first {MAX_SEED} seeds"]
    missing = [str(seed) for seed in range(highest) if seed not in seeds]
    if not missing:
        return []
    names = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
    return [f"{'seed' if len(missing) == 1 else 'seeds'} {names} of 0 to {highest} {_is(missing)} missing"]


def outlying_seeds(values: Mapping[int, float], margin: float, unit: str) -> list[Anomaly]:
    """Return an anomaly if the values of some seeds are far from the others, as of a training that did not converge.

    Args:
        values: value by seed.
        margin: smaller distances from the mean of the other seeds are not reported.
        unit: unit of a difference of values.
    """
    seeds, x = list(values), list(values.values())
    outliers = find_outliers(x)
    rest = float(np.mean([value for k, value in enumerate(x) if k not in outliers]))
    return [
        Anomaly("seeds", f"seed {seeds[k]} is {x[k] - rest:+.2f} {unit} from the mean of the other seeds, an outlier")
        for k in outliers
        if abs(x[k] - rest) > margin
    ]


def _is(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def unused_runs(chosen: Sequence[Record], candidates: Iterable[Record]) -> list[Anomaly]:
    """Return an anomaly if there are runs of other code, libraries, weights or devices that a mean does not use.

    Args:
        chosen: the records of the mean.
        candidates: all records that are as close to the printed conditions, those of the mean included.
    """
    identity = chosen[0].identity
    others = [record for record in candidates if record.identity != identity]
    if not others:
        return []
    parts = ("source", "packages", "device", "processes")
    names = {"source": "code", "packages": "libraries", "device": "device", "processes": "processes"}
    differing = [names[part] for part in parts if any(_part(r, part) != _part(chosen[0], part) for r in others)]
    differing += ["weights"] * any(record.weights != chosen[0].weights for record in others)
    differing += ["settings"] * any(_settings(record) != _settings(chosen[0]) for record in others)
    seeds = sorted({record.seed for record in others})
    later = ", finished later" if max(r.finished for r in others) > max(r.finished for r in chosen) else ""
    text = (
        f"{len(others)} {'run' if len(others) == 1 else 'runs'} with other {', '.join(differing)} "
        f"({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}{later}) {_is(others)} not in this mean"
    )
    return [Anomaly("unused runs", text)]


def _part(record: Record, name: str) -> object:
    return record.provenance_of(name)


def _settings(record: Record) -> object:
    return record.profile, record.settings
