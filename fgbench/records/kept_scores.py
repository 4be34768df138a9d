"""Copies of records with the highest scores of each image alone, for results that are published."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from fgbench.metrics.values import CLASS_MAP
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError

HIGHEST = 5
"""Number of scores of an image that are kept."""
_ABSOLUTE = re.compile(r"(?<![^\s=])(?:[A-Za-z]:[\\/]|[/~])[^\s]*")


def keep(source: Store, target: Store) -> list[str]:
    """Copy every record of a store that the other one lacks, with the highest scores of each image.

    Every value is computed again from what is kept, and has to be what it was. The mean average precision of the
    classes needs all scores and is left out. In the command of a run, the names of folders of this machine are reduced
    to their last part.

    Returns:
        The ids of the copied records.

    Raises:
        FgbenchError: a record does not verify, before or after.
    """
    copied = []
    for record in source.records():
        if target.has(record.run_id):
            continue
        _check(source, record.run_id)
        arrays = source.outputs(record)
        fields = record.model_dump(mode="json")
        _reduce_folders(fields["provenance"])
        if "scores" in arrays and arrays["scores"].shape[1] > HIGHEST:
            arrays["scores"] = highest(arrays["scores"])
            fields["scores_kept"] = HIGHEST
            fields["values"].pop(CLASS_MAP, None)
        target.write(fields, arrays)
        try:
            _check(target, record.run_id)
        except FgbenchError:
            target.take(record.run_id)
            raise
        copied.append(record.run_id)
    return copied


def highest(scores: np.ndarray) -> np.ndarray:
    """Set all but the highest scores of each image to one below the least of these.

    The order of the highest scores, and with it the predicted class, does not change.

    Args:
        scores: (N, C).

    Returns:
        (N, C), of the same type.

    Example:
        >>> highest(np.array([[9.0, 1, 8, 2, 7, 6, 5]])).tolist()
        [[9.0, 4.0, 8.0, 4.0, 7.0, 6.0, 5.0]]
    """
    least = np.sort(scores, axis=1)[:, -HIGHEST, None]
    return np.where(scores >= least, scores, least - np.float32(1)).astype(scores.dtype)


def _reduce_folders(provenance: dict[str, Any]) -> None:
    """Reduce absolute paths in the command to their last part, in place."""
    if isinstance(command := provenance.get("command"), str):
        provenance["command"] = _ABSOLUTE.sub(lambda path: _last_part(path[0]), command)


def _last_part(path: str) -> str:
    return (PureWindowsPath(path) if "\\" in path else PurePosixPath(path)).name or path


def _check(store: Store, run_id: str) -> None:
    if wrong := store.verify(store.read(run_id)):
        raise FgbenchError(f"{store.folder / run_id}: {'; '.join(wrong)}", "run it again")
