"""Pictures of measured minus printed: their axis, the dot, the interval, and the band of the margin."""

import re
from dataclasses import replace

import pytest
from busy_pages import PAPERS, busy_records
from made_records import RECIPES, deviation
from made_verdicts import CELL, STEADY, over_seeds, verdict

from fgbench.judge.columns import judge_papers
from fgbench.report.formatting import interval
from fgbench.report.html.strip import INSET, WIDTH, any_cut, axis_end, axis_ticks, difference_strip

CHANGED = {"deviations": [deviation("stages", run="none")]}


@pytest.fixture(scope="module")
def verdicts():
    records, _ = busy_records()
    return judge_papers(PAPERS, records, {}, RECIPES)


def dot(svg):
    return float(re.search(r'cx="([\d.-]+)"', svg)[1])


def band(svg):
    """Return the left and the right end of the band; None without one."""
    found = re.search(r'<rect x="([\d.-]+)" y="1" width="([\d.-]+)"', svg)
    return found and (float(found[1]), float(found[1]) + float(found[2]))


def line(svg):
    """Return the ends of the interval; None without one."""
    found = re.search(r'<line x1="([\d.-]+)" x2="([\d.-]+)" y1="8"', svg)
    return found and (float(found[1]), float(found[2]))


def test_a_dot_is_on_the_correct_side_of_the_printed_value(verdicts):
    by_id = {v.cell.id: v for v in verdicts["bcnn"]}
    good, over, bad, _ = shown = [
        by_id[f"t1/{name}"] for name in ("bcnn_dd/birds", "bcnn_dm/birds", "bcnn_mm/birds", "bcnn_dd/aircraft")
    ]
    assert [v.outcome.value for v in shown] == ["reproduced", "exceeds", "not reproduced", "not comparable"]
    end = axis_end(list(by_id.values()))
    middle = WIDTH / 2
    assert dot(difference_strip(bad, end)) < dot(difference_strip(good, end)) < dot(difference_strip(over, end))
    assert abs(dot(difference_strip(good, end)) - middle) < 1
    for v in shown:
        svg = difference_strip(v, end)
        assert dot(svg) == pytest.approx(middle + (middle - INSET) * (v.mean - v.cell.value) / end, abs=0.06)
        assert re.search(r'class="strip (\w+)"', svg)[1] == {
            "reproduced": "good", "exceeds": "over", "not reproduced": "bad", "not comparable": "aside",
        }[v.outcome.value]  # fmt: skip


def test_only_a_comparable_number_has_the_band_of_the_margin():
    judged, other = verdict(over_seeds(STEADY)), verdict(over_seeds(STEADY, **CHANGED))
    end = axis_end([judged, other])
    low, high = band(difference_strip(judged, end))
    half = (WIDTH / 2 - INSET) * judged.cell.margin / end
    assert (low, high) == pytest.approx((WIDTH / 2 - half, WIDTH / 2 + half), abs=0.2)
    assert band(difference_strip(other, end)) is None
    assert dot(difference_strip(other, end)) == dot(difference_strip(judged, end))


def test_the_line_is_the_interval_of_the_mean_and_one_seed_has_none():
    many, one = verdict(over_seeds([83.0, 84.0, 85.0])), verdict(over_seeds([84.0]))
    end = axis_end([many, one])
    scale = (WIDTH / 2 - INSET) / end
    ends = interval(many).ends
    expected = tuple(WIDTH / 2 + scale * (value - CELL.value) for value in (ends.low, ends.high))
    assert line(difference_strip(many, end)) == pytest.approx(expected, abs=0.1)
    assert line(difference_strip(one, end)) is None


def test_the_axis_ends_at_a_round_number_and_has_room_for_all_pictures(verdicts):
    judged = [v for of_paper in verdicts.values() for v in of_paper if v.mean is not None]
    assert len(judged) > 5
    for shown in (judged, *([v] for v in judged)):
        end = axis_end(shown)
        assert float(f"{end:.3e}".split("e")[0]) in {1, 1.5, 2, 3, 4, 5, 6, 8}
        for v in shown:
            svg = difference_strip(v, end)
            places = [dot(svg), *(band(svg) or ()), *(line(svg) or ())]
            assert len(shown) > 1 or "cut" not in svg
            assert min(places) >= INSET - 0.1
            assert max(places) <= WIDTH - INSET + 0.1


