"""Tables of `fgbench list` and `fgbench doctor`: one line a row, and a line for each thing that is missing."""

import json
import re

import pytest
from command_line import answer_of, run

from fgbench.cli import console
from fgbench.cli.catalogue_tables import show_missing


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
