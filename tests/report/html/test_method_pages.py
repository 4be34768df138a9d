import re

import pytest
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right
from report_pages import HOSTILE, Parsed, only_our_script, pages
from scipy import stats

from fgbench.report.html.method_pages import method_page_name
from fgbench.report.html.render import _breakable

SYNTHETIC = {"synthetic": True, "data": "synthetic_birds", "profile": "quick"}


def section(page, name):
    return page.split(f'<h2 id="{name}">')[1].split("<h2")[0] if f'<h2 id="{name}">' in page else ""


def text(part):
    return Parsed(part).text


def test_every_method_has_a_page_with_its_printed_numbers(tmp_path):
    written = pages(tmp_path, [])
    names = {recipe.method for recipe in RECIPES.values()}
    assert {page for page in written if page.startswith("method-")} == {f"method-{name}" for name in names}
    counts = [int(re.search(r"<strong>(\d+)</strong> printed number", written[f"method-{name}"])[1]) for name in names]
    # Rows of other groups are of no method.
    index = written["index"].split('class="all"')[1]
    judged = int(re.findall(r"<td[^>]*>\D*(\d+)\D*</td>", index)[-1])
    assert judged == sum(counts)
    assert all("There are no runs of this method" in written[f"method-{name}"] for name in names)
    assert "figure" not in {tag for tag, _ in Parsed(written["method-bcnn"]).tags}


def test_each_protocol_has_a_table_of_values_and_cost(tmp_path):
    cost = {"wall_s": 40.0, "phase_s": {"training": 30.0, "test": 5.0}, "peak_mib": 700.0, "test_fps": 12.5}
    records = [of_accuracy(80.0 + seed, seed, cost=cost) for seed in range(3)]
    records += [of_accuracy(55.0, 0, protocol={"classes": 20, "data": "synthetic_birds"}, **SYNTHETIC)]
    part = section(pages(tmp_path, records)["method-bcnn"], "runs")
    tables = [text(table) for table in part.split("<table")[1:]]
    assert len(tables) == 2
    assert "B-CNN [D,D] 81.00 % 78.52 to 83.48 accuracy 3 paper 30 40 700 12.5" in tables[0]
    assert "not comparable" not in tables[0]
    assert "55.0" in tables[1]
    assert "not comparable" in tables[1]
    assert "Energy" not in part  # where none was measured
    joule = of_accuracy(80.0, 0, cost=cost | {"energy_j": 1234.4})
    assert "12.5 1234" in text(section(pages(tmp_path / "j", [joule])["method-bcnn"], "runs"))


def test_confusions_are_of_the_run_closest_to_the_papers(tmp_path):
    right = [True] * 30 + [False] * 10
    real, real_arrays = of_right(right, seed=0)
    made_up, other = of_right([False] * 40, seed=0, **SYNTHETIC, protocol={"data": "synthetic_birds"})
    kept = Kept((real, real_arrays | {"class_names": [f"00{i}.Tern" for i in range(8)]}), (made_up, other))
    part = section(pages(tmp_path, kept.records, outputs=kept)["method-bcnn"], "confusions")
    first, second = part.split("Most frequent confusions")[1:]
    # Images 30 to 39 are wrong, of the classes 6, 7, 0, 1 ... 6, 7, and each is predicted as the next.
    rows = [text(row.split("</tr>")[0]) for row in first.split("<tr>")[2:]]
    assert rows[:3] == ["Tern (6) Tern (7) 2 5 40.0", "Tern (7) Tern (0) 2 5 40.0", "Tern (0) Tern (1) 1 5 20.0"]
    assert "class 0 class 1 5 5 100.0" in text(second)
    assert part.index("Tern") < part.index("synthetic birds, ")


def test_a_control_has_no_confusion_matrix(tmp_path):
    shuffled = {"protocol": {"control": "shuffled labels"}, "deviations": [deviation("control", run="shuffled labels")]}
    control, arrays = of_right([False] * 40, seed=0, **shuffled)
    kept = Kept((control, arrays))
    alone = pages(tmp_path / "alone", kept.records, outputs=kept)["method-bcnn"]
    assert section(alone, "confusions") == ""
    assert "shuffled labels" in section(alone, "runs")
    both = Kept((control, arrays), of_right([True] * 30 + [False] * 10))
    part = section(pages(tmp_path / "both", both.records, outputs=both)["method-bcnn"], "confusions")
    assert part.count("Most frequent confusions") == 1
    assert "control" not in part


def test_a_confusion_matrix_has_a_legend_of_its_axes_and_colours(tmp_path):
    kept = Kept(of_right([True] * 30 + [False] * 10))
    part = section(pages(tmp_path, kept.records, outputs=kept)["method-bcnn"], "confusions")
    assert "Each row is the true class of images, and each column is the class that the run predicts" in text(part)
    # The ramps have the colours of the squares.
    ramps = re.findall(r'class="ramp" style="--tone:var\((--c\d)\)" aria-hidden="true"></span> (\w+)', part)
    assert ramps == [("--c1", "correct"), ("--c2", "wrong")]
    number = r"([\d.]+)"
    squares = re.findall(rf'd="M{number},{number}h{number}v{number}h-[\d.]+Z" fill="var\((--c\d)\)"', part)
    on_diagonal = {(round(float(x) / float(w)) == round(float(y) / float(h)), tone) for x, y, w, h, tone in squares}
    assert on_diagonal == {(True, "--c1"), (False, "--c2")}


