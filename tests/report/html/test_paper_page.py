import re

from made_records import Kept, deviation, made, of_accuracy
from recompressed_runs import interval, series
from report_pages import PAPERS, Parsed, pages

from fgbench.records.deviations import measured_effect
from fgbench.records.record import Deviation, Point
from fgbench.util.errors import Obstacle


def run(accuracy, seed=0, name="bcnn_dd", **fields):
    fields.setdefault("provenance", {"command": "fgbench run it", "finished": "2026-01-01", "packages": {"torch": "2"}})
    return of_accuracy(accuracy, seed, recipe=f"bcnn/{name}@cub", **fields)


def test_every_printed_number_is_on_the_page_of_its_paper(tmp_path):
    written = pages(tmp_path, [])
    for name, paper in PAPERS.items():
        text = written[name]
        values = [f"{c.value:g}" if c.unit != "%" else f"{c.value:.2f}".rstrip("0") for c in paper.cells()]
        printed = text.count('<span class="print">')
        assert printed == len(values)
        for value in values:
            assert f'<span class="print">{value.rstrip(".")}' in text


def test_a_cited_number_has_its_verdict_and_a_link_to_the_paper_that_judges_it(tmp_path):
    written = pages(tmp_path, [run(70.4 + s / 50, s, "fc_cnn_d") for s in range(3)])
    page = written["where_to_focus"]
    cell = page.split('<td class="left" id="at-t2-fc_cnn_d-birds">')[1].split("</td>")[0]
    # The number and its badge.
    assert cell.count('href="bcnn.html#at-t1-fc_cnn_d-birds"') == 2
    assert '<svg class="strip' in cell
    assert 'id="at-t1-fc_cnn_d-birds"' in written["bcnn"]
    assert "70.4" in Parsed(cell.split('class="got"')[1]).text
    assert 'id="cell-t2-fc_cnn_d-birds"' not in page
    text = Parsed(page).text
    assert f"18 cells cited from {PAPERS['bcnn'].title}; judged and counted there" in text
    assert "18 numbers cited from another paper and counted there" in text
    assert "FC-CNN [D] cited from B-CNN 70.4 70.42 +0.02" in text
    assert text.count("A measured cell has the printed value in grey, the measured mean in bold") == 1
    assert (
        "19 numbers that one of these papers cites from another one are counted once" in Parsed(written["index"]).text
    )
    # A cited number without a run has a link to the same place.
    other = page.split('<td class="left" id="at-t2-fc_cnn_d-cars">')[1].split("</td>")[0]
    assert '<a class="none" href="bcnn.html#at-t1-fc_cnn_d-cars">not run</a>' in other
    (word,) = {w for w in ("reproduced", "inconclusive") if f"FC-CNN [D], Birds: {w}" in text.replace(" :", ":")}
    assert word in Parsed(cell).text


def test_details_have_reason_seeds_deviations_cost_training_command_and_provenance(tmp_path):
    curve = [Point(stage="one", epoch=e, loss=3.0 / e, accuracy=10.0 * e, wall_s=1) for e in (1, 2)]
    curve += [Point(stage="two", epoch=1, loss=0.5, accuracy=70.0, wall_s=1)]
    records = [run(80.0 + s, s, deviations=[deviation("stages.finetune.lr")], curve=curve) for s in range(2)]
    text = Parsed(pages(tmp_path, records)["bcnn"]).text
    for words in (
        "seed 0: 80.00, seed 1: 81.00", "stages.finetune.lr", "the official code", "fgbench run it", "torch 2",
        "3 epochs (one then two): loss from 3 to 0.5, training accuracy from 10 % to 70 %",
        "another experiment than the recipe: stages.finetune.lr is 2 instead of 1",
        "fgbench run bcnn/bcnn_dd --data cub --profile paper", "Energy",
    ):  # fmt: skip
        assert words in text


def test_a_deviation_in_rounding_has_its_measured_effect(tmp_path):
    rounded = Deviation(field="precision", recipe="32-true", run="bf16-mixed", origin="ours", changes_experiment=False)
    text = Parsed(pages(tmp_path, [run(80.0, deviations=[rounded, deviation("stages.finetune.lr")])])["bcnn"]).text
    assert f"32-true bf16-mixed fgbench no: {measured_effect(rounded)}" in text
    assert "stages.finetune.lr 1 2 the official code yes" in text


