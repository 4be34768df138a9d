"""The printed numbers, cell by cell, and what a mistake in a paper's file is answered with."""

import re
from collections import Counter
from pathlib import Path

import pytest

from fgbench.errors import FgbenchError
from fgbench.papers import Cell, Paper, load_papers, reproductions_root

RECIPES = (
    {
        f"bcnn/{name}"
        for name in (
            *(
                "fv_sift",
                "fc_cnn_m",
                "fc_cnn_d",
                "fv_cnn_m",
                "fv_cnn_d",
                "bcnn_mm",
                "bcnn_dm",
                "bcnn_dd",
                "bcnn_spp_dm",
            ),
            *("bcnn_mm_box", "bcnn_dm_box", "bcnn_dd_box"),
        )
    }
    | {
        f"keypoint_fcn/{name}"
        for name in (
            *("fc7", "fc7_ft", "keypoint_baseline", "fc7_model", "compact_bilinear", "part_nets", "localizer"),
        )
    }
    | {"where_to_focus/spatial_lstm_dm", "tasn/tasn_r50", "tasn/tasn_r50_code", "tasn/tasn_r50_336"}
)

MINIMAL = """
id = "demo"
version = "v1"
title = "A title"
authors = ["Somebody"]
venue = "Somewhere"
year = 2020
url = "https://example.org"

[sources]
page = "The page that was read."

[[tables]]
id = "t1"
number = "Table 1"
caption = "Accuracies."
source = "page"

[[tables.columns]]
id = "birds"
label = "Birds"
data = "cub"
metric = "accuracy"
unit = "%"
margin = 0.5

[[tables.columns]]
id = "rank"
label = "R=1"
data = "viper"
metric = "cmc"
unit = "%"
margin = 1.0
params = { rank = 1 }

[[tables.rows]]
id = "ours"
label = "Ours"
role = "method"
values = [84.1, 50.0]

[[tables.rows]]
id = "theirs"
label = "Theirs"
role = "context"
values = [80.0, "-"]

[[claims]]
id = "order"
text = "Ours is ahead."
source = "page"
data = "cub"
metric = "accuracy"
order = ["demo/ours", "demo/base"]
"""


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return load_papers()


@pytest.fixture(scope="module")
def cells(papers: dict[str, Paper]) -> dict[str, Cell]:
    return {f"{name}/{cell.id}": cell for name, paper in papers.items() for cell in paper.cells()}


def write(root: Path, text: str, folder: str = "demo") -> Path:
    path = root / folder / "paper.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return root


def load(root: Path, old: str = "", new: str = "") -> Paper:
    """The minimal paper with one passage replaced."""
    assert old in MINIMAL
    return load_papers(write(root, MINIMAL.replace(old, new, 1)))["demo"]


def message(root: Path, old: str, new: str) -> str:
    """The error that a replaced passage leads to: one line that names the file."""
    with pytest.raises(FgbenchError) as caught:
        load(root, old, new)
    text = str(caught.value)
    assert "\n" not in text
    prefix = f"{root / 'demo' / 'paper.toml'}: "
    assert text.startswith(prefix)
    return text.removeprefix(prefix)


