import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script, pages

from fgbench.judge.anomalies import Anomaly
from fgbench.records.record import Point
from fgbench.util.errors import Obstacle


def run(accuracy, seed=0, name="bcnn_dd", **fields):
    fields.setdefault("provenance", {"command": "fgbench run it", "finished": "2026-01-01", "packages": {"torch": "2"}})
    return of_accuracy(accuracy, seed, recipe=f"bcnn/{name}@cub", **fields)


def test_every_printed_number_stands_on_its_page(tmp_path):
    found = pages(tmp_path, [])
    for name, paper in PAPERS.items():
        text = found[name]
        values = [f"{c.value:g}" if c.unit != "%" else f"{c.value:.2f}".rstrip("0") for c in paper.cells()]
        printed = text.count('<span class="print">')
        assert printed == len(values)
        for value in values:
            assert f'<span class="print">{value.rstrip(".")}' in text


def test_without_records_nothing_is_measured(tmp_path):
    found = pages(tmp_path, [])
    assert "Nothing has been measured yet" in found["index"]
    assert 'class="got" title' not in found["bcnn"]
    assert "not run" in found["bcnn"]
    assert "nan" not in found["bcnn"].lower().replace("nanchor", "")


def test_measured_numbers_come_from_records_alone(tmp_path):
    one = pages(tmp_path, [run(83.97, s) for s in range(2)])["bcnn"]
    two = pages(tmp_path, [run(12.34, s) for s in range(2)])["bcnn"]
    assert "84.0" in one
    assert 'title="83.97">' in one
    assert 'title="12.34">12.3' in two
    assert "83.97" not in two


def test_synthetic_numbers_are_said_to_be_so_in_the_first_line_and_marked_each(tmp_path):
    found = pages(tmp_path, [run(84.0, s, synthetic=True, data="synthetic_birds") for s in range(3)])
    for name in ("index", "bcnn"):
        assert '<header>\n<p class="data synthetic">▲ Synthetic data' in found[name]
        assert "none of the measured numbers below answers a printed one" in found[name]
    page = found["bcnn"]
    assert page.count('class="got" title') == page.count('class="badge aside" href="#cell-')
    assert "not comparable" in page
    assert '<span aria-hidden="true">●</span> reproduced' not in page


def test_real_numbers_name_the_data_and_its_deviations(tmp_path):
    odd = deviation("data.images", changes=False).model_copy(update={"run": "all of it recompressed"})
    found = pages(tmp_path, [run(84.0 + s / 20, s, deviations=[odd]) for s in range(3)])["bcnn"]
    first = Parsed(found.split("<header>")[1].split("<nav")[0]).text
    assert "5,994 + 5,794 images of 200 classes; all of it recompressed" in first
    assert '<span aria-hidden="true">●</span> reproduced' in found


def test_cells_unfold_to_reason_seeds_deviations_cost_curve_command_and_provenance(tmp_path):
    curve = [Point(stage="one", epoch=e, loss=3.0 / e, accuracy=10.0 * e, wall_s=1) for e in (1, 2)]
    curve += [Point(stage="two", epoch=1, loss=0.5, accuracy=70.0, wall_s=1)]
    records = [run(80.0 + s, s, deviations=[deviation("stages.finetune.lr")], curve=curve) for s in range(2)]
    text = Parsed(pages(tmp_path, records)["bcnn"]).text
    for words in (
        "seed 0: 80.00, seed 1: 81.00", "stages.finetune.lr", "the official code's", "fgbench run it", "torch 2",
        "loss over 3 epochs (one then two): from 3 to 0.5", "differs from the recipe in stages.finetune.lr",
        "fgbench run bcnn/bcnn_dd --data cub --profile paper", "Energy",
    ):  # fmt: skip
        assert words in text


