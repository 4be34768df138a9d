import re
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import run
from markupsafe import escape

from fgbench.judge.claims import check_claims
from fgbench.judge.frames import judge_store
from fgbench.judge.sensitivity import find_bounds
from fgbench.judge.speed_claims import with_speed_claims
from fgbench.judge.verdict import Outcome, judge
from fgbench.metrics.values import headline
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.papers.settings import Settings
from fgbench.records.recompression import quality_of
from fgbench.records.record import by_identity
from fgbench.records.store import store_of
from fgbench.report.formatting import measured
from fgbench.report.tables.differences import difference_frame
from fgbench.runs.run import is_seeded
from fgbench.speed.bench_files import frames_of, read_speed

WITH_PAGES = {"cub-200-2011"}
ROOT = Path(__file__).parents[1]
PRIVATE = re.compile(r"[\s\"'>(](/(?:home|root|tmp|mnt|Users|work)/|[A-Z]:\\)")
CAMPAIGNS = sorted(path.parent for path in (Path(__file__).parents[1] / "reports").glob("*/records"))


def test_there_are_records():
    assert CAMPAIGNS


@pytest.mark.parametrize("folder", CAMPAIGNS, ids=lambda folder: folder.name)
def test_every_committed_value_is_recomputed_from_its_outputs(folder):
    store = store_of(folder)
    records = store.records()
    assert records
    assert {record.run_id: store.verify(record) for record in records} == {record.run_id: [] for record in records}
    assert len(list((folder / "records").iterdir())) == 2 * len(records)


def test_the_documented_command_verifies_all_records_without_an_anomaly():
    code, text = run("verify", "--results", str(Path(__file__).parents[1] / "reports"))
    assert (code, "anomaly" in text) == (0, False), text


@pytest.mark.parametrize("folder", CAMPAIGNS, ids=lambda folder: folder.name)
def test_committed_pages_are_of_the_records_beside_them_and_show_no_photograph_and_no_folder_of_a_machine(folder):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "pages").glob("*.html")}
    assert bool(pages) == (folder.name in WITH_PAGES)
    assert not [name for name, text in pages.items() if "data:image/" in text or PRIVATE.search(text)]
    if pages:
        records = store_of(folder).records()
        assert set(re.findall(r'id="r-([0-9a-f]{16})"', pages["provenance"])) == {record.run_id for record in records}


@pytest.mark.parametrize("name", sorted(WITH_PAGES))
def test_committed_pages_say_of_runs_cells_and_claims_what_the_records_say(name):
    folder = Path(__file__).parents[1] / "reports" / name
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "pages").glob("*.html")}
    store, papers = store_of(folder), load_papers()
    records = store.records()
    rows = re.findall(r"<tr>.*?</tr>", pages["index"], re.DOTALL)
    for group in by_identity(records):
        metric = headline(group[0].values)
        mean = sum(record.values[metric].value for record in group) / len(group)
        said = f">{escape(group[0].title)}</a>", f"<td>{len(group)}</td>", f">{measured(mean)} %<"
        assert [row for row in rows if all(word in row for word in said)], said
    measured_cells, cells = re.findall(r"<strong>(\d+)</strong> of (\d+) printed numbers", pages["index"])[0]
    readme = (ROOT / "reports/README.md").read_text(encoding="utf-8")
    assert f"Of the {cells} printed numbers {measured_cells} are measured." in readme
    judged = [verdict for own in judge_store(papers, store).values() for verdict in own if verdict.records]
    assert judged
    assert not [v.reason for v in judged if not v.cell.cites and str(escape(v.reason)) not in pages[v.cell.paper]]
    claims = check_claims(papers, records, store.outputs, load_recipes())
    claims = with_speed_claims(claims, frames_of(read_speed(folder)[0]))
    assert not [claim.text for claim in claims if str(escape(claim.text)) not in pages["index"]]


@pytest.mark.parametrize("folder", CAMPAIGNS, ids=lambda folder: folder.name)
def test_committed_records_say_whether_another_seed_may_give_other_values(folder):
    for record in store_of(folder).records():
        settings = Settings.model_validate(record.settings)
        assert record.seeded == is_seeded(record.method, settings, shuffled=record.control)


def test_fv_sift_was_run_on_all_birds_as_the_recipe_says_and_so_has_a_verdict():
    records = store_of(Path(__file__).parents[1] / "reports/cub-200-2011").records()
    own = [record for record in records if record.recipe == "bcnn/fv_sift@cub" and quality_of(record) is None]
    assert len(own) == 4
    assert {(r.protocol["train_images"], r.protocol["test_images"], r.comparable) for r in own} == {(5994, 5794, True)}
    papers, recipes = load_papers(), load_recipes()
    (cell,) = [cell for cell in papers["bcnn"].cells() if cell.id == "t1/fv_sift/birds_no_ft"]
    verdict = judge(cell, records, {}, recipes)
    assert (verdict.outcome, len(verdict.records)) == (Outcome.INCONCLUSIVE, 3)
    assert "with an unknown effect on the number" in verdict.reason


