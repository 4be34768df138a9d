"""Table of learning curves, one row for each epoch of each run."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from fgbench.judge.frames import typed_frame
from fgbench.records.record import Point, Record
from fgbench.report.tables.sheet import Sheet, frame_sheet

RUN = {
    "run_id": "string", "recipe": "string", "title": "string", "profile": "string", "data": "string", "seed": "int64",
    "control": "string",
}  # fmt: skip
"""Columns of the run."""
PLACE = {"stage": "string", "epoch": "int64"}
"""Columns of `fgbench.records.record.Point` that name the epoch: the stage, and the number of the epoch in it."""
KEPT = {name: "float64" for name, field in Point.model_fields.items() if field.annotation in {float, float | None}}
"""Columns of the values that a record keeps of each epoch, as `fgbench.records.record.Point` describes them."""
SHOWN = ("run_id", "title", "seed", *PLACE, *KEPT)


def curve_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row for each epoch of each record, in the order of the records and of training.

    A record of a run that trained nothing has no row.
    """
    return typed_frame([_row(record, point) for record in records for point in record.curve], RUN | PLACE | KEPT)


def _row(record: Record, point: Point) -> dict[str, Any]:
    return {
        **{name: getattr(record, name) for name in RUN if name != "control"},
        "control": record.protocol.get("control", "none"),
        **{name: getattr(point, name) for name in (*PLACE, *KEPT)},
    }


def curve_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `curve_frame` as a sheet."""
    return frame_sheet(
        "curves", "Learning curves: loss, training accuracy in percent, and seconds of each epoch.", frame, SHOWN
    )
