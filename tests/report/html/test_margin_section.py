"""Margins on the pages of the papers."""

import pytest
from made_records import of_accuracy
from report_pages import PAPERS, Parsed, pages

from fgbench.report.html.margin_section import listed_rows, margin_origin, margin_sentences


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    records = [of_accuracy(84.0 + s / 50, s) for s in range(5)]
    records += [of_accuracy(71.6 + s / 50, s, recipe="bcnn/fc_cnn_d@cub") for s in range(5)]
    return pages(tmp_path_factory.mktemp("pages"), records)


def section(page):
    return page.split('<h2 id="margins">')[1].split("<h2")[0]


def test_every_paper_names_the_origin_of_its_margins(written):
    for name, paper in PAPERS.items():
        text = Parsed(section(written[name])).text
        assert "Accuracy: derived from 23 re-implementations on cub. 80 % of them lie within 0.765 points" in text
        chosen = {cell.metric for cell in paper.cells() if not cell.margin_from}
        assert ("chosen, not derived" in text) == bool(chosen)
        assert ('href="bcnn.html#margins"' in section(written[name])) == (name != "bcnn")
    assert "PCK and PCP: 1 points, chosen, not derived." in Parsed(section(written["keypoint_fcn"])).text


def test_the_list_has_every_row_and_marks_the_one_that_gives_the_half_width(written):
    rule = PAPERS["bcnn"].margins["accuracy"]
    rows = listed_rows(rule)
    assert len(rows) == len(rule.reimplementations)
    assert [row.rank for row in rows] == [*range(1, 24), *[None] * 9]
    (marked,) = [row for row in rows if row.is_half_width]
    assert (marked.rank, marked.difference) == (19, rule.half_width)
    text = Parsed(section(written["bcnn"])).text
    for row in rule.reimplementations:
        assert f"{row.name} {row.printed:.2f} {row.measured:.2f}" in text
    assert text.count("◀") == 1
    assert f"19 {marked.row.name} {marked.row.printed:.2f} {marked.row.measured:.2f} 0.765 ◀ yes" in text
    assert text.count(" no: another input size ") == 4


def test_rows_with_equal_differences_have_one_mark():
    rule = PAPERS["bcnn"].margins["accuracy"]
    row = rule.counted[0].model_copy(update={"measured": 84.5})
    equal = rule.model_copy(update={"reimplementations": (row,) * 12})
    assert [listed.is_half_width for listed in listed_rows(equal)] == [True] + [False] * 11


def test_the_margin_of_a_cell_says_how_it_was_made():
    cells = {f"{paper.id}/{cell.id}": cell for paper in PAPERS.values() for cell in paper.cells()}
    for name, text in (
        ("bcnn/t1/fv_sift/birds_no_ft", "derived from 23 re-implementations, scaled to 18.8 %"),
        ("bcnn/t1/fv_sift/cars_no_ft", "derived from 23 re-implementations, scaled to 59.2 %, from cub to cars"),
        ("keypoint_fcn/t3/ours/head", "chosen, not derived"),
    ):
        assert margin_origin(cells[name], PAPERS) == text


def test_margins_of_one_metric_and_size_are_one_sentence():
    sentences = [text for text, _ in margin_sentences(PAPERS["where_to_focus"].cells(), PAPERS)]
    assert sentences[1:] == ["Rates of the first ranks and mean average precision: 1 points, chosen, not derived."]


def test_a_cell_has_its_verdict_at_half_and_twice_the_margin(written):
    def details(name):
        return Parsed(written["bcnn"].split(f'id="cell-t1-{name}-birds"')[1].split("</dl>")[0]).text

    assert "Other margins half the margin (0.385 points): reproduced; twice the margin (1.54 points): repr" in details(
        "bcnn_dd"
    )
    assert "half the margin (0.48 points): exceeds; twice the margin (1.92 points): reproduced" in details("fc_cnn_d")
    assert "exceeds (p = " in details("fc_cnn_d").split("Adjusted for all tested cells ")[1]
    assert "Best of several trainings" in details("bcnn_dd")
    text = Parsed(section(written["bcnn"])).text
    assert "2 cells were tested. At half the margin none would have another verdict, at twice the margin 1" in text
    assert "tested" not in Parsed(section(written["tasn"])).text