# What is printed: first, middle and last cell of every table.


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("bcnn/t1/fv_sift/birds", 18.8),
        ("bcnn/t1/fv_cnn_d/aircraft", 77.6),
        ("bcnn/t1/bcnn_mm/birds", 78.1),
        ("bcnn/t1/bcnn_dm/birds", 84.1),
        ("bcnn/t1/bcnn_dm/aircraft", 83.9),
        ("bcnn/t1/bcnn_dm/cars", 91.3),
        ("bcnn/t1/bcnn_dd/cars", 90.6),
        ("bcnn/t1box/bcnn_mm/birds", 80.4),
        ("bcnn/t1box/bcnn_dm/birds", 85.1),
        ("bcnn/t1box/bcnn_dd/birds", 84.8),
        ("bcnn/speed/bcnn_dm/fps", 8),
        ("bcnn/v1/bcnn/birds", 80.9),
        ("bcnn/v1/bcnn/fps", 8),
        ("bcnn/updated/best/birds", 84.1),
        ("bcnn/updated/best/aircraft", 86.9),
        ("bcnn/updated/best/fps", 30),
        ("where_to_focus/t2/fv_sift/birds", 18.8),
        ("where_to_focus/t2/bcnn_spp_dm/aircraft", 86.7),
        ("where_to_focus/t2/chai_et_al/cars", 78.0),
        ("where_to_focus/t2/ours_dm/birds", 89.7),
        ("where_to_focus/t2/ours_dm/cars", 93.4),
        ("where_to_focus/t3/jointre_id/viper_r1", 34.80),
        ("where_to_focus/t3/scsp/market_map", 26.35),
        ("where_to_focus/t3/fpnn/cuhk03_r10", 68.74),
        ("where_to_focus/t3/ours_dm/market_map", 34.33),
        ("keypoint_fcn/t1/dpd_decaf_feature/accuracy", 64.96),
        ("keypoint_fcn/t1/two_level_attention/accuracy", 69.7),
        ("keypoint_fcn/t1/part_nets/accuracy", 85.92),
        ("keypoint_fcn/t2/back/a02", 9.4),
        ("keypoint_fcn/t2/left_leg/a08", 56.6),
        ("keypoint_fcn/t2/throat/a10", 94.5),
        ("keypoint_fcn/t3/rcnn/head", 61.42),
        ("keypoint_fcn/t3/ours/head", 63.82),
        ("keypoint_fcn/t3/ours/body", 89.06),
        ("tasn/paper/tasn_r50/birds", 87.9),
        ("tasn/paper/tasn_r50/cars", 93.8),
        ("tasn/code/r50_224/birds", 87.0),
        ("tasn/code/r50_336/birds", 88.0),
    ],
)
def test_printed_value(cells, cell, value):
    assert cells[cell].value == value


def test_cells_of_each_table(papers):
    counts = {
        f"{name}/{table}": n
        for name, paper in papers.items()
        for table, n in Counter(cell.id.split("/")[0] for cell in paper.cells()).items()
    }
    assert counts == {
        "bcnn/t1": 24,
        "bcnn/t1box": 3,
        "bcnn/speed": 1,
        "bcnn/v1": 2,
        "bcnn/updated": 5,
        "where_to_focus/t2": 33,
        "where_to_focus/t3": 55,
        "keypoint_fcn/t1": 17,
        "keypoint_fcn/t2": 60,
        "keypoint_fcn/t3": 4,
        "tasn/paper": 2,
        "tasn/code": 2,
    }


def test_ids_are_unique_and_lead_back_to_the_table(papers):
    for paper in papers.values():
        ids = [cell.id for cell in paper.cells()]
        assert len(set(ids)) == len(ids)
        expected = [f"{t.id}/{r.id}/{c.id}" for t in paper.tables for r in t.rows for c in t.columns]
        assert ids == [name for name in expected if name in set(ids)]


def test_a_cell_carries_all_that_a_verdict_needs(cells):
    cell = cells["keypoint_fcn/t2/beak/a02"]
    assert (cell.paper, cell.table, cell.row, cell.column) == ("keypoint_fcn", "Table 2", "Beak", "\u03b1 = 0.02")
    assert (cell.data, cell.metric, cell.unit, cell.margin) == ("cub", "pck", "%", 1.0)
    assert cell.params == (("alpha", 0.02), ("part", "beak"))
    assert (cell.train, cell.test, cell.role) == (("parts",), (), "method")
    assert cell.recipe == "keypoint_fcn/localizer"
    assert cell.source.startswith("Keypoint FCN (arXiv 1511.07063), Table 2")


