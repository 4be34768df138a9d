"""Table of effects: every other run on the same test images, paired with a reference run image by image."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fgbench.judge.frames import typed_frame
from fgbench.judge.recomputed import parsed_settings
from fgbench.metrics.per_sample import sample_values
from fgbench.records.record import Record
from fgbench.records.store import Store
from fgbench.report.formatting import NONE
from fgbench.report.tables.sheet import Sheet, SheetCell
from fgbench.statistics import mcnemar
from fgbench.util.errors import FgbenchError

EFFECTS = {
    "run": "string", "title": "string", "seed": "Int64", "differs": "string", "accuracy": "float64",
    "difference": "float64", "lost": "Int64", "won": "Int64", "p": "float64",
}  # fmt: skip
"""Columns of `effect_frame` and their types.

`accuracy` is in percent, `difference` in points against the reference. `lost` images are right in the reference alone,
`won` images in the run alone. `p` is the mid-p value of McNemar's test; it is not adjusted for the number of rows.
"""
ACCURACY = "accuracy"
TEST, TRAIN = "test_pipeline", "train_pipeline"


def effect_frame(store: Store, run_id: str) -> pd.DataFrame:
    """Return the reference run, and one row for each other run with the same test images and labels.

    Args:
        store: the records.
        run_id: id of the reference run.

    Raises:
        FgbenchError: the reference run has no accuracy.
    """
    reference = store.read(run_id)
    if ACCURACY not in reference.values:
        raise FgbenchError(f"the run {run_id} has no accuracy, so that no image is right or wrong", "name another run")
    ids, right = _right(store, reference)
    rows = [_row(reference, "", right, right)]
    for record in store.records():
        if record.run_id == run_id or ACCURACY not in record.values:
            continue
        other_ids, other_right = _right(store, record)
        if np.array_equal(other_ids, ids):
            rows.append(_row(record, differences(reference, record), right, other_right))
    return typed_frame(rows, EFFECTS)


def _right(store: Store, record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids (N,) and whether each image is right, (N,) bool, in the order of the ids."""
    ids, values = sample_values(store.outputs(record), ACCURACY)
    order = np.argsort(ids)
    return ids[order], values[order] > 0


def _row(record: Record, differs: str, right: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    test = mcnemar(right, other)
    return {
        "run": record.run_id,
        "title": record.title,
        "seed": record.seed,
        "differs": differs,
        "accuracy": 100 * other.mean(),
        "difference": 100 * (other.mean() - right.mean()),
        "lost": test.only_a if differs else None,
        "won": test.only_b if differs else None,
        "p": test.p_mid if differs else None,
    }


def differences(reference: Record, record: Record) -> str:
    """Return the settings in which a run differs from the reference, such as `svm.c 10 (1)`.

    The value of the reference is in brackets. If both pipelines differ, that of the test images stands for both.
    """
    old, new = (_flat({"method": r.method, **_with_defaults(r), "seed": r.seed}) for r in (reference, record))
    names = [name for name in dict.fromkeys([*new, *old]) if new.get(name) != old.get(name)]
    if TEST in names and TRAIN in names:
        names.remove(TRAIN)  # it has the same change and random steps
    return "; ".join(f"{name} {_text(new.get(name))} ({_text(old.get(name))})" for name in names) or "code or machine"


def _with_defaults(record: Record) -> dict[str, Any]:
    """Return the settings of a record; what an earlier version did not know has its default."""
    settings = parsed_settings(record.settings_text)
    return record.settings if settings is None else settings.model_dump(mode="json")


def _flat(values: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """Return nested values by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{start}{name}.")
        else:
            flat[start + name] = value
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def effect_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `effect_frame` as a sheet."""
    heads = ("Run", "Differs in (reference)", "Accuracy in %", "Difference", "Lost", "Won", "p")
    lines = [
        (
            row["title"],
            row["differs"] or "reference",
            f"{row['accuracy']:.2f}",
            f"{row['difference']:+.2f}" if row["differs"] else NONE,
            *(NONE if pd.isna(row[name]) else f"{row[name]}" for name in ("lost", "won")),
            NONE if pd.isna(row["p"]) else f"{row['p']:.2g}",
        )
        for row in frame.to_dict("records")
    ]
    return Sheet(
        name="effects",
        caption="Runs on the same test images, compared with a reference run.",
        heads=heads,
        rows=tuple(tuple(map(SheetCell, line)) for line in lines),
        numbers=(False, False, *[True] * 5),
        remarks=(
            "Lost images are right in the reference alone, won images in the run alone. p is the mid-p value of "
            "McNemar's test, not adjusted for the number of rows.",
        ),
    )
