"""Judge printed numbers and claims by the measured records, and compare the records of two nights (`nightly/`).

To add a verdict, change these files:

1. `verdict.py`: a member of `Outcome` and the rule that gives it (`judge`; for outcomes of the statistical test,
   `Position` in `margin_test.py` and `OUTCOME_AT`).
2. `fgbench/report/formatting.py` (`BADGES`) and `fgbench/report/tables/latex_markdown.py` (`SIGNS`): how it is shown.
3. `docs/verdicts.md`: what it means.
"""
