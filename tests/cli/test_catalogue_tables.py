"""Tables of `fgbench list` and `fgbench doctor`: one line a row, and a line for each thing that is missing."""

import json
import re

import pytest
from command_line import answer_of, run

from fgbench.cli import console
from fgbench.cli.catalogue_tables import show_missing
from fgbench.papers.printed import load_papers


@pytest.fixture
def width(monkeypatch):
    return lambda columns: monkeypatch.setattr(console._stdout, "width", columns)


def test_doctor_counts_the_recipes_that_lack_the_same(width):
    width(80)
    text = run("doctor")[1]
    rows = json.loads(run("doctor", "--json")[1])["recipes"]
    count = sum(row["get it by"] == "fgbench data get aircraft" for row in rows)
    assert count > 2
    assert f"{count} recipes need FGVC-Aircraft 2013b: fgbench data get aircraft\n" in text
    assert "bcnn/bcnn_dd@aircraft" not in text
    width(300)
    assert re.search("bcnn/bcnn_dd@aircraft +runs +data: FGVC-Aircraft 2013b is not", run("doctor", "--all")[1])


def test_rows_are_a_line_each_and_what_is_missing_is_counted(width):
    rows = answer_of("list", "rows", "--json")[1]["rows"]
    width(120)
    text = run("list", "rows")[1]
    table, _, missing = text.partition("\n\n")
    assert "searched" not in text
    assert len(table.splitlines()) < len(rows) * 1.2
    assert re.search(r"^\d+ rows need VIPeR: |^1 row needs VIPeR: ", missing, re.MULTILINE)
    assert "judged as" not in missing
    width(400)
    assert "judged as" in run("list", "rows", "--all")[1]


def test_recipes_are_a_line_each_with_their_data_sets(width):
    width(120)
    text = run("list", "recipes")[1]
    assert re.search(r"^bcnn/bcnn_dd +aircraft, cars, cub, nabirds +bcnn ", text, re.MULTILINE)
    assert len(re.findall("^bcnn/bcnn_dd ", text, re.MULTILINE)) == 1
    assert len(re.findall("^bcnn/bcnn_dd ", run("list", "recipes", "--all")[1], re.MULTILINE)) == 4


def test_data_sets_name_what_gets_them_and_the_images_of_the_user(width):
    width(120)
    code, text = run("data", "list")
    assert code == 0
    assert text == run("list", "data")[1]
    assert re.search("^cub +CUB-200-2011 +no +fgbench data get cub *$", text, re.MULTILINE)
    assert re.search("^market1501 +Market-1501 +no +by hand: fgbench data get market1501 *$", text, re.MULTILINE)
    assert re.search("^imagefolder:PATH +images of your own +yes +fgbench data check", text, re.MULTILINE)


def test_a_narrow_table_leaves_out_columns(width):
    width(80)
    assert "safetensors" not in run("weights", "list")[1]
    assert re.search("^cell +printed +margin +recipe *$", run("list", "cells")[1], re.MULTILINE)
    width(140)
    assert "squeezenet1_1.safetensors" in run("weights", "list")[1]


def test_an_empty_table_is_a_line(tmp_path):
    assert run("list", "runs", "--results", str(tmp_path)) == (0, "no runs\n")


def test_what_lacks_the_most_comes_first(capsys):
    show_missing([("weights: vgg needs a.pth", "x"), ("data: A is not on this machine", "y"), *[("z", "")] * 2], "row")
    assert capsys.readouterr().out == "2 rows: z\n1 row: vgg needs a.pth: x\n1 row needs A: y\n"


def test_values_are_a_line_each_with_the_recipes_that_share_them(width):
    width(200)
    code, text = run("list", "values", "tasn")
    assert code == 0
    (line,) = [line for line in text.splitlines() if "options.temperature" in line]
    setting, value, origin, *source, recipes, place = line.split()
    assert (setting, value, origin, place) == ("options.temperature", "10.0", "code", "cub.tasn_r50")
    assert int(recipes) > 1
    assert source
    assert "bcnn" not in text


def test_values_as_json_are_those_of_every_recipe():
    _, answer = answer_of("list", "values", "bcnn", "--json")
    rows = {(row["recipe"], row["setting"]): row for row in answer["values"]}
    row = rows["bcnn/bcnn_mm@cars", "test_pipeline"]
    assert (row["value"], row["origin"], row["written in"]) == ("resize(448, bilinear)", "paper", "cars.pipelines")
    assert rows["bcnn/bcnn_mm@cub", "test_pipeline"]["written in"] == "cub.defaults"


def test_only_the_named_paper_is_listed():
    _, answer = answer_of("list", "recipes", "tasn", "--json")
    assert {row["recipe"].partition("/")[0] for row in answer["recipes"]} == {"tasn"}
    code, text = run("list", "cells", "tasm")
    assert code != 0
    assert "no paper named 'tasm'; did you mean 'tasn'?" in text


def test_cells_of_a_paper_are_its_tables(width):
    width(200)
    _, text = run("list", "cells", "keypoint_fcn")
    assert {table.number for table in load_papers()["keypoint_fcn"].tables} <= set(text.splitlines())
    assert "keypoint_fcn/t1" not in text
    assert "keypoint_fcn/t1" in run("list", "cells")[1]
