"""Table of answers: the measured values beside the printed numbers that they answer."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fgbench.judge.verdict import Outcome
from fgbench.report.formatting import MEASURED_PLACES, measured
from fgbench.report.tables.run_table import row_interval_text
from fgbench.report.tables.sheet import Sheet, SheetCell

HEADS = (
    "Paper", "Method", "Column", "Profile", "Seeds", "Printed", "Measured", "95 % over seeds", "Difference", "Verdict",
)  # fmt: skip
NUMBERS = {"Seeds", "Printed", "Measured", "95 % over seeds", "Difference"}


def answer_frame(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts with a measured value, by the printed number.

    A number that one paper cites from another one appears once. Frames per second are left out: the pages show them
    with their devices.

    Args:
        verdicts: as `fgbench.verdicts` returns them.
    """
    measured_here = verdicts.measured.notna() & (verdicts.cites == "") & (verdicts.metric != "fps")
    return verdicts[measured_here].sort_values("printed", kind="stable", ignore_index=True)


def answer_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `answer_frame` as a sheet."""
    return Sheet(
        name="answers",
        caption="Measured values beside the printed numbers that they answer.",
        heads=HEADS,
        rows=tuple(_cells(row) for row in frame.to_dict("records")),
        numbers=tuple(head in NUMBERS for head in HEADS),
    )


def _cells(row: Mapping[Any, Any]) -> tuple[SheetCell, ...]:
    places = len(f"{row['printed']}".partition(".")[2])
    texts = (
        row["paper"],
        row["row"],
        row["column"],
        row["profile"],
        str(row["seeds"]),
        f"{row['printed']:.{places}f} {row['unit']}",
        f"{measured(row['measured'])} {row['unit']}",
        row_interval_text({"low": row["seeds_low"], "high": row["seeds_high"], "interval": row["interval"]}),
        f"{row['measured'] - row['printed']:+.{MEASURED_PLACES}f}",
    )
    return (*map(SheetCell, texts), SheetCell(row["verdict"], Outcome(row["verdict"])))
