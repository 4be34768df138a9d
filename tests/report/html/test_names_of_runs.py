"""Names of runs in charts and tables."""

import pytest
from recompressed_runs import RIGHT, run_at

from fgbench.report.html.run_groups import named_groups


@pytest.mark.parametrize("title", ["B-CNN [D,D]", "B-CNN [D,D], recompressed to quality 30"])
def test_a_recompressed_run_is_named_after_its_quality_also_if_its_title_has_none(title):
    runs = [run_at(RIGHT, quality, title=name)[0] for quality, name in ((None, "B-CNN [D,D]"), (30, title))]
    names = [name for name, _ in named_groups([[run] for run in runs])]
    assert names == ["B-CNN [D,D]", "B-CNN [D,D], recompressed to quality 30"]
