import pytest
from busy_pages import PAPERS, busy_records
from made_records import RECIPES

from fgbench.judge.columns import judge_papers
from fgbench.report.html.strip import difference_strip, strip_range


@pytest.fixture(scope="module")
def verdicts():
    records, _ = busy_records()
    return judge_papers(PAPERS, records, {}, RECIPES)


def test_only_comparable_numbers_have_a_strip_and_its_dot_is_on_the_correct_side(verdicts):
    def x(svg):
        return float(svg.split('cx="')[1].split('"')[0])

    by_id = {v.cell.id: v for v in verdicts["bcnn"]}
    largest = strip_range(list(by_id.values()))
    good, over, bad, other = (
        by_id[f"t1/{name}"] for name in ("bcnn_dd/birds", "bcnn_dm/birds", "bcnn_mm/birds", "bcnn_dd/aircraft")
    )
    assert [v.outcome.value for v in (good, over, bad, other)] == [
        "reproduced", "exceeds", "not reproduced", "not comparable",
    ]  # fmt: skip
    assert x(difference_strip(bad, largest)) < x(difference_strip(good, largest)) < x(difference_strip(over, largest))
    assert abs(x(difference_strip(good, largest)) - 60) < 1
    assert difference_strip(other, largest) == ""
    assert largest < abs(other.mean - other.cell.value)
    assert largest >= abs(bad.mean - bad.cell.value)
    assert 4 <= x(difference_strip(bad, largest)) <= 116
    assert strip_range([other]) == 0
