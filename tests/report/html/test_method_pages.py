import re

import pytest
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right
from report_pages import HOSTILE, Parsed, only_our_script, pages

from fgbench.records.record import Point
from fgbench.report.html.learning_curves import MOST_EPOCHS, learning_sections
from fgbench.report.html.method_pages import address_of

SYNTHETIC = {"synthetic": True, "data": "synthetic_birds", "profile": "quick"}


def curve(*losses, stages=("one",), accuracy=10.0):
    return [
        Point(stage=stage, epoch=epoch, loss=loss, accuracy=accuracy * epoch, wall_s=1)
        for stage in stages
        for epoch, loss in enumerate(losses, 1)
    ]


def trained(seed=0, *losses, stages=("one",), **fields):
    return of_accuracy(80.0 + seed, seed, curve=curve(*losses, stages=stages), **fields)


def section(page, name):
    return page.split(f'<h2 id="{name}">')[1].split("<h2")[0] if f'<h2 id="{name}">' in page else ""


def text(part):
    return Parsed(part).text


def test_there_is_a_page_for_every_method_and_it_has_each_of_its_printed_numbers_once(tmp_path):
    found = pages(tmp_path, [])
    names = {recipe.method for recipe in RECIPES.values()}
    assert {page for page in found if page.startswith("method-")} == {f"method-{name}" for name in names}
    counts = [int(re.search(r"<strong>(\d+)</strong> printed number", found[f"method-{name}"])[1]) for name in names]
    # Rows of other groups, and those that no recipe answers, are of no method.
    index = found["index"].split('class="all"')[1]
    judged = int(re.findall(r"<td[^>]*>\D*(\d+)\D*</td>", index)[-1])
    assert 0 < judged - sum(counts) < 40
    assert all("No run of it has been recorded" in found[f"method-{name}"] for name in names)
    assert "figure" not in {tag for tag, _ in Parsed(found["method-bcnn"]).tags}


def test_runs_stand_with_what_they_took_in_a_table_a_protocol(tmp_path):
    cost = {"wall_s": 40.0, "phase_s": {"training": 30.0, "test": 5.0}, "peak_mib": 700.0, "test_fps": 12.5}
    records = [of_accuracy(80.0 + seed, seed, cost=cost) for seed in range(3)]
    records += [of_accuracy(55.0, 0, protocol={"classes": 20, "data": "synthetic_birds"}, **SYNTHETIC)]
    part = section(pages(tmp_path, records)["method-bcnn"], "runs")
    tables = [text(table) for table in part.split("<table")[1:]]
    assert len(tables) == 2
    assert "B-CNN [D,D] paper 3 accuracy 81.0 % 80.0 to 82.0 30 40 700 12.5" in tables[0]
    assert "not comparable" not in tables[0]
    assert "55.0" in tables[1]
    assert "not comparable" in tables[1]
    assert "Energy" not in part  # where none was measured
    joule = of_accuracy(80.0, 0, cost=cost | {"energy_j": 1234.4})
    assert "12.5 1234" in text(section(pages(tmp_path / "j", [joule])["method-bcnn"], "runs"))


def test_learning_curves_have_every_seed_and_epoch_as_recorded():
    groups = [[trained(0, 3.0, 2.0, 1.0), trained(1, 5.0, 4.0, 3.0)]]
    ((loss, accuracy),) = [found.charts for found in learning_sections(groups)]
    assert [(row[1], row[2], row[3], row[4]) for row in loss.rows] == [(1, 4, 3, 5), (2, 3, 2, 4), (3, 2, 1, 3)]
    assert [row[2] for row in accuracy.rows] == [10, 20, 30]
    drawn = loss.spec["datasets"]["rows0"]
    assert [(row["r"], row["y"]) for row in drawn] == [
        ("seed 0", 3), ("seed 0", 2), ("seed 0", 1), ("seed 1", 5), ("seed 1", 4), ("seed 1", 3)
    ]  # fmt: skip
    assert "From 3 to 5 in the first epoch to 1 to 3 in the last, 2 runs" in loss.label


