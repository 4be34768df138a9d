"""Comparison of the values of a record with the values that its per-sample arrays give."""

from collections.abc import Mapping

import numpy as np

from fgbench.metrics.values import CLASS_MAP, Value, measure
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError

TOLERANCE = 1e-9
"""Largest absolute difference between a stored and a recomputed number."""


def wrong_values(record: Record, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return a sentence for each value that the arrays do not give.

    Args:
        record: the record.
        arrays: its per-sample arrays.
    """
    # The mean average precision needs all scores, and earlier versions did not compute it.
    has_class_map = record.scores_kept is None and CLASS_MAP in record.values
    try:
        recomputed = measure(arrays, class_map=has_class_map)
    except FgbenchError as error:
        return [str(error.args[0])]
    if not recomputed:
        return ["its outputs give no value"]
    problems = [f"{name} is not a value of this protocol" for name in record.values if name not in recomputed]
    for name, value in recomputed.items():
        stored = record.values.get(name)
        if stored is None:
            problems.append(f"{name} is missing from the record")
            continue
        for part in ("value", "low", "high", "n"):
            new, old = getattr(value, part), getattr(stored, part)
            # The comparison is False for NaN, which is never equal to a recomputed number.
            if not (new is old is None or (None not in {new, old} and abs(new - old) <= TOLERANCE)):
                problems.append(f"{name}: {part} is stored as {old}, the outputs give {new}")
    return problems


def changed_definitions(values: Mapping[str, Value], arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Return a sentence for each value whose unit or definition differs from that of this version of fgbench."""
    problems = []
    for name, value in measure(arrays).items():
        for part in ("unit", "definition"):
            new, old = getattr(value, part), getattr(values.get(name, value), part)
            if new != old:
                problems.append(f"{name}: {part} is stored as {old!r}, this version of fgbench has {new!r}")
    return problems