def test_the_navigation_has_only_methods_with_runs_and_the_other_pages_are_written(tmp_path):
    written = pages(tmp_path, [of_accuracy(84.0), of_accuracy(70.4, recipe="bcnn/fc_cnn_d@cub")])
    assert "method-tasn" in written
    for name in ("index", "method-tasn"):
        nav = written[name].split("<nav")[1].split("</nav>")[0]
        methods = re.findall(r'<a href="method-(\w+)\.html"[^>]*>(.*?)</a>', nav)
        assert methods == [("bcnn", "B-CNN"), ("fc_cnn", "FC-CNN")], name


@pytest.mark.parametrize("later", [0, 1])
def test_confusions_are_of_a_run_behind_a_printed_number(later, tmp_path):
    runs = [of_right([True] * 30 + [False] * 10, f"bcnn/{name}@cub", title=name) for name in ("bcnn_dd", "cbp_rm_dd")]
    record, arrays = runs[later]
    runs[later] = record.model_copy(update={"provenance": {**record.provenance, "finished": "2031"}}), arrays
    kept = Kept(*runs)
    part = section(pages(tmp_path, kept.records, outputs=kept)["method-bcnn"], "confusions")
    assert "bcnn_dd, seed 0; 1 more run of this protocol not shown" in text(part)


def test_values_by_part_are_mean_and_interval_over_seeds(tmp_path):
    def part_run(seed, beak):
        value = {"unit": "%", "n": 10}
        values = {"pck@0.10": value | {"value": 50.0}, "pck@0.10/beak": value | {"value": beak},
                  "pck@0.10/tail": value | {"value": 20.0}, "pcp/head": value | {"value": 33.0},
                  "attention/beak": {"value": 2.5, "unit": "x", "n": 10}}  # fmt: skip
        return made("keypoint_fcn/localizer@cub", seed, values=values)

    part = section(pages(tmp_path, [part_run(0, 69.0), part_run(1, 71.0)])["method-keypoint_fcn"], "parts")
    rows = [text(row.split("</tr>")[0]) for row in part.split("<tr>")]
    low, high = (f"{end:.6g}" for end in stats.t.interval(0.95, 1, 70, 1))
    assert f"beak Keypoint localisation 70 {low} {high}" in rows
    assert "tail Keypoint localisation 20 20 20" in rows
    assert "head Keypoint localisation 33 33 33" in rows
    assert "beak Keypoint localisation 2.5 2.5 2.5" in rows
    assert part.count("<figure") == 3


def test_deviations_have_their_runs_and_cells(tmp_path):
    shared, finetune = deviation("data.images", changes=False), deviation("stages.finetune.lr")
    records = [
        of_accuracy(84.0, deviations=[shared, finetune]),
        of_accuracy(70.0, recipe="bcnn/bcnn_dm@cub", deviations=[shared]),
    ]
    rows = section(pages(tmp_path, records)["method-bcnn"], "deviations").split("<tr>")[2:]
    assert [text(row).split()[0] for row in rows] == ["data.images", "stages.finetune.lr"]
    assert "B-CNN [D,D]; B-CNN [D,M]" in text(rows[0])
    assert "B-CNN [D,D], birds" in text(rows[1])
    assert "B-CNN [D,M]" not in text(rows[1])


def test_verdicts_are_beside_the_printed_numbers(tmp_path):
    part = section(pages(tmp_path, [of_accuracy(84.0 + s / 20, s) for s in range(3)])["method-bcnn"], "cells")
    assert "B-CNN [D,D], birds, w/ ft B-CNN 84.0 % 84.0" in text(part).replace("84.1 %", "84.0 %").replace(
        "84.1 ", "84.0 "
    )
    assert 'href="bcnn.html#at-' in part
    assert "● reproduced" in text(part)


@pytest.mark.parametrize("name", ["../../etc/passwd", HOSTILE, "", "a b", "x" * 200])
def test_any_name_of_a_method_gives_a_file_in_the_folder(name, tmp_path):
    assert re.fullmatch(r"method-[A-Za-z0-9_-]{1,60}", method_page_name(name))
    written = pages(tmp_path, [of_accuracy(80.0, method=name)])
    page = written[method_page_name(name)]
    assert only_our_script(page)
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".js"}


def test_the_page_has_pictures_of_runs_but_not_of_controls(tmp_path):
    from fgbench.report.html.render import render

    right = of_accuracy(80.0)
    control = of_accuracy(2.0, 1, protocol={"control": "shuffled"}, deviations=[deviation("control", run="shuffled")])
    pictures = {record.run_id: {"attention": record.run_id.encode()} for record in (right, control)}
    render({}, {}, [], [right, control], tmp_path, pictures)
    images = [a["src"] for tag, a in Parsed((tmp_path / "method-bcnn.html").read_text()).tags if tag == "img"]
    assert len(images) == 1


def test_the_name_of_a_run_is_escaped_and_may_break_after_the_colon_of_a_network():
    assert _breakable("B-CNN on squeezenet1_1:features & <b>") == "B-CNN on squeezenet1_1:<wbr>features &amp; &lt;b&gt;"