def test_stages_follow_one_another_and_are_parted_where_all_change():
    (found,) = learning_sections([[trained(0, 3.0, 2.0, stages=("classifier", "finetune"))]])
    assert found.note == "Stages: classifier then finetune"
    assert [row[1] for row in found.charts[0].rows] == [1, 2, 3, 4]
    assert [{"x": 2.5}] in found.charts[0].spec["datasets"].values()
    other = of_accuracy(70.0, recipe="bcnn/bcnn_dm@cub", curve=curve(3.0, 2.0, 1.0))
    (both,) = learning_sections([[trained(0, 3.0, 2.0, stages=("classifier", "finetune"))], [other]])
    assert "classifier then finetune (B-CNN [D,D])" in both.note
    assert [{"x": 2.5}] not in both.charts[0].spec["datasets"].values()


def test_two_protocols_or_synthetic_and_real_data_never_share_a_chart():
    groups = [
        [trained(0, 3.0, 2.0)],
        [trained(0, 9.0, 8.0, protocol={"classes": 20})],
        [trained(0, 7.0, 6.0, protocol={"data": "synthetic_birds"}, **SYNTHETIC)],
    ]
    found = learning_sections(groups)
    # Real data first; what is beyond the bound is told, not drawn.
    assert [[row[2] for row in each.charts[0].rows] for each in found] == [[3, 2], [9, 8]]
    assert found[-1].note.endswith("Runs of 1 further protocol are not drawn; each stands with its paper.")
    assert [[row[2] for row in each.charts[0].rows] for each in learning_sections(groups[1:])] == [[9, 8], [7, 6]]


def test_long_curves_are_thinned_and_begin_and_end_as_recorded():
    losses = [1000.0 - epoch for epoch in range(500)]
    (found,) = learning_sections([[trained(0, *losses)]])
    rows = found.charts[0].rows
    assert len(rows) == MOST_EPOCHS
    assert (rows[0][1:], rows[-1][1:]) == ((1, 1000), (500, 501))
    assert all(losses[int(at) - 1] == loss for _, at, loss in rows)


def test_no_number_of_a_curve_leaves_out_what_is_none():
    broken = of_accuracy(80.0, curve=curve(3.0, float("nan"), 1.0))
    (found,) = learning_sections([[broken]])
    assert [row[1:] for row in found.charts[0].rows] == [(1, 3), (3, 1)]
    nothing = of_accuracy(80.0, curve=curve(float("inf")))
    assert [chart.title for chart in learning_sections([[nothing]])[0].charts] == ["Training accuracy, %"]


def test_confusions_are_of_the_run_nearest_to_the_papers(tmp_path):
    right = [True] * 30 + [False] * 10
    real, real_arrays = of_right(right, seed=0)
    made_up, other = of_right([False] * 40, seed=0, **SYNTHETIC, protocol={"data": "synthetic_birds"})
    kept = Kept((real, real_arrays | {"class_names": [f"00{i}.Tern" for i in range(8)]}), (made_up, other))
    part = section(pages(tmp_path, kept.records, outputs=kept)["method-bcnn"], "confusions")
    first, second = part.split("Confused most")[1:]
    # Images 30 to 39 are wrong, of the classes 6, 7, 0, 1 ... 6, 7, and each is taken for the next.
    rows = [text(row.split("</tr>")[0]) for row in first.split("<tr>")[2:]]
    assert rows[:3] == ["Tern (6) Tern (7) 2 5 40.0", "Tern (7) Tern (0) 2 5 40.0", "Tern (0) Tern (1) 1 5 20.0"]
    assert "class 0 class 1 5 5 100.0" in text(second)
    assert part.index("Tern") < part.index("synthetic birds, ")