def test_the_effect_of_the_recompression_on_fv_sift_was_measured_and_leaves_its_verdict_open():
    store = store_of(Path(__file__).parents[1] / "reports/cub-200-2011")
    verdicts = judge_store(load_papers(), store)
    (verdict,) = [verdict for verdict in verdicts["bcnn"] if verdict.cell.id == "t1/fv_sift/birds_no_ft"]
    of_fv_sift = {record.run_id for record in store.records() if record.recipe == "bcnn/fv_sift@cub"}
    (bound,) = [b for b in find_bounds(store.records(), store.outputs).values() if of_fv_sift & set(b.run_ids)]
    assert verdict.outcome == Outcome.INCONCLUSIVE
    assert f"changes the number by at most {bound.bound:.2f} points, measured by 3 runs" in verdict.reason
    first, paper = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "reproductions/bcnn/README.md"))
    assert f"bounds the effect on FV-SIFT with whole images by {bound.bound:.2f} points" in " ".join(first.split())
    assert f"the effect is bounded by {bound.bound:.2f} points" in " ".join(paper.split())
    for effect in bound.effects:
        assert f"{abs(effect.value):.2f}" in paper


def test_at_full_size_the_methods_are_in_order_on_each_network_and_shuffled_labels_at_chance():
    store = store_of(Path(__file__).parents[1] / "reports/cub-200-2011")
    records = store.records()
    frame = difference_frame(records, store.outputs, load_recipes())
    recipes = {record.run_id: record.recipe.removesuffix("@cub") for record in records}
    order = [
        [recipes[runs.partition(",")[0]] for runs in pair]
        for pair in zip(frame.better_runs, frame.worse_runs, strict=True)
    ]
    small, large, boxes = (
        [f"bcnn/{name}" for name in names.split()]
        for names in (
            "bcnn_dd cbp_ts_dd bcnn_spp_dm cbp_rm_dd fv_cnn_d fc_cnn_d",
            "bcnn_dd cbp_ts_dd bcnn_spp_dm cbp_rm_dd fv_cnn_d fc_cnn_d fv_sift",  # the last has no network
            "bcnn_dd_box_no_ft fv_cnn_d_box_no_ft bcnn_dd_box_keep_aspect_no_ft fv_cnn_d_box_keep_aspect_no_ft "
            "fv_sift_box",
        )
    )
    assert order == [list(pair) for names in (small, large, boxes) for pair in pairwise(names)]
    on_large = range(len(small) - 1, len(order))
    assert all(frame.low[k] > 0 for k in on_large if "bcnn/bcnn_spp_dm" not in order[k])
    (control,) = [record.values["accuracy"] for record in records if record.control]
    assert control.low < 100 / 200 < control.high


def test_boxes_on_the_first_40_of_200_classes_lose_what_the_text_says():
    lost = {}
    for folder, recipe in (("readings-boxes-fv-cnn", "fv_cnn_d"), ("readings-boxes", "bcnn_dd")):
        store, right = store_of(ROOT / "reports" / folder), {}
        for record in store.records():
            arrays = store.outputs(record)
            of_first = arrays["labels"] < 40
            right[record.recipe, "fit_images" in record.settings["options"]] = 100 * float(
                (arrays["scores"].argmax(axis=1) == arrays["labels"])[of_first].mean()
            )
        lost[recipe] = right[f"bcnn/{recipe}@cub", False] - right[f"bcnn/{recipe}_box_no_ft@cub", False]
    text = " ".join((ROOT / "reports/README.md").read_text(encoding="utf-8").split())
    sentence = "it takes {fv_cnn_d:.1f} points from FV-CNN [D] with seed 0 and {bcnn_dd:.1f} from B-CNN [D,D]"
    assert sentence.format(**lost) in text


def test_no_phase_at_full_size_took_more_than_16_gib():
    records = store_of(Path(__file__).parents[1] / "reports/cub-200-2011").records()
    for record in records:
        assert set(record.cost.phase_peak_mib) == set(record.cost.phase_s)
        assert max(record.cost.peak_mib, *record.cost.phase_peak_mib.values()) < 16 * 1024


def test_shuffled_labels_are_at_chance_and_the_methods_in_order_on_real_birds():
    records = store_of(Path(__file__).parents[1] / "reports/cub-first-20").records()
    control = [r for r in records if r.protocol["control"] != "none"]
    plain = {r.method: r.values["accuracy"] for r in records if r.protocol["control"] == "none"}
    assert plain["bcnn"].value > plain["fv_cnn"].value > plain["fv_sift"].value
    assert all(value.low > 100 / 20 for value in plain.values())
    assert control
    assert sum(r.values["accuracy"].value for r in control) / len(control) < 100 / 20 + 3
    assert not any(r.comparable for r in records)
