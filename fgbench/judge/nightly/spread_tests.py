"""Tests of the spread over seeds of a night."""

from collections.abc import Sequence

from fgbench.judge.nightly.run_rows import RunRows, count_differing
from fgbench.judge.nightly.value_tests import ALPHA, POWER, ValueTest, dispersion_of
from fgbench.metrics.values import headline
from fgbench.statistics.seed_spread import SPREAD_TEST, detectable_spread, spread_test


def compare_spreads(runs: Sequence[RunRows]) -> list[ValueTest]:
    """Return a test of the spread over seeds of the main value of each run with several seeds.

    The expected spread is that of the other runs of the same profile, or that of the baseline if it is larger. The
    p-values are adjusted by Bonferroni for the number of runs that differ. With heavy tails, one odd training in one
    night is enough for a small p-value, so a night fails only if the run has it in two nights in a row.

    Args:
        runs: the runs of both nights.
    """
    tested = [run for run in runs if run.trained and run.values and len(run.pairs) > 1]
    differing, tests = count_differing(tested), []
    for run in tested:
        main = headline(run.pairs[0].base.values)
        rows = next((rows for rows in run.values if rows.name == main), run.values[0])
        expected = dispersion_of([other for other in runs if other is not run], run.profile)
        p = spread_test(rows.old, rows.new, expected) if run.differs else 1.0
        before, after = (100 * float(night.mean(axis=1).std(ddof=1)) for night in (rows.old, rows.new))
        seeds = ", ".join(f"{100 * mean:.2f}" for mean in rows.new.mean(axis=1))
        factor = detectable_spread(len(run.pairs), expected, ALPHA / differing, POWER)
        tests.append(
            ValueTest(
                where=f"{run.label}: {rows.name}, spread over seeds",
                base=before,
                head=after,
                unit="%",
                down=min(1.0, differing * p),
                up=1.0,
                test=SPREAD_TEST,
                detail=f"standard deviation over seeds; tonight {seeds}",
                detectable=f"x {factor:.3g}",
            )
        )
    return tests