def test_energy_of_a_run_stands_with_what_it_lacks_or_the_reason_alone(tmp_path):
    for cost, says in (
        ({"energy_j": 1234.4}, "1234 J"),
        ({"energy_j": 1234.4, "energy_note": "without a part"}, "1234 J (without a part)"),
        ({"energy_note": "no GPU was used"}, "– no GPU was used"),  # noqa: RUF001
    ):
        record = run(84.0, cost={"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0} | cost)
        text = Parsed(pages(tmp_path, [record])["bcnn"]).text
        assert f" {says} 1 2026-01-01" in text


def test_time_that_lacks_what_an_earlier_run_did_says_so(tmp_path):
    cost = {"wall_s": 9.0, "phase_s": {}, "peak_mib": 1.0}
    whole, spared = (run(80.0, cost={**cost, "recalled": images}) for images in (0, 23576))
    words = "without the frozen network: 23,576 times it was spared an image"
    assert words in pages(tmp_path / "spared", [spared])["bcnn"]
    assert "frozen network" not in pages(tmp_path / "whole", [whole])["bcnn"]


def test_a_seed_run_twice_is_one_seed_and_both_records_are_found(tmp_path):
    plain, again = run(80.0), "0123456789abcdef"
    found = pages(tmp_path, [plain, plain.model_copy(update={"run_id": again}), run(80.0, protocol={"images": "j"})])
    assert "runs of 2 protocols, and none is closer" in found["bcnn"]
    assert "2 seeds" not in Parsed(found["index"]).text
    assert all(f'id="r-{run_id}"' in found["provenance"] for run_id in (plain.run_id, again))


def test_settings_that_are_lists_and_what_a_method_sees_stand_in_words(tmp_path):
    streams = deviation("backbones", run=["e:f"]).model_dump() | {"recipe": ["a:b", "c:d"]}
    record = run(80.0, deviations=[streams], protocol={"train_sees": ["boxes", "parts"]})
    found = pages(tmp_path, [record])
    for name in ("bcnn", "method-bcnn"):
        text = Parsed(found[name]).text
        assert "backbones a:b, c:d e:f" in text
        assert "['" not in text
    assert "methods see boxes and parts in training" in Parsed(found["index"]).text


def test_what_was_watched_in_training_is_shown(tmp_path):
    record = run(80.0)
    watched = {"watched/last_epoch": 81.25, "watched/best_on_test": 83.5}
    values = {name: record.values["accuracy"].model_copy(update={"value": value}) for name, value in watched.items()}
    text = Parsed(pages(tmp_path, [record.model_copy(update={"values": record.values | values})])["bcnn"]).text
    assert "watched in training, % mean over seeds last epoch 81.25 best on test 83.50" in text


def test_every_phase_has_its_time_and_memory(tmp_path):
    cost = {"wall_s": 30.0, "peak_mib": 900.0, "phase_s": {"fit": 10.0, "test": 20.0}, "phase_peak_mib": {"fit": 800.0}}
    text = Parsed(pages(tmp_path, [run(80.0, cost=cost)])["bcnn"]).text
    assert "Phases Phase Time, s Peak, MiB fit 10.0 800 test 20.0 – whole 30.0 900" in text  # noqa: RUF001


def test_cells_say_what_would_decide_and_what_holds_of_other_images(tmp_path):
    text = Parsed(pages(tmp_path, [run(84.0 + s / 3, s) for s in range(3)])["bcnn"]).text
    for words in (
        "the 90 % interval over 3 seeds, 83.77 to 84.90, does not decide", "seeds would decide with a probability of 80%,",
        "--seeds", "Beyond these images", "the test set is too small for this margin", "Deviations none",
    ):  # fmt: skip
        assert words in text


def test_two_protocols_never_share_a_column_and_their_difference_stands_there_instead(tmp_path):
    records = [run(84.0), run(84.1, 1), run(71.23, name="fc_cnn_d", protocol={"images": "recompressed", "classes": 20})]
    page = pages(tmp_path, records)["bcnn"]
    table = page.split('aria-label="Results"')[1].split("</table>")[0]
    assert "84.1" in table
    assert "71.2" not in table
    assert "two protocols" in table
    text = Parsed(page).text
    assert "Why there is no number: what the protocols differ in" in text
    assert "images i recompressed" in text
    assert "classes 200 20" in text
    index = pages(tmp_path, records)["index"]
    bodies = index.split('id="runs"')[1].split("<tbody>")[1:]
    assert len(bodies) == 2
    assert ["71.2" in part for part in bodies] == [False, True]
    assert "cub, 5,994 training and 5,794 test images of 20 classes" in bodies[1]


def test_runs_of_other_protocols_are_told_beside_the_number(tmp_path):
    other = run(99.0, synthetic=True, data="synthetic_birds", protocol={"data": "synthetic_birds"})
    text = Parsed(pages(tmp_path, [run(84.0), other])["bcnn"]).text
    assert "Runs of other protocols, which are not in this number" in text
    assert "data cub synthetic_birds" in text


def test_what_is_odd_stands_beside_the_cell_and_the_run(tmp_path):
    record = run(84.0)
    odd = {record.run_id: [Anomaly("chance", HOSTILE)]}
    found = pages(tmp_path, [record], anomalies=odd)
    row = found["bcnn"].split('aria-label="Results"')[1].split("B-CNN [D,D]")[1].split("</tr>")[0]
    assert "⚑</span> chance" in row
    assert "chance: <script>" in Parsed(found["bcnn"]).text
    assert "⚑</span> chance" in found["index"]
    for name in ("bcnn", "index"):
        tags = Parsed(found[name]).tags
        assert only_our_script(found[name])
        assert HOSTILE in [attributes.get("title") for tag, attributes in tags if tag == "span"]
    assert "⚑" not in pages(tmp_path, [record])["bcnn"]


def test_every_deviation_stands_with_every_cell_it_touches(tmp_path):
    shared, own = deviation("data.images", changes=False), deviation("weights.0", run="another file")
    records = [run(84.0, deviations=[shared, own]), run(70.0, name="fc_cnn_d", deviations=[shared])]
    page = pages(tmp_path, records)["bcnn"].split('<h2 id="deviations">')[1].split("</table>")[0]
    rows = {row.split("</th>")[0].split(">")[-1]: Parsed(row).text for row in page.split("<tr>")[2:]}
    assert set(rows) == {"data.images", "weights.0"}
    assert "FC-CNN [D], birds (Results); B-CNN [D,D], birds (Results)" in rows["data.images"]
    assert rows["weights.0"].endswith("another file yes B-CNN [D,D] B-CNN [D,D], birds (Results)")
    # a cell of another paper that stands on the same run
    assert "data.images" in pages(tmp_path, [run(80.0, name="bcnn_dm", deviations=[shared])])["where_to_focus"]


def test_claims_are_shown_with_their_state_and_numbers(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.random(600)
    kept = Kept(*(of_right(hard < share + rng.normal(0, 0.05, 600), f"bcnn/{name}@cub")
                  for name, share in (("bcnn_dd", 0.8), ("fv_cnn_d", 0.7), ("fc_cnn_d", 0.75))))  # fmt: skip
    found = pages(tmp_path, kept.records, outputs=kept)
    for page in ("index", "bcnn", "where_to_focus"):
        text = Parsed(found[page]).text
        assert "▼ contradicted" in text
        assert "FV-CNN [D] minus FC-CNN [D]: -" in text
        assert "○ not run" in text
    assert "p-values are adjusted" in Parsed(found["index"]).text


def test_numbers_that_are_none_are_not_written(tmp_path):
    page = pages(tmp_path, [run(float("nan"))])["bcnn"]
    assert ">nan" not in page
    assert "not comparable: the runs cannot be right: accuracy is nan %" in Parsed(page).text


def test_blocked_cells_say_what_to_type(tmp_path):
    obstacle = {"bcnn/bcnn_dd@cub": Obstacle("weights: none of them is here", "fgbench weights get vgg16.matconvnet")}
    text = Parsed(pages(tmp_path, [], obstacle)["bcnn"]).text
    assert "weights: none of them is here" in text
    assert "fgbench weights get vgg16.matconvnet" in text


def test_hostile_names_stay_text(tmp_path):
    paper = PAPERS["bcnn"].model_copy(update={"title": HOSTILE, "authors": (HOSTILE,)})
    odd = deviation(HOSTILE).model_copy(update={"run": HOSTILE})
    records = [
        run(84.0, title=HOSTILE, deviations=[odd], provenance={"command": HOSTILE, "cpu": HOSTILE},
            curve=[Point(stage=HOSTILE, epoch=1, loss=1, accuracy=1, wall_s=1)])
    ]  # fmt: skip
    for text in pages(tmp_path, records, papers={**PAPERS, "bcnn": paper}).values():
        parsed = Parsed(text)
        assert only_our_script(text)
        assert not [a for _, attributes in parsed.tags for a in attributes if a.startswith("on")]
    assert "<script>alert(1)" in Parsed((tmp_path / "bcnn.html").read_text()).text


@pytest.mark.parametrize("records", [[], [run(84.0, s, synthetic=bool(s)) for s in range(2)]], ids=["none", "some"])
def test_pages_are_well_formed_self_contained_and_the_same_twice(tmp_path, records):
    one = pages(tmp_path / "a", records)
    assert one == pages(tmp_path / "b", records)
    methods = {f"method-{recipe.method}" for recipe in RECIPES.values()}
    assert set(one) == {"index", *PAPERS, *methods, "costs"} | ({"provenance"} if records else set())
    for text in one.values():
        parsed = Parsed(text)
        assert parsed.wrong == []
        assert parsed.stack == []
        assert {attributes["src"] for _, attributes in parsed.tags if "src" in attributes} <= {"charts.js"}
        assert not [tag for tag, _ in parsed.tags if tag in {"link", "iframe"}]
        assert only_our_script(text)
        assert "url(" not in text
        assert "@import" not in text
        ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = [attributes["href"][1:] for _, attributes in parsed.tags if attributes.get("href", "").startswith("#")]
        assert set(links) <= set(ids)


def search(seed, first):
    rates = {"cmc@1": first, "cmc@5": first + 20, "cmc@50": 99.0, "map/step": first / 2, "map/trapezoid": first / 2 - 1}
    values = {name: {"value": rate, "unit": "%", "n": 10} for name, rate in rates.items()}
    fields = {"recipe": "where_to_focus/spatial_lstm_dm@viper", "data": "viper", "split": f"{seed + 1}a, {seed + 1}b"}
    fields["protocol"] = {"metrics": [["same camera", "removed"]]}
    return made(**fields, seed=seed, values=values, title="Where to Focus [D,M]")


def test_searches_are_drawn_as_a_curve_with_a_band_over_splits(tmp_path):
    found = pages(tmp_path, [search(0, 50.0), search(1, 60.0)])["where_to_focus"]
    parsed = Parsed(found)
    assert (parsed.wrong, parsed.stack) == ([], [])
    assert "mean of 2 runs, band from the least to the most: 55.0 at rank 1, 99.0 at rank 50" in found
    (band,) = [attributes for tag, attributes in parsed.tags if tag == "polygon"]
    heights = [float(point.split(",")[1]) for point in band["points"].split()]
    assert heights[0] < heights[-1]  # the most above the least
    assert "seed 0: 1a, 1b; seed 1: 2a, 2b" in parsed.text
    assert "same camera: removed" in parsed.text
    assert "least" in parsed.text
    assert "55.00" in parsed.text
    alone = pages(tmp_path / "one", [search(0, 50.0)])["where_to_focus"]
    assert "<polygon" not in alone
    assert "50.0 at rank 1" in alone