def test_versions_of_one_paper_stay_apart(cells):
    versions = {
        cells[name].version for name in ("bcnn/t1/bcnn_dm/birds", "bcnn/v1/bcnn/birds", "bcnn/updated/best/birds")
    }
    assert len(versions) == 3
    assert cells["tasn/code/r50_224/birds"].version != cells["tasn/paper/tasn_r50/birds"].version


def test_boxes_are_the_protocol_of_the_box_table_only(cells):
    for name, cell in cells.items():
        if name.startswith("bcnn/"):
            boxes = ("boxes",) if name.startswith("bcnn/t1box/") else ()
            assert (cell.train, cell.test) == (boxes, boxes)


# What must hold of any such numbers.


@pytest.mark.parametrize(("metric", "param"), [("cmc", "rank"), ("pck", "alpha")])
def test_rates_do_not_fall_with_a_looser_criterion(cells, metric, param):
    curves: dict[tuple, list[tuple[float, float]]] = {}
    for cell in cells.values():
        if cell.metric == metric:
            params = dict(cell.params)
            at = params.pop(param)
            curves.setdefault((cell.paper, cell.row, cell.data, *params.items()), []).append((at, cell.value))
    assert len(curves) > 10
    for curve in curves.values():
        values = [value for _, value in sorted(curve)]
        assert values == sorted(values)


def test_values_and_margins_are_possible(cells):
    for cell in cells.values():
        assert 0 < cell.value <= (100 if cell.unit == "%" else 1000)
        wanted = {"accuracy": 0.5, "fps": 0.1 * cell.value}.get(cell.metric, 1.0)
        assert cell.margin == pytest.approx(wanted)


def test_recipes_are_known_and_rivals_have_none(cells, papers):
    for cell in cells.values():
        assert cell.recipe in RECIPES | {""}
        if cell.role == "context":
            assert not cell.recipe
        if cell.role == "baseline":
            assert cell.recipe
    assert {recipe for paper in papers.values() for claim in paper.claims for recipe in claim.order} <= RECIPES


def test_claims_agree_with_the_printed_numbers(cells, papers):
    for paper in papers.values():
        for claim in paper.claims:
            values = []
            for recipe in claim.order:
                found = {
                    cell.value
                    for cell in cells.values()
                    if (cell.recipe, cell.data, cell.metric) == (recipe, claim.data, claim.metric)
                }
                assert len(found) == 1
                values.append(found.pop())
            assert values == sorted(values, reverse=True)


def test_baselines_of_where_to_focus_repeat_those_of_bcnn(cells):
    for name, cell in cells.items():
        if name.startswith("where_to_focus/t2/") and cell.role == "baseline" and "spp" not in name:
            assert cells[name.replace("where_to_focus/t2", "bcnn/t1")].value == cell.value


@pytest.mark.parametrize(
    ("paper", "value"), [("bcnn", 52.7), ("bcnn", 61.1), ("bcnn", 71.3), ("bcnn", 77.5), ("tasn", 86.1)]
)
def test_unconfirmed_numbers_are_no_cells(papers, paper, value):
    assert value not in {cell.value for cell in papers[paper].cells()}


def test_numbers_over_divisions_of_the_authors_own_say_of_how_many(cells):
    draws = {(cell.data, cell.draws) for cell in cells.values()}
    assert {("viper", 10), ("cuhk03", 10), ("market1501", 0), ("cub", 0)} <= draws
    assert len(draws) == len({data for data, _ in draws})


def test_sources_are_public_names(papers):
    for paper in papers.values():
        for sentence in paper.sources.values():
            assert not re.search(r"/work|/home|\[[A-Z]\d*\]|\bS00\d\b|\.txt\b", sentence)


def test_every_paper_says_what_it_leaves_open(papers):
    for name in papers:
        text = (reproductions_root() / name / "README.md").read_text(encoding="utf-8")
        assert text.startswith("# ")


# Mistakes in a file.


