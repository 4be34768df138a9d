"""Judge printed numbers and claims by the measured records, and compare the records of two nights (`nightly/`).

To add a verdict, change these files:

1. `verdict.py`: a member of `Outcome` and the rule that gives it (`judge`; for outcomes of the statistical test,
   `Position` in `margin_test.py` and `OUTCOME_AT`).
2. `fgbench/report/formatting.py` (`BADGES`) and `fgbench/report/tables/latex_markdown.py` (`SIGNS`): how it is shown.
3. `docs/verdicts.md`: what it means.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from fgbench.util.files import expand_user

if TYPE_CHECKING:
    import os

    from fgbench.judge.outside.answers import Source
    from fgbench.judge.verdict import Verdict


class JudgeModule(ModuleType):
    """The room as a module that can be called: `fgbench.judge(...)`."""

    def __call__(
        self,
        predictions: "Source | Sequence[Source]",
        cell: str = "",
        *,
        results: "str | os.PathLike[str] | None" = None,
        name: str = "",
        data: str = "",
    ) -> "Verdict":
        """Return the verdict on a printed number by predictions that were made elsewhere.

        The guide "Judge predictions" describes the formats. An array without names has one row for each test image, in
        their official order: scores (N, C), official numbers of classes (N,) from 1, or keypoints (N, P, 3).

        Args:
            predictions: path of a CSV, Parquet or NPZ file; or a table of pandas, an array, or named arrays as in an
                NPZ file. A list holds the seeds of one result.
            cell: printed number, such as `bcnn/t1/bcnn_dd/birds`.
            results: results folder that keeps the records, such as `runs`; None to keep nothing.
            name: name of the result on pages; by default the name of the first file.
            data: data set of the predictions, such as `synthetic_birds`; by default that of the cell. On another data
                set the verdict is `not comparable`.

        Raises:
            FgbenchError: predictions do not answer the cell, the data set is not on this machine, or a test image is
                unknown, double or missing.

        Example:
            verdict = fgbench.judge("scores.csv", cell="bcnn/t1/bcnn_dd/birds")
            print(verdict.mean, verdict.outcome, verdict.reason)
        """
        from fgbench.judge.outside.verdicts import judge_predictions
        from fgbench.util.errors import FgbenchError

        if not isinstance(cell, str) or not cell:
            raise FgbenchError(
                "no printed number is named with which the predictions are compared",
                'name one, such as cell="bcnn/t1/bcnn_dd/birds"; fgbench.cells() lists them',
            )
        several = isinstance(predictions, Sequence) and not isinstance(predictions, str)
        sources: Sequence[Source] = predictions if several else [predictions]  # type: ignore[assignment, list-item]
        folder = None if results is None else expand_user(Path(results))
        return judge_predictions(sources, cell, folder, name, data)


sys.modules[__name__].__class__ = JudgeModule