def test_energy_of_a_run_has_its_remark_or_the_reason_why_it_is_missing(tmp_path):
    for cost, says in (
        ({"energy_j": 1234.4}, "1234 J"),
        ({"energy_j": 1234.4, "energy_note": "without a part"}, "1234 J (without a part)"),
        ({"energy_note": "no GPU was used"}, "– no GPU was used"),  # noqa: RUF001
    ):
        record = run(84.0, cost={"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0} | cost)
        text = Parsed(pages(tmp_path, [record])["bcnn"]).text
        assert f" {says} 1 2026-01-01" in text


def test_reused_features_are_reported_beside_the_time(tmp_path):
    cost = {"wall_s": 9.0, "phase_s": {}, "peak_mib": 1.0}
    whole, spared = (run(80.0, cost={**cost, "recalled": images}) for images in (0, 23576))
    words = "23,576 feature maps were reused from an earlier run"
    assert words in pages(tmp_path / "spared", [spared])["bcnn"]
    assert "frozen network" not in pages(tmp_path / "whole", [whole])["bcnn"]


def test_accuracies_during_training_are_shown(tmp_path):
    record = run(80.0)
    watched = {"watched/last_epoch": 81.25, "watched/best_on_test": 83.5}
    values = {name: record.values["accuracy"].model_copy(update={"value": value}) for name, value in watched.items()}
    text = Parsed(pages(tmp_path, [record.model_copy(update={"values": record.values | values})])["bcnn"]).text
    assert "during training, % mean over seeds last epoch 81.25 best on test 83.50" in text


def test_every_phase_has_its_time_and_memory(tmp_path):
    cost = {"wall_s": 30.0, "peak_mib": 900.0, "phase_s": {"fit": 10.0, "test": 20.0}, "phase_peak_mib": {"fit": 800.0}}
    text = Parsed(pages(tmp_path, [run(80.0, cost=cost)])["bcnn"]).text
    assert "Phases Phase Time, s Peak, MiB fit 10.0 800 test 20.0 – whole 30.0 900" in text  # noqa: RUF001


def test_inconclusive_cells_have_the_command_to_decide_and_a_note_on_other_images(tmp_path):
    text = Parsed(pages(tmp_path, [run(84.0 + s / 8, s) for s in range(3)])["bcnn"]).text
    for words in (
        "over 3 seeds, -1.31 to +1.56 points, does not decide",
        "Interval of the test difference from the printed value: -1.31 to +1.56 (99 % over seeds, with the spread",
        "Interval of the mean 83.81 to 84.44 (95 % over 3 seeds)",
        "Interval for other test images 83.19 to 85.06 (95 %, one training)",
        "seeds would decide", "--seeds", "Other test images", "the test set is too small for this margin",
        "Deviations none",
    ):  # fmt: skip
        assert words in text


def test_a_measured_cell_has_a_link_to_its_details_and_every_other_cell_to_the_fold_of_its_group(tmp_path):
    obstacle = {"bcnn/bcnn_dd@cars": Obstacle("the images of cars are not here", "fgbench data cars")}
    page = pages(tmp_path, [run(84.0)], obstacle)["bcnn"]
    cells = dict(re.findall(r'<td class="left" id="at-t1-([^"]+)">(.*?)</td>', page, re.DOTALL))
    assert cells["bcnn_dd-birds"].count('href="#cell-t1-bcnn_dd-birds"') == 2
    folds = dict(re.findall(r'<details id="(t1-without-\d+)">(.*?)</details>', page, re.DOTALL))
    assert len(folds) == 3  # no record, blocked, no speed
    words = []
    for printed in PAPERS["bcnn"].cells():
        table, _, name = printed.id.replace("/", "-").partition("-")
        if table == "t1" and name != "bcnn_dd-birds":
            if printed.role == "context":
                continue
            fold, word = re.search(r'<a class="none" href="#(.*?)">(.*?)</a>', cells[name]).groups()
            words.append(word)
            text = Parsed(folds[fold]).text
            assert word in text
            assert f"{printed.row}, {printed.column}" in text
    assert len(words) == 68 - 1
    assert words.count("blocked") == 1
    blocked = re.search('href="#(.*?)">blocked', cells["bcnn_dd-cars"])[1]
    assert "the images of cars are not here" in folds[blocked]


def test_a_table_without_a_number_has_no_explanation_of_pictures(tmp_path):
    alone = pages(tmp_path / "alone", [])["bcnn"]
    assert "A measured cell has" not in alone
    assert '<svg class="strip' not in alone
    exact = pages(tmp_path / "exact", [run(84.0, deviations=[deviation("stages", run="none")])])["bcnn"]
    assert exact.count("A measured cell has") == 1
    assert "A picture shows" not in exact  # the difference is 0, so that there is no axis
    other = pages(tmp_path / "other", [run(82.5, deviations=[deviation("stages", run="none")])])["bcnn"]
    assert "A picture shows the difference, from −1.5 to +1.5" in other  # noqa: RUF001


def test_cells_with_runs_of_two_protocols_have_their_differences_instead_of_a_number(tmp_path):
    records = [run(84.0), run(84.1, 1), run(71.23, name="fc_cnn_d", protocol={"images": "recompressed", "classes": 20})]
    page = pages(tmp_path, records)["bcnn"]
    table = page.split('aria-label="Table 1"')[1].split("</table>")[0]
    assert "84.1" in table
    assert "71.2" not in table
    assert "70.4 no number ◇ not comparable runs of several protocols" in Parsed(table).text
    text = Parsed(page).text
    assert "No number, because these protocols differ" in text
    assert "images i recompressed" in text
    assert "classes 200 20" in text
    index = pages(tmp_path, records)["index"]
    bodies = index.split('id="runs"')[1].split("<tbody>")[1:]
    assert len(bodies) == 2
    assert ["71.2" in part for part in bodies] == [False, True]
    assert "cub, 5,994 training and 5,794 test images of 20 classes" in bodies[1]


def test_runs_of_other_protocols_are_listed_beside_the_number(tmp_path):
    other = run(99.0, synthetic=True, data="synthetic_birds", protocol={"data": "synthetic_birds"})
    text = Parsed(pages(tmp_path, [run(84.0), other])["bcnn"]).text
    assert "Runs of other protocols, which are not part of this number" in text
    assert "data cub synthetic_birds" in text


def test_each_deviation_is_listed_with_the_cells_that_it_affects(tmp_path):
    shared, weights = deviation("data.images", changes=False), deviation("weights.0", run="another file")
    records = [run(84.0, deviations=[shared, weights]), run(70.0, name="fc_cnn_d", deviations=[shared])]
    page = pages(tmp_path, records)["bcnn"].split('<h2 id="deviations">')[1].split("</table>")[0]
    rows = {row.split("</th>")[0].split(">")[-1]: Parsed(row).text for row in page.split("<tr>")[2:]}
    assert set(rows) == {"data.images", "weights.0"}
    assert "FC-CNN [D], birds, w/ ft (Table 1); B-CNN [D,D], birds, w/ ft (Table 1)" in rows["data.images"]
    assert rows["weights.0"].endswith("another file yes B-CNN [D,D] B-CNN [D,D], birds, w/ ft (Table 1)")
    # A cell of another paper with the same run.
    assert "data.images" in pages(tmp_path, [run(80.0, name="bcnn_dm", deviations=[shared])])["where_to_focus"]


def test_values_that_are_not_finite_are_not_shown(tmp_path):
    page = pages(tmp_path, [run(float("nan"))])["bcnn"]
    assert ">nan" not in page
    assert "not comparable: the runs cannot be right: accuracy is nan %" in Parsed(page).text


def test_blocked_cells_have_the_command_that_unblocks_them(tmp_path):
    obstacle = {"bcnn/bcnn_dd@cub": Obstacle("weights: none of them is here", "fgbench weights get vgg16.matconvnet")}
    text = Parsed(pages(tmp_path, [], obstacle)["bcnn"]).text
    assert "weights: none of them is here" in text
    assert "fgbench weights get vgg16.matconvnet" in text


def search(seed, first):
    rates = {"cmc@1": first, "cmc@5": first + 20, "cmc@50": 99.0, "map/step": first / 2, "map/trapezoid": first / 2 - 1}
    values = {name: {"value": rate, "unit": "%", "n": 10} for name, rate in rates.items()}
    fields = {"recipe": "where_to_focus/spatial_lstm_dm@viper", "data": "viper", "split": f"{seed + 1}a, {seed + 1}b"}
    fields["protocol"] = {"metrics": [["same camera", "removed"]]}
    return made(**fields, seed=seed, values=values, title="Where to Focus [D,M]")


def test_re_identification_runs_have_values_ranges_and_rules(tmp_path):
    page = pages(tmp_path, [search(0, 50.0), search(1, 60.0)])["where_to_focus"]
    parsed = Parsed(page)
    assert (parsed.wrong, parsed.stack) == ([], [])
    assert "mean over seeds 55.00 75.00 99.00 min 50.00 70.00 99.00 max 60.00 80.00 99.00" in parsed.text
    assert "seed 0: 1a, 1b; seed 1: 2a, 2b" in parsed.text
    assert "same camera: removed" in parsed.text
    assert 'href="reid.html"' in page


def test_older_runs_of_a_recipe_are_only_in_the_overview(tmp_path):
    nights = [
        of_accuracy(80.0 + n, s, provenance={"source": f"s{n}", "finished": f"2026-01-0{n}T00:00:00"})
        for n in (1, 2, 3) for s in range(2)
    ]  # fmt: skip
    written = pages(tmp_path, nights)
    ids = [record.identity for record in nights[::2]]
    assert [f'id="run-{identity}"' in written["bcnn"] for identity in ids] == [False, False, True]
    assert "2 more are in the" in Parsed(written["bcnn"]).text
    for record, identity in zip(nights[:4:2], ids, strict=False):
        assert f'href="provenance.html#r-{record.run_id}"' in written["index"]
        assert identity not in written["index"]
    assert f'href="bcnn.html#run-{ids[2]}"' in written["index"]


def test_the_effect_of_a_further_compression_is_in_the_details_of_its_cell(tmp_path):
    pairs = series({75: (2, 1), 30: (30, 10)}, profile="frozen", deviations=[deviation("stages")])
    kept = Kept(*pairs)
    page = pages(tmp_path, kept.records, outputs=kept)["bcnn"]
    cell = page.split('<details id="cell-t1-bcnn_dd-birds">')[1].split("</details>")[0]
    low, high = interval(30, 10, 2)
    assert f"to quality 30: -2.00 points ({low:+.2f} to {high:+.2f}; {kept.records[2].run_id} )" in Parsed(cell).text
    assert f"bound {-low:.2f} points" in Parsed(cell).text
    plain = pages(tmp_path / "plain", kept.records[:1], outputs=kept)["bcnn"]
    assert "Compressed once more" not in plain