def test_the_minimal_paper_loads(tmp_path):
    ours, rank, theirs = load(tmp_path).cells()
    assert (ours.id, ours.value, ours.version, ours.source) == ("t1/ours/birds", 84.1, "v1", "The page that was read.")
    assert (rank.id, rank.params, rank.margin) == ("t1/ours/rank", (("rank", 1),), 1.0)
    assert (theirs.id, theirs.role) == ("t1/theirs/birds", "context")


def test_a_row_overrides_version_margin_source_and_params(tmp_path):
    root = write(
        tmp_path,
        MINIMAL.replace("[sources]", '[sources]\nother = "Another page."').replace(
            "values = [84.1, 50.0]",
            'values = ["-", 50]\nversion = "v2"\nmargin = 2\nsource = "other"\nparams = { rank = 5 }\nnote = "Odd."',
        ),
    )
    cell = load_papers(root)["demo"].cells()[0]
    assert (cell.version, cell.margin, cell.source, cell.params) == ("v2", 2.0, "Another page.", (("rank", 5),))
    assert (cell.value, cell.note) == (50.0, "Odd.")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('venue = "', 'venu = "x"\nvenue = "', "unknown key 'venu'; did you mean 'venue'?"),
        ('caption = "', 'captoin = "', "unknown key 'tables.0.captoin'; did you mean 'caption'?"),
        ('caption = "Accuracies."', "", "'tables.0.caption': missing"),
        (
            'label = "R=1"',
            'label = "R=1"\nmargni = 1',
            "unknown key 'tables.0.columns.1.margni'; did you mean 'margin'?",
        ),
        (
            'label = "Ours"',
            'label = "Ours"\nrecipy = "a"',
            "unknown key 'tables.0.rows.0.recipy'; did you mean 'recipe'?",
        ),
        ('text = "', 'txet = "x"\ntext = "', "unknown key 'claims.0.txet'; did you mean 'text'?"),
    ],
)
def test_an_unknown_or_missing_key_is_named(tmp_path, old, new, told):
    assert message(tmp_path, old, new) == told


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("year = 2020", 'year = "2020"', "'year': Input should be a valid integer (got '2020')"),
        ("[84.1, 50.0]", '["84.1", 50.0]', "'tables.0.rows.0.values.0': neither a number nor '-' (got '84.1')"),
        ("[84.1, 50.0]", "[true, 50.0]", "'tables.0.rows.0.values.0': neither a number nor '-' (got True)"),
        ("[84.1, 50.0]", "84.1", "'tables.0.rows.0.values': Input should be a valid tuple (got 84.1)"),
        ("rank = 1 }", "rank = true }", "'tables.0.columns.1.params.rank': neither a number nor a word (got True)"),
        ("margin = 0.5", "margin = 0", "'tables.0.columns.0.margin': Input should be greater than 0 (got 0)"),
        ("margin = 0.5", "margin = -0.5", "'tables.0.columns.0.margin': Input should be greater than 0 (got -0.5)"),
        ("margin = 0.5", "margin = inf", "'tables.0.columns.0.margin': Input should be a finite number (got inf)"),
        ('"accuracy"', '"acuracy"', "'tables.0.columns.0.metric': Input should be 'accuracy', 'cmc', "),
        ('role = "method"', 'role = "rival"', "'tables.0.rows.0.role': Input should be 'method', 'baseline' or "),
        ('"method"', '"method"\ntrain = ["box"]', "'tables.0.rows.0.train.0': Input should be 'boxes' or 'parts'"),
        ('["demo/ours", "demo/base"]', '["demo/ours"]', "'claims.0.order': Tuple should have at least 2 items"),
    ],
)
def test_a_wrong_type_is_told(tmp_path, old, new, told):
    assert message(tmp_path, old, new).startswith(told)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('source = "page"', 'source = "pages"', "no source 'pages' in [sources]; did you mean 'page'?"),
        ('"method"', '"method"\nsource = "pgae"', "no source 'pgae' in [sources]; did you mean 'page'?"),
        ('ahead."\nsource = "page"', 'ahead."\nsource = "pag"', "no source 'pag' in [sources]; did you mean 'page'?"),
        ('id = "theirs"', 'id = "ours"', "more than one row of t1 is called 'ours'"),
        ('id = "rank"', 'id = "birds"', "more than one column of t1 is called 'birds'"),
        (
            '["demo/ours", "demo/base"]',
            '["a/b", "a/b"]',
            "more than one recipe in the order of claim order is called 'a/b'",
        ),
        ("[84.1, 50.0]", "[84.1]", "row 'ours' of t1 has 1 values for 2 columns"),
        ("[84.1, 50.0]", "[84.1, 50.0, 1]", "row 'ours' of t1 has 3 values for 2 columns"),
        ("[84.1, 50.0]", "[184.1, 50.0]", "t1/ours/birds: 184.1 % cannot be"),
        ("[84.1, 50.0]", "[-1, 50.0]", "t1/ours/birds: -1 % cannot be"),
        ("[84.1, 50.0]", "[nan, 50.0]", "t1/ours/birds: nan % cannot be"),
        ("rank = 1 }", "rnak = 1 }", "t1/ours/rank: cmc has no parameter 'rnak'; did you mean 'rank'?"),
        ("params = { rank = 1 }", "", "t1/ours/rank: cmc needs the parameter 'rank'"),
    ],
)
def test_a_contradiction_is_told(tmp_path, old, new, told):
    assert message(tmp_path, old, new) == told


