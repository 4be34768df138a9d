"""Prints the measured values of a results folder beside the printed numbers that they answer, as a Markdown table.

    python reports/answers.py reports/cub-200-2011

Each printed number that has a measured value is one row. A number that one paper cites from another one appears once.
Frames per second are left out: the pages show them with their devices.
"""

import sys

import pandas as pd

import fgbench
from fgbench.judge.verdict import Outcome
from fgbench.report.formatting import BADGES, MEASURED_PLACES, measured
from fgbench.report.tables.latex_markdown import markdown_text
from fgbench.report.tables.run_table import row_interval_text

HEAD = (
    "| Method | Column | Profile | Seeds | Printed | Measured | 95 % over seeds | Difference | Verdict |",
    "|:--|:--|:--|--:|--:|--:|--:|--:|:--|",
)


def answers(folder: str) -> str:
    """Return the table of a results folder."""
    verdicts = fgbench.verdicts(folder)
    answered = verdicts[verdicts.measured.notna() & (verdicts.cites == "") & (verdicts.metric != "fps")]
    return "\n".join([*HEAD, *(_row(row) for _, row in answered.sort_values("printed").iterrows())]) + "\n"


def _row(row: "pd.Series[object]") -> str:
    places = len(f"{row.printed}".partition(".")[2])
    fields = (
        markdown_text(str(row.row)),
        markdown_text(str(row.column)),
        str(row.profile),
        str(row.seeds),
        f"{row.printed:.{places}f} {row.unit}",
        f"{measured(row.measured)} {row.unit}",
        row_interval_text({"low": row.seeds_low, "high": row.seeds_high, "interval": row.interval}),
        f"{row.measured - row.printed:+.{MEASURED_PLACES}f}",
        f"{BADGES[Outcome(str(row.verdict))].shape} {row.verdict}",
    )
    return f"| {' | '.join(fields)} |"


if __name__ == "__main__":
    sys.stdout.write(answers(sys.argv[1]))
