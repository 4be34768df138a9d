import re

import numpy as np
import pytest
from made_records import RECIPES, Kept, deviation, of_accuracy, of_right
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script, pages

from fgbench.judge.anomaly import Anomaly
from fgbench.records.record import Point


def run(accuracy, seed=0, name="bcnn_dd", **fields):
    fields.setdefault("provenance", {"command": "fgbench run it", "finished": "2026-01-01", "packages": {"torch": "2"}})
    return of_accuracy(accuracy, seed, recipe=f"bcnn/{name}@cub", **fields)


def test_without_records_no_number_is_measured(tmp_path):
    written = pages(tmp_path, [])
    assert "No measurements yet" in written["index"]
    assert 'class="got"' not in written["bcnn"]
    assert 'class="measured' not in written["index"]
    assert "not run" in written["bcnn"]
    assert "nan" not in written["bcnn"].lower().replace("nanchor", "")


def test_measured_numbers_come_from_records(tmp_path):
    one = pages(tmp_path, [run(83.97, s) for s in range(2)])["bcnn"]
    two = pages(tmp_path, [run(12.34, s) for s in range(2)])["bcnn"]
    assert "84.0" in one
    assert 'title="83.97">' in one
    assert 'title="12.34">12.3' in two
    assert "83.97" not in two


def test_synthetic_data_is_named_in_the_first_line_and_each_number_is_marked(tmp_path):
    written = pages(tmp_path, [run(84.0, s, synthetic=True, data="synthetic_birds") for s in range(3)])
    for name in ("index", "bcnn"):
        assert '<header>\n<p class="data synthetic">▲ Synthetic data' in written[name]
        assert "these numbers are not comparable with printed numbers" in written[name]
    page = written["bcnn"]
    numbers = page.count('<a class="got" href="#cell-')
    assert (
        numbers == page.count('class="badge aside" href="#cell-') == page.count('<span class="why">synthetic data') > 0
    )
    (row,) = re.findall(r'<tr role="row" id="bcnn-t1-.*?</tr>', written["index"], re.DOTALL)
    assert "84.00" in row
    assert "◇ not comparable synthetic data" in Parsed(row).text
    assert "not comparable" in page
    assert '<span aria-hidden="true">●</span> reproduced' not in page


def test_real_numbers_name_the_data_and_its_deviations(tmp_path):
    recompressed = deviation("data.images", changes=False).model_copy(update={"run": "all of it recompressed"})
    page = pages(tmp_path, [run(84.0 + s / 20, s, deviations=[recompressed]) for s in range(3)])["bcnn"]
    first = Parsed(page.split("<header>")[1].split("<nav")[0]).text
    assert "5,994 + 5,794 images of 200 classes; all of it recompressed" in first
    assert '<span aria-hidden="true">●</span> reproduced' in page


def test_a_seed_with_two_records_counts_once_and_both_records_are_listed(tmp_path):
    plain, again = run(80.0), "0123456789abcdef"
    written = pages(tmp_path, [plain, plain.model_copy(update={"run_id": again}), run(80.0, protocol={"images": "j"})])
    assert "runs of 2 protocols, and none is closer" in written["bcnn"]
    assert "2 seeds" not in Parsed(written["index"]).text
    assert all(f'id="r-{run_id}"' in written["provenance"] for run_id in (plain.run_id, again))


def test_lists_in_settings_and_inputs_of_a_method_are_shown_as_text(tmp_path):
    streams = deviation("backbones", run=["e:f"]).model_dump() | {"recipe": ["a:b", "c:d"]}
    record = run(80.0, deviations=[streams], protocol={"train_sees": ["boxes", "parts"]})
    written = pages(tmp_path, [record])
    for name in ("bcnn", "method-bcnn"):
        text = Parsed(written[name]).text
        assert "backbones a:b, c:d e:f" in text
        assert "['" not in text
    assert "methods see boxes and parts in training" in Parsed(written["index"]).text


def test_anomalies_are_shown_beside_the_cell_and_the_run(tmp_path):
    record = run(84.0)
    odd = {record.run_id: [Anomaly("chance", HOSTILE)]}
    written = pages(tmp_path, [record], anomalies=odd)
    row = written["bcnn"].split('aria-label="Table 1"')[1].split("B-CNN [D,D]")[1].split("</tr>")[0]
    assert "⚑</span> chance" in row
    assert "chance: <script>" in Parsed(written["bcnn"]).text
    assert "⚑</span> chance" in written["index"]
    for name in ("bcnn", "index"):
        tags = Parsed(written[name]).tags
        assert only_our_script(written[name])
        assert HOSTILE in [attributes.get("title") for tag, attributes in tags if tag == "span"]
    assert "⚑" not in pages(tmp_path, [record])["bcnn"]


def test_claims_have_their_state_and_numbers(tmp_path):
    rng = np.random.default_rng(0)
    hard = rng.random(600)
    kept = Kept(*(of_right(hard < share + rng.normal(0, 0.05, 600), f"bcnn/{name}@cub", seed) for seed in range(4)
                  for name, share in (("bcnn_dd", 0.8), ("fv_cnn_d", 0.6), ("fc_cnn_d", 0.75))))  # fmt: skip
    written = pages(tmp_path, kept.records, outputs=kept)
    for page in ("index", "bcnn", "where_to_focus"):
        text = Parsed(written[page]).text
        assert "▼ contradicted" in text
        assert "FV-CNN [D] minus FC-CNN [D]: -" in text
        assert "○ not run" in text
    assert "p-values are adjusted" in Parsed(written["index"]).text


def test_hostile_names_stay_text(tmp_path):
    paper = PAPERS["bcnn"].model_copy(update={"title": HOSTILE, "authors": (HOSTILE,)})
    hostile = deviation(HOSTILE).model_copy(update={"run": HOSTILE})
    records = [
        run(84.0, title=HOSTILE, deviations=[hostile], provenance={"command": HOSTILE, "cpu": HOSTILE},
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
