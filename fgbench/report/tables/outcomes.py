"""Table of outcomes: how many printed numbers have each outcome, for which reason, and what to do next."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from fgbench.judge.reason_words import short_reason
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.report.tables.sheet import Sheet, SheetCell

COLUMNS = ["outcome", "reason", "command", "numbers"]
ORDER = list(Outcome)


def outcome_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Count the printed numbers of each outcome by reason and next command.

    A number that one paper cites from another one counts once. The outcomes have the order of `Outcome`. In one
    outcome, the reason of the most numbers comes first.
    """
    counts = Counter((v.outcome, short_reason(v), v.command) for v in verdicts if not v.cell.cites)
    rows = sorted(counts.items(), key=lambda item: (ORDER.index(item[0][0]), -item[1], item[0]))
    return pd.DataFrame([(outcome.value, *texts, count) for (outcome, *texts), count in rows], columns=COLUMNS)


def outcome_sheet(frame: pd.DataFrame) -> Sheet:
    """Return `outcome_frame` as a sheet."""
    return Sheet(
        name="outcomes",
        caption="Printed numbers by outcome, with what to do next.",
        heads=("Outcome", "Reason", "Next command", "Numbers"),
        rows=tuple(
            (SheetCell(outcome, Outcome(outcome)), SheetCell(reason), SheetCell(command), SheetCell(str(count)))
            for outcome, reason, command, count in frame.itertuples(index=False)
        ),
        numbers=(False, False, False, True),
    )
