import pytest
from busy_pages import PAPERS, busy_records
from made_records import RECIPES, deviation, of_accuracy
from report_pages import Parsed, pages

from fgbench.judge.anomalies import Anomaly
from fgbench.judge.columns import judge_papers
from fgbench.judge.verdict import Outcome
from fgbench.report.html.lazy_pictures import Pictures
from fgbench.report.html.model import source
from fgbench.report.html.overview import OUTCOMES, matrix, next_steps, place, run_line
from fgbench.report.html.pages import Page, address, navigation
from fgbench.report.html.strip import reach, strip
from fgbench.util.errors import Obstacle


@pytest.fixture(scope="module")
def verdicts():
    records, _ = busy_records()
    obstacle = Obstacle("weights: none (looked for /a)", "fgbench weights get vggm.matconvnet")
    return judge_papers(PAPERS, records, {key: obstacle for key in RECIPES if "fc_cnn_m" in key}, RECIPES)


def test_the_matrix_counts_each_cell_once_and_context_apart(verdicts):
    *lines, everything = matrix(PAPERS, verdicts)
    assert [line.paper for line in lines] == list(PAPERS)
    for line in lines:
        own = verdicts[line.paper]
        assert [count.number for count in line.counts] == [sum(v.outcome == o for v in own) for o in OUTCOMES]
        assert line.others == sum(v.outcome == Outcome.CONTEXT for v in own)
        assert sum(count.number for count in line.counts) == line.judged == len(own) - line.others
        assert sum(count.share for count in line.counts) == pytest.approx(1)
        for outcome, count in zip(OUTCOMES, line.counts, strict=True):
            first = next((v for v in own if v.outcome == outcome), None)
            assert count.first == ("" if first is None else place(first.cell))
    assert everything.judged == sum(line.judged for line in lines) == 141
    assert everything.others > 0


def test_a_paper_without_cells_of_its_own_to_judge_has_no_share():
    (line, _) = matrix({"bcnn": PAPERS["bcnn"]}, {"bcnn": []})
    assert [count.share for count in line.counts] == [0] * len(OUTCOMES)


