"""Copies the records of a results folder to one that the repository keeps, with the highest scores of each image alone.

    python reports/keep.py runs/cub reports/cub-200-2011

Every value is recomputed from what is kept, and has to be what it was. The other scores of an image stand one below the
least that is kept, so that the order of those kept, and the class, stay as they are.
"""

import sys
from pathlib import Path

import numpy as np

from fgbench.metrics.values import CLASS_MAP
from fgbench.records.store import Store, store_of
from fgbench.util.errors import FgbenchError

HIGHEST = 5


def keep(source: Store, target: Store) -> None:
    """Copy every record of a store that the other one lacks.

    Raises:
        FgbenchError: a record does not verify, before or after.
    """
    for record in source.records():
        if target.has(record.run_id):
            continue
        _check(source, record.run_id)
        arrays = source.outputs(record)
        fields = record.model_dump(mode="json")
        if "scores" in arrays and arrays["scores"].shape[1] > HIGHEST:
            arrays["scores"] = highest(arrays["scores"])
            fields["scores_kept"] = HIGHEST
            fields["values"].pop(CLASS_MAP, None)  # it needs all scores
        target.write(fields, arrays)
        try:
            _check(target, record.run_id)
        except FgbenchError:
            target.take(record.run_id)
            raise


def highest(scores: np.ndarray) -> np.ndarray:
    """(N, C) scores with all but the highest of each row one below the least of these."""
    least = np.sort(scores, axis=1)[:, -HIGHEST, None]
    return np.where(scores >= least, scores, least - np.float32(1)).astype(scores.dtype)


def _check(store: Store, run_id: str) -> None:
    if wrong := store.verify(store.read(run_id)):
        raise FgbenchError(f"{store.folder / run_id}: {'; '.join(wrong)}")


if __name__ == "__main__":
    try:
        keep(*(store_of(Path(folder)) for folder in sys.argv[1:3]))
    except FgbenchError as error:
        sys.exit(f"not kept: {error}")
