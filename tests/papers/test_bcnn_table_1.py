"""Table 1 of the B-CNN paper (ICCV 2015, page 1454): every number stands in `paper.toml` as printed."""

from command_line import run

from fgbench.cli import console
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes

PRINTED = """
FV-SIFT     | 18.8 -    | 22.4 -    | 61.0 -    | 59.2 -    | 10
FC-CNN [M]  | 52.7 58.8 | 58.0 65.7 | 44.4 57.3 | 37.3 58.6 | 124
FC-CNN [D]  | 61.0 70.4 | 65.3 76.4 | 45.0 74.1 | 36.5 79.8 | 43
FV-CNN [M]  | 61.1 64.1 | 67.2 69.6 | 64.3 70.1 | 70.8 77.2 | 23
FV-CNN [D]  | 71.3 74.7 | 74.4 77.5 | 70.4 77.6 | 75.2 85.7 | 8
B-CNN [M,M] | 72.0 78.1 | 74.2 80.4 | 72.7 77.9 | 77.8 86.5 | 87
B-CNN [D,M] | 80.1 84.1 | 81.3 85.1 | 78.4 83.9 | 83.9 91.3 | 8
B-CNN [D,D] | 80.1 84.0 | 80.1 84.8 | 76.8 84.1 | 82.9 90.6 | 10
"""
"""Rows of the table: birds, birds with boxes, aircrafts and cars, each without and with fine-tuning, and frames/s."""
COLUMNS = (
    "birds_no_ft", "birds", "birds_box_no_ft", "birds_box", "aircraft_no_ft", "aircraft", "cars_no_ft", "cars", "fps"
)  # fmt: skip
RECIPES, PAPER = load_recipes(), load_papers()["bcnn"]
(TABLE,) = [table for table in PAPER.tables if table.id == "t1"]
CELLS = {cell.id: cell for cell in PAPER.cells() if cell.id.startswith("t1/") and cell.role != "context"}


def rows():
    for line in PRINTED.strip().splitlines():
        label, *groups = (part.strip() for part in line.split("|"))
        yield label, " ".join(groups).split()


def test_the_72_places_of_the_table_are_as_printed():
    assert [column.id for column in TABLE.columns] == list(COLUMNS)
    methods = [row for row in TABLE.rows if row.role != "context"]
    assert [(row.label, list(map(str, row.values))) for row in methods] == list(rows())
    assert sum(len(values) for _, values in rows()) == 72
    assert {cell.source.split(",")[0] for cell in CELLS.values()} == {"The paper (ICCV 2015)"}


def test_each_number_has_a_recipe_that_does_what_its_column_says():
    assert len(CELLS) == 68
    for name, cell in CELLS.items():
        _, row, column = name.split("/")
        recipe = RECIPES[f"{cell.recipe}@{cell.data}"]
        boxes = ("boxes",) if "_box" in column else ()
        assert (cell.train, cell.test, recipe.train, recipe.test) == (boxes,) * 4
        assert ("crop_box" in recipe.settings.test_pipeline) == bool(boxes)
        assert cell.data == {"birds": "cub", "fps": "cub"}.get(column.split("_")[0], column.split("_")[0])
        trained = column != "fps" and not column.endswith("no_ft")
        if column != "fps":
            assert bool(recipe.settings.stages) == trained, name
        networks = {"m": {"vggm"}, "d": {"vgg16"}, "mm": {"vggm"}, "dd": {"vgg16"}, "dm": {"vgg16", "vggm"}}
        streams = {stream.partition(":")[0] for stream in recipe.settings.backbones}
        assert streams == networks.get(row.rpartition("_")[2], set())


def test_the_recipe_without_fine_tuning_differs_from_the_other_in_training_alone():
    for cell in CELLS.values():
        if not cell.recipe.endswith("no_ft"):
            continue
        without = RECIPES[f"{cell.recipe}@{cell.data}"].settings
        tuned = RECIPES[f"{cell.recipe.removesuffix('_no_ft')}@{cell.data}"].settings
        training = {"stages", "train_pipeline", "starts_from"}
        assert without.model_dump(exclude=training) == tuned.model_dump(exclude=training)


def test_frames_per_second_are_those_of_a_k40_except_on_a_cpu():
    devices = {name.split("/")[1]: cell.device for name, cell in CELLS.items() if name.endswith("/fps")}
    assert devices.pop("fv_sift") == "CPU"
    assert set(devices.values()) == {"Tesla K40"}
    assert (CELLS["t1/fv_sift/fps"].devices, CELLS["t1/fv_sift/fps"].device_tflop_per_s) == ((), None)


def test_the_command_prints_the_table_as_the_paper(monkeypatch):
    monkeypatch.setattr(console._stdout, "width", 220)
    code, text = run("list", "cells", "bcnn")
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for label, values in rows():
        assert " ".join([label, *values]) in lines
    headings = " ".join(column.label for column in TABLE.columns)
    assert headings in lines


def test_recipes_without_fine_tuning_run_under_paper_alone():
    for key, recipe in RECIPES.items():
        if "_no_ft" in key and recipe.paper == "bcnn":
            assert recipe.only_paper
            assert recipe.profiles == {}