@pytest.mark.parametrize("later", [0, 1])
def test_confusions_are_of_a_run_that_answers_a_printed_number(later, tmp_path):
    runs = [of_right([True] * 30 + [False] * 10, f"bcnn/{name}@cub", title=name) for name in ("bcnn_dd", "cbp_rm_dd")]
    record, arrays = runs[later]
    runs[later] = record.model_copy(update={"provenance": {**record.provenance, "finished": "2031"}}), arrays
    kept = Kept(*runs)
    part = section(pages(tmp_path, kept.records, outputs=kept)["method-bcnn"], "confusions")
    assert "bcnn_dd, seed 0; 1 more run of this protocol not shown" in text(part)


def test_values_by_part_are_the_means_and_spread_of_the_seeds(tmp_path):
    def found(seed, beak):
        value = {"unit": "%", "n": 10}
        values = {"pck@0.10": value | {"value": 50.0}, "pck@0.10/beak": value | {"value": beak},
                  "pck@0.10/tail": value | {"value": 20.0}, "pcp/head": value | {"value": 33.0},
                  "attention/beak": {"value": 2.5, "unit": "x", "n": 10}}  # fmt: skip
        return made("keypoint_fcn/localizer@cub", seed, values=values)

    part = section(pages(tmp_path, [found(0, 60.0), found(1, 80.0)])["method-keypoint_fcn"], "parts")
    rows = [text(row.split("</tr>")[0]) for row in part.split("<tr>")]
    assert "beak Keypoint localisation 70 60 80" in rows
    assert "tail Keypoint localisation 20 20 20" in rows
    assert "head Keypoint localisation 33 33 33" in rows
    assert "beak Keypoint localisation 2.5 2.5 2.5" in rows
    assert part.count("<figure") == 3


def test_deviations_name_the_runs_and_the_cells_they_touch(tmp_path):
    shared, own = deviation("data.images", changes=False), deviation("stages.finetune.lr")
    records = [
        of_accuracy(84.0, deviations=[shared, own]),
        of_accuracy(70.0, recipe="bcnn/bcnn_dm@cub", deviations=[shared]),
    ]
    rows = section(pages(tmp_path, records)["method-bcnn"], "deviations").split("<tr>")[2:]
    assert [text(row).split()[0] for row in rows] == ["data.images", "stages.finetune.lr"]
    assert "B-CNN [D,D], B-CNN [D,M]" in text(rows[0])
    assert "B-CNN [D,D], birds" in text(rows[1])
    assert "B-CNN [D,M]" not in text(rows[1])


def test_verdicts_stand_beside_the_printed_numbers(tmp_path):
    part = section(pages(tmp_path, [of_accuracy(84.0 + s / 20, s) for s in range(3)])["method-bcnn"], "cells")
    assert "B-CNN [D,D], birds bcnn 84.0 % 84.0" in text(part).replace("84.1 %", "84.0 %").replace("84.1 ", "84.0 ")
    assert 'href="bcnn.html#at-' in part
    assert "● reproduced" in text(part)


@pytest.mark.parametrize("name", ["../../etc/passwd", HOSTILE, "", "a b", "x" * 200])
def test_the_file_of_a_method_lies_beside_the_others_whatever_its_name(name, tmp_path):
    assert re.fullmatch(r"method-[A-Za-z0-9_-]{1,60}", address_of(name))
    found = pages(tmp_path, [of_accuracy(80.0, method=name)])
    page = found[address_of(name)]
    assert only_our_script(page)
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".js"}


def test_pictures_of_a_run_stand_on_the_page_of_its_method_but_not_those_of_controls(tmp_path):
    from fgbench.report.html.render import render

    right = of_accuracy(80.0)
    control = of_accuracy(2.0, 1, protocol={"control": "shuffled"}, deviations=[deviation("control", run="shuffled")])
    pictures = {record.run_id: {"attention": record.run_id.encode()} for record in (right, control)}
    render({}, {}, [], [right, control], tmp_path, pictures)
    images = [a["src"] for tag, a in Parsed((tmp_path / "method-bcnn.html").read_text()).tags if tag == "img"]
    assert len(images) == 1
