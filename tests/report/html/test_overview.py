import re

import pytest
from busy_pages import PAPERS, busy_records
from made_records import RECIPES, Kept, deviation, of_accuracy, of_right
from report_pages import Parsed, pages

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.columns import judge_papers
from fgbench.judge.verdict import Outcome
from fgbench.report.html.overview import OUTCOMES, matrix, next_steps, run_line
from fgbench.report.html.printed_cells import cell_anchor
from fgbench.util.errors import Obstacle


@pytest.fixture(scope="module")
def verdicts():
    records, _ = busy_records()
    obstacle = Obstacle("weights: none (looked for /a)", "fgbench weights get vggm.matconvnet")
    return judge_papers(PAPERS, records, {key: obstacle for key in RECIPES if "fc_cnn_m" in key}, RECIPES)


def test_the_matrix_counts_each_judged_cell_once_and_context_separately(verdicts):
    *rows, total = matrix(PAPERS, verdicts)
    assert [row.paper for row in rows] == list(PAPERS)
    for row in rows:
        of_paper = [v for v in verdicts[row.paper] if not v.cell.cites]
        assert row.cited == len(verdicts[row.paper]) - len(of_paper)
        assert [count.number for count in row.counts] == [sum(v.outcome == o for v in of_paper) for o in OUTCOMES]
        assert row.others == sum(v.outcome == Outcome.CONTEXT for v in of_paper)
        assert sum(count.number for count in row.counts) == row.judged == len(of_paper) - row.others
        assert sum(count.share for count in row.counts) == pytest.approx(1)
        for outcome, count in zip(OUTCOMES, row.counts, strict=True):
            first = next((v for v in of_paper if v.outcome == outcome), None)
            assert count.first == ("" if first is None else cell_anchor(first.cell))
    assert total.judged == sum(row.judged for row in rows) == 174
    assert (total.others, total.cited) == (85, 19)
    assert total.judged + total.others + total.cited == sum(len(of_paper) for of_paper in verdicts.values())


def test_the_matrix_has_only_columns_of_outcomes_that_occur(tmp_path):
    def heads(records, obstacles=None):
        index = pages(tmp_path / str(len(records)), records, obstacles)["index"]
        table = index.split('<table class="matrix"')[1].split("</table>")[0]
        columns = int(re.search(r"--columns:(\d+)", table)[1])
        words = re.findall(r'<span class="word">(.*?)</span>', table)
        assert columns == len(words)
        rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]
        assert {row.count("<td") for row in rows} == {columns}
        return words

    assert heads([]) == ["not measured", "numbers"]
    good = [of_accuracy(84.0 + s / 50, s) for s in range(3)]
    assert heads(good) == ["reproduced", "not measured", "numbers"]
    blocked = {"bcnn/bcnn_dm@cub": Obstacle("weights: none", "fgbench weights get it")}
    records = [*good, of_accuracy(70.0, recipe="bcnn/fc_cnn_d@cub", deviations=[deviation("stages")])]
    assert heads(records, blocked) == ["reproduced", "not comparable", "not measured", "numbers"]


def test_the_first_sentence_counts_the_measured_numbers(tmp_path):
    def lead(records):
        index = pages(tmp_path / str(len(records)), records)["index"]
        return Parsed(index.split('<p class="lead">')[1].split("</p>")[0]).text

    assert lead([]) == "None of 174 printed numbers of 4 papers is measured yet."
    good = [of_accuracy(84.0 + s / 50, s) for s in range(3)]
    assert lead(good) == "1 of 174 printed numbers of 4 papers is measured: 1 ● reproduced ."
    more = [*good, of_accuracy(70.0, recipe="bcnn/fc_cnn_d@cub", deviations=[deviation("stages")])]
    assert lead(more) == "2 of 174 printed numbers of 4 papers are measured: 1 ● reproduced , 1 ◇ not comparable ."


def test_claims_without_runs_are_folded_and_those_with_runs_are_not(tmp_path):
    def claims(records, outputs=None):
        folder = tmp_path / str(len(records))
        index = pages(folder, records, outputs=outputs)["index"].split('<h2 id="claims">')[1].split("<h2")[0]
        shown, _, folded = index.partition('<details class="more"><summary>')
        return shown.count('<span class="badge'), folded.count('<span class="badge'), folded.split("<")[0]

    total = sum(len(paper.claims) for paper in PAPERS.values())
    assert claims([]) == (0, total, f"{total} claims without runs")
    kept = Kept(*(of_right([True] * 30 + [False] * 10, f"bcnn/{name}@cub") for name in ("fv_cnn_d", "fc_cnn_d")))
    assert claims(kept.records, kept) == (1, total - 1, f"{total - 1} claims without runs")


def test_the_number_of_tested_cells_and_of_expected_false_verdicts_is_stated(tmp_path):
    records = [of_accuracy(84.0 + s / 50, s) for s in range(3)]
    records += [of_accuracy(70.4 + s / 50, s, recipe="bcnn/fc_cnn_d@cub") for s in range(3)]
    text = Parsed(pages(tmp_path, records)["index"]).text
    # The second number is also cited by another paper and counts once.
    assert (
        "2 numbers were tested at an error rate of at most 5 % each: at most 0.1 false verdicts are expected." in text
    )
    assert "2 of these are decided, 2 also after the adjustment for all tested numbers (Holm)." in text
    assert "expected" not in Parsed(pages(tmp_path / "none", [])["index"]).text


def test_without_judged_cells_shares_are_zero():
    (row, _) = matrix({"bcnn": PAPERS["bcnn"]}, {"bcnn": []})
    assert [count.share for count in row.counts] == [0] * len(OUTCOMES)


def test_next_steps_have_every_command_once_and_the_one_for_the_most_cells_first(verdicts):
    steps = next_steps(verdicts)
    counts = [step.cells for step in steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    commands = [v.command for of_paper in verdicts.values() for v in of_paper if v.command and not v.cell.cites]
    assert sum(counts) == len(commands)
    assert {step.command for step in steps} == set(commands)
    weights = next(step for step in steps if step.command.endswith("vggm.matconvnet"))
    assert (weights.badge.word, weights.reason) == ("blocked", "weights: none")
    assert weights.papers == ("bcnn",)


def test_a_row_has_the_mean_over_seeds_and_the_maximum_of_the_peaks():
    times = "2026-01-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00"
    group = [
        of_accuracy(80.0 + s, s, cost={"wall_s": 10.0 * (s + 1), "phase_s": {}, "peak_mib": 50.0 - s},
                    deviations=[deviation("control", run="shuffled")], provenance={"finished": times[s]})
        for s in range(2)
    ]  # fmt: skip
    anomaly = Anomaly("chance", "why")
    row = run_line(group, "x.html", {group[1].run_id: [anomaly]})
    assert (row.mean, row.wall_s, row.peak_mib, row.seeds) == (80.5, 15.0, 50.0, 2)
    assert sum(row.interval.ends) / 2 == pytest.approx(row.mean)
    assert row.interval.about == "95 % over 2 seeds"
    assert (row.control, row.finished, row.anomalies) == ("shuffled", "2026-03-02", (anomaly,))
    assert run_line([of_accuracy(1.0)], "x.html", {}).finished == ""