@pytest.mark.parametrize(
    ("difference", "end"),
    [(0.7, 0.8), (1.0, 1.0), (1.2, 1.5), (2.5, 3), (3.5, 4), (6.5, 8), (8.5, 10), (13.0, 15), (40.0, 40), (83.0, 100)],
)
def test_the_axis_ends_at_the_next_round_number(difference, end):
    (record,) = over_seeds([CELL.value - difference], **CHANGED)
    assert axis_end([verdict([record])]) == pytest.approx(end)


def arrows(svg):
    """Return the tips of the arrows."""
    return [float(tip) for tip in re.findall(r'class="cut" d="M[\d.]+ 4L([\d.-]+) 8', svg)]


def test_one_wide_interval_is_cut_with_an_arrow_and_leaves_the_axis_of_the_others():
    narrow = [verdict(over_seeds([84.0 + shift, 84.2 + shift, 83.8 + shift])) for shift in (0.0, 0.3, 0.6)]
    wide = verdict(over_seeds([80.0, 88.0]))
    end = axis_end([*narrow, wide])
    assert end < 2.5
    assert any_cut([*narrow, wide], end)
    assert not any_cut(narrow, end)
    svg = difference_strip(wide, end)
    assert arrows(svg) == [0, WIDTH]
    assert line(svg) == (INSET, WIDTH - INSET)
    ends = interval(wide).ends
    assert f"<title>The interval is longer than the axis: {ends.low:.2f} to {ends.high:.2f}</title>" in svg
    for v in narrow:
        assert arrows(difference_strip(v, end)) == []
        assert "<title>" not in difference_strip(v, end)


def test_an_interval_is_cut_on_the_side_where_it_is_longer_than_the_axis():
    v = verdict(over_seeds([85.0, 86.0]))
    svg = difference_strip(v, 4.0)
    assert interval(v).ends.low < CELL.value - 4 < CELL.value + 4 < interval(v).ends.high
    assert arrows(svg) == [0, WIDTH]
    above = difference_strip(v, 6.0)
    assert interval(v).ends.low > CELL.value - 6
    assert arrows(above) == [WIDTH]


def test_the_intervals_of_one_or_two_cells_are_whole():
    wide, narrow = verdict(over_seeds([84.0, 90.0])), verdict(over_seeds(STEADY))
    for shown in ([wide], [wide, narrow]):
        assert not any_cut(shown, axis_end(shown))


def test_a_far_mean_is_never_cut():
    far = verdict(over_seeds([CELL.value - 60]))
    assert axis_end([far, *(verdict(over_seeds(STEADY)) for _ in range(5))]) == 60


def test_without_a_measured_number_there_is_no_axis_and_no_picture(verdicts):
    empty = verdict([])
    assert axis_end([]) == axis_end([empty]) == 0
    assert difference_strip(empty, 4) == ""
    (exact,) = over_seeds([CELL.value], **CHANGED)
    assert axis_end([verdict([exact])]) == 0
    assert difference_strip(verdict([exact]), 0) == ""
    no_number = next(v for v in verdicts["bcnn"] if v.records and v.mean is None)
    assert difference_strip(no_number, 4) == ""


def test_the_margin_alone_sets_the_axis_of_an_exact_number():
    exact = verdict(over_seeds([CELL.value] * 5), replace(CELL, margin=5.0))
    assert exact.decision
    assert axis_end([exact]) == 6


def test_ticks_are_at_the_places_of_their_numbers():
    ticks = re.findall(r'<text x="([\d.]+)" y="12" text-anchor="(\w+)">(.*?)</text>', axis_ticks(1.5))
    assert ticks == [("0", "start", "−1.5"), ("60", "middle", "0"), ("120", "end", "+1.5")]  # noqa: RUF001
    assert ">+80<" in axis_ticks(80.0)