def test_two_tables_or_claims_of_one_id(tmp_path):
    table = MINIMAL[MINIMAL.index("[[tables]]") : MINIMAL.index("[[claims]]")]
    claim = MINIMAL[MINIMAL.index("[[claims]]") :]
    assert message(tmp_path / "a", table, table + table) == "more than one table is called 't1'"
    assert message(tmp_path / "b", claim, claim + claim) == "more than one claim is called 'order'"


def test_values_beyond_a_hundred_need_another_unit(tmp_path):
    fast = MINIMAL.replace('"accuracy"\nunit = "%"', '"fps"\nunit = "frames/s"', 1).replace(
        "[84.1, 50.0]", "[184.1, 50.0]"
    )
    assert load_papers(write(tmp_path, fast))["demo"].cells()[0].value == 184.1


def test_a_syntax_error_names_file_and_line(tmp_path):
    assert re.search(r"line \d+", message(tmp_path, 'version = "v1"', "version = v1"))


def test_bytes_that_are_not_utf8_are_told(tmp_path):
    path = write(tmp_path, MINIMAL) / "demo" / "paper.toml"
    path.write_bytes(b'id = "\xff"')
    with pytest.raises(FgbenchError, match=r"paper\.toml: .*utf-8"):
        load_papers(tmp_path)


def test_the_id_is_the_folder(tmp_path):
    write(tmp_path, MINIMAL, folder="other")
    with pytest.raises(FgbenchError, match=r"paper\.toml: id 'demo' is not the folder's name 'other'$"):
        load_papers(tmp_path)


# Where papers are looked for.


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(write(tmp_path, MINIMAL)))
    assert reproductions_root() == tmp_path
    assert list(load_papers()) == ["demo"]


def test_a_folder_without_papers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(tmp_path))
    with pytest.raises(FgbenchError, match=re.escape(f"no papers under {tmp_path}")) as caught:
        reproductions_root()
    assert "FGBENCH_REPRODUCTIONS" in caught.value.hint


def test_an_installed_package_brings_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("FGBENCH_REPRODUCTIONS", raising=False)
    package = tmp_path / "fgbench"
    monkeypatch.setattr("fgbench.papers.__file__", str(package / "papers.py"))
    with pytest.raises(FgbenchError, match="no papers under"):
        reproductions_root()
    write(package / "_reproductions", MINIMAL)
    assert reproductions_root() == package / "_reproductions"
    write(tmp_path / "reproductions", MINIMAL)
    assert reproductions_root() == tmp_path / "reproductions"
