"""Names of runs in charts and tables."""

import pytest
from recompressed_runs import RIGHT, run_at

from fgbench.report.html.run_groups import named_groups
from fgbench.report.tables.phase_table import phase_frame
from fgbench.report.tables.run_table import run_frame

PLAIN = "B-CNN [D,D]"
NAMES = [PLAIN, "B-CNN [D,D], recompressed to quality 30"]


@pytest.mark.parametrize("title", NAMES)
def test_a_recompressed_run_is_named_after_its_quality_also_if_its_title_has_none(title):
    runs = [run_at(RIGHT, quality, title=name)[0] for quality, name in ((None, PLAIN), (30, title))]
    assert [name for name, _ in named_groups([[run] for run in runs])] == NAMES
    for frame in (run_frame(runs, []), phase_frame(runs)):
        assert sorted(set(frame.title)) == NAMES
