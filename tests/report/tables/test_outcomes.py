from made_records import RECIPES, of_accuracy

from fgbench.judge.verdict import judge
from fgbench.papers.printed import load_papers
from fgbench.report.tables.outcomes import outcome_frame, outcome_sheet

CELLS = [cell for paper in ("bcnn", "where_to_focus") for cell in load_papers()[paper].cells()]


def frame():
    records = [of_accuracy(84.0, seed) for seed in range(3)]
    return outcome_frame(judge(cell, records, {}, RECIPES) for cell in CELLS)


def test_every_number_that_no_paper_cites_counts_once():
    assert any(cell.cites for cell in CELLS)
    assert frame().numbers.sum() == sum(not cell.cites for cell in CELLS)


def test_outcomes_are_in_their_order_and_the_reason_of_the_most_numbers_comes_first():
    counted = frame()
    order = [
        "reproduced",
        "exceeds",
        "not reproduced",
        "inconclusive",
        "not comparable",
        "not run",
        "blocked",
        "context",
    ]
    places = [order.index(outcome) for outcome in counted.outcome]
    assert places == sorted(places)
    assert counted.outcome.iloc[0] == "reproduced"
    for _, rows in counted.groupby("outcome"):
        assert rows.numbers.is_monotonic_decreasing


def test_a_row_names_the_command_that_comes_next():
    missing = frame().query("outcome == 'not run' and reason == 'there is no record'")
    assert len(missing)
    assert missing.command.str.startswith("fgbench run ").all()


def test_the_sheet_has_the_rows_of_the_frame():
    counted = frame()
    sheet = outcome_sheet(counted)
    assert [row[3].text for row in sheet.rows] == counted.numbers.astype(str).tolist()
    assert sheet.rows[0][0].outcome == "reproduced"