def test_what_helps_the_most_cells_is_said_first_and_every_command_once(verdicts):
    steps = next_steps(verdicts)
    counts = [step.cells for step in steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    own = [v.command for each in verdicts.values() for v in each if v.command]
    assert sum(counts) == len(own)
    assert {step.command for step in steps} == set(own)
    get = next(step for step in steps if step.command.endswith("vggm.matconvnet"))
    assert (get.badge.word, get.reason) == ("blocked", "weights: none")
    assert get.papers == ("bcnn", "where_to_focus")


def test_a_row_has_the_mean_of_the_seeds_and_the_highest_peak():
    times = "2026-01-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00"
    group = [
        of_accuracy(80.0 + 3 * s, s, cost={"wall_s": 10.0 * (s + 1), "phase_s": {}, "peak_mib": 50.0 - s},
                    deviations=[deviation("control", run="shuffled")], provenance={"finished": times[s]})
        for s in range(2)
    ]  # fmt: skip
    odd = Anomaly("chance", "why")
    row = run_line(group, "x.html", {group[1].run_id: [odd]})
    assert (row.mean, row.wall_s, row.peak_mib, row.seeds) == (81.5, 15.0, 50.0, 2)
    assert (row.sampling.low + row.sampling.high) / 2 == pytest.approx(row.mean)
    assert row.sampling.high - row.sampling.low == pytest.approx(2 * 0.94)
    assert (row.control, row.finished, row.odd) == ("shuffled", "2026-03-02", (odd,))
    assert run_line([of_accuracy(1.0)], "x.html", {}).finished == ""


def test_strips_are_of_numbers_that_answer_the_printed_ones_alone_and_point_the_right_way(verdicts):
    def x(drawn):
        return float(drawn.split('cx="')[1].split('"')[0])

    by_id = {v.cell.id: v for v in verdicts["bcnn"]}
    far = reach(list(by_id.values()))
    good, over, bad, other = (
        by_id[f"t1/{name}"] for name in ("bcnn_dd/birds", "bcnn_dm/birds", "bcnn_mm/birds", "bcnn_dd/aircraft")
    )
    assert [v.outcome.value for v in (good, over, bad, other)] == [
        "reproduced", "exceeds", "not reproduced", "not comparable",
    ]  # fmt: skip
    assert x(strip(bad, far)) < x(strip(good, far)) < x(strip(over, far))
    assert abs(x(strip(good, far)) - 60) < 1
    assert strip(other, far) == ""
    assert far < abs(other.mean - other.cell.value)
    assert far >= abs(bad.mean - bad.cell.value)
    assert 4 <= x(strip(bad, far)) <= 116
    assert reach([other]) == 0


def test_pages_of_a_group_stand_together():
    pages = [Page(name, name, "x", source([]), group) for name, group in
             (("a", ""), ("b", "Papers"), ("c", ""), ("d", "Papers"), ("e", "Methods"))]  # fmt: skip
    found = [(group, [page.name for page in own]) for group, own in navigation(pages)]
    assert found == [("", ["a"]), ("Papers", ["b", "d"]), ("", ["c"]), ("Methods", ["e"])]


@pytest.mark.parametrize("name", ["javascript:alert(1)", "../x", "a b", "//example.org/x", 'x"y'])
def test_the_address_of_a_page_is_a_file_beside_it(name):
    assert not set(address(name)) & set(': "/')


def test_pictures_are_read_when_they_are_asked_for(tmp_path):
    path = tmp_path / "a-0 images.jpg"
    pictures = Pictures({"a": {"images": path}})
    path.write_bytes(b"x")
    assert pictures["a"] == {"images": b"x"}
    assert list(pictures) == ["a"]
    assert pictures.get("b", {}) == {}


def test_older_runs_of_a_recipe_stand_in_the_overview_alone(tmp_path):
    nights = [
        of_accuracy(80.0 + n, s, provenance={"source": f"s{n}", "finished": f"2026-01-0{n}T00:00:00"})
        for n in (1, 2, 3) for s in range(2)
    ]  # fmt: skip
    found = pages(tmp_path, nights)
    ids = [record.identity for record in nights[::2]]
    assert [f'id="run-{each}"' in found["bcnn"] for each in ids] == [False, False, True]
    assert "2 more are in the" in Parsed(found["bcnn"]).text
    for record, each in zip(nights[:4:2], ids, strict=False):
        assert f'href="provenance.html#r-{record.run_id}"' in found["index"]
        assert each not in found["index"]
    assert f'href="bcnn.html#run-{ids[2]}"' in found["index"]


def test_provenance_tells_each_thing_once_with_its_runs(tmp_path):
    weights = [{"stream": f"s{n}", "name": "vgg16", "sha256": "ab" * 32, "official": True} for n in range(2)]
    known = {"cpu": "EPYC", "packages": {"torch": "2"}, "command": "fgbench run", "finished": "2026-01-01T10:11:12"}
    records = [of_accuracy(80.0, s, weights=weights, provenance=known) for s in range(2)]
    records.append(of_accuracy(80.0, 2, provenance={**known, "cpu": "Xeon"}))
    page = pages(tmp_path, records)["provenance"]
    assert page.count("ab" * 32) == 1
    rows = [Parsed(row).text for row in page.split('id="weights"')[1].split("</table>")[0].split("<tr")[2:]]
    assert rows[0].endswith(f"W1 vgg16 {'ab' * 32} 2")
    machines = [Parsed(row).text for row in page.split('id="machines"')[1].split("</table>")[0].split("<tr")[2:]]
    assert ["EPYC" in row and row.endswith(" 2") for row in machines] == [True, False]
    assert ["Xeon" in row and row.endswith(" 1") for row in machines] == [False, True]
    runs = [Parsed(f"<tr{row}").text for row in page.split('id="runs"')[1].split("</table>")[0].split("<tr")[2:]]
    assert runs[0] == f"{records[0].run_id} bcnn/bcnn_dd@cub paper 0 – D1 W1 M1 P1 F1 C1 2026-01-01 10:11"  # noqa: RUF001
    assert runs[2].split("D1")[1].split()[:2] == ["–", "M2"]  # noqa: RUF001
    for key in ("D1", "W1", "M1", "M2", "P1", "F1", "C1"):
        assert page.count(f'id="{key}"') == 1
