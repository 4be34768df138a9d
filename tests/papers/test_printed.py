"""The printed numbers, cell by cell."""

import re
from collections import Counter

import pytest

from fgbench.papers.printed import Cell, Paper, load_papers, reproductions_root

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
            *(
                "fc_cnn_m_box",
                "fc_cnn_d_box",
                "fv_cnn_m_box",
                "fv_cnn_d_box",
                "bcnn_mm_box",
                "bcnn_dm_box",
                "bcnn_dd_box",
            ),
            *("fc_cnn_m_no_ft", "fc_cnn_d_no_ft", "fv_cnn_m_no_ft", "fv_cnn_d_no_ft"),
            *("bcnn_mm_no_ft", "bcnn_dm_no_ft", "bcnn_dd_no_ft"),
            *("fv_sift_box", "fc_cnn_m_box_no_ft", "fc_cnn_d_box_no_ft", "fv_cnn_m_box_no_ft", "fv_cnn_d_box_no_ft"),
            *("bcnn_mm_box_no_ft", "bcnn_dm_box_no_ft", "bcnn_dd_box_no_ft"),
            *("bcnn_mm64", "bcnn_mm64_no_ft", "cbp_ts_dd", "cbp_rm_dd"),
            *("bcnn_dd_pytorch", "bcnn_dd_haomood_best_on_test", "bcnn_v1"),
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


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return load_papers()


@pytest.fixture(scope="module")
def cells(papers: dict[str, Paper]) -> dict[str, Cell]:
    return {f"{name}/{cell.id}": cell for name, paper in papers.items() for cell in paper.cells()}


# The first, a middle and the last cell of every table.


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("bcnn/t1/fv_sift/birds_no_ft", 18.8),
        ("bcnn/t1/fv_cnn_d/aircraft", 77.6),
        ("bcnn/t1/bcnn_mm/birds", 78.1),
        ("bcnn/t1/bcnn_dm/birds", 84.1),
        ("bcnn/t1/bcnn_dm/aircraft", 83.9),
        ("bcnn/t1/bcnn_dm/cars", 91.3),
        ("bcnn/t1/bcnn_dd/cars", 90.6),
        ("bcnn/t1/bcnn_mm/birds_box", 80.4),
        ("bcnn/t1/bcnn_dm/birds_box", 85.1),
        ("bcnn/t1/bcnn_dd/birds_box", 84.8),
        ("bcnn/t1/bcnn_dm/fps", 8),
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
        "bcnn/t1": 81,
        "bcnn/low_dims": 4,
        "bcnn/compact": 9,
        "bcnn/v1": 2,
        "bcnn/updated": 5,
        "bcnn/pytorch": 4,
        "where_to_focus/t2": 33,
        "where_to_focus/t3": 55,
        "keypoint_fcn/t1": 17,
        "keypoint_fcn/t2": 60,
        "keypoint_fcn/t3": 4,
        "tasn/paper": 2,
        "tasn/code": 2,
    }


def test_ids_are_unique_and_in_the_order_of_the_tables(papers):
    for paper in papers.values():
        ids = [cell.id for cell in paper.cells()]
        assert len(set(ids)) == len(ids)
        expected = [f"{t.id}/{r.id}/{c.id}" for t in paper.tables for r in t.rows for c in t.columns]
        assert ids == [name for name in expected if name in set(ids)]


def test_a_cell_has_all_fields(cells):
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


def test_only_columns_with_boxes_use_boxes(cells):
    for name, cell in cells.items():
        if name.startswith("bcnn/"):
            boxes = ("boxes",) if "/birds_box" in name else ()
            assert (cell.train, cell.test) == (boxes, boxes)


# Properties of all printed numbers.


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
        if cell.metric == "accuracy":
            assert 0.3 < cell.margin < 1.1
        else:
            assert cell.margin == pytest.approx(0.1 * cell.value if cell.metric == "fps" else 1.0)


def test_recipes_are_known_and_context_rows_have_none(cells, papers):
    for cell in cells.values():
        assert cell.recipe in RECIPES | {""}
        if cell.role == "context" and not cell.cites:
            assert not cell.recipe
        if cell.role == "baseline":
            assert cell.recipe
    assert {recipe for paper in papers.values() for claim in paper.claims for recipe in claim.order} <= RECIPES


def test_claims_agree_with_the_printed_numbers(cells, papers):
    for paper in papers.values():
        for claim in paper.claims:
            values = []
            for recipe in claim.order:
                printed = {
                    cell.value
                    for cell in cells.values()
                    if (cell.recipe, cell.data, cell.metric) == (recipe, claim.data, claim.metric)
                }
                assert len(printed) == 1
                values.append(printed.pop())
            assert values == sorted(values, reverse=True)


def test_baselines_of_where_to_focus_repeat_those_of_bcnn(cells):
    for name, cell in cells.items():
        if name.startswith("where_to_focus/t2/") and cell.role == "baseline" and "spp" not in name:
            tuned = "_no_ft" if "fv_sift" in name else ""
            assert cell.cites == name.replace("where_to_focus/t2", "bcnn/t1") + tuned
            assert cells[cell.cites].value == cell.value


@pytest.mark.parametrize(("paper", "value"), [("tasn", 86.1)])
def test_unconfirmed_numbers_are_not_cells(papers, paper, value):
    assert value not in {cell.value for cell in papers[paper].cells()}


def test_averages_over_random_splits_give_the_number_of_splits(cells):
    draws = {(cell.data, cell.draws) for cell in cells.values()}
    assert {("viper", 10), ("cuhk03", 10), ("market1501", 0), ("cub", 0)} <= draws
    assert len(draws) == len({data for data, _ in draws})


def test_sources_are_public_names(papers):
    for paper in papers.values():
        for sentence in paper.sources.values():
            assert not re.search(r"/work|/home|\[[A-Z]\d*\]|\bS00\d\b|\.txt\b", sentence)


def test_every_paper_has_a_readme(papers):
    for name in papers:
        text = (reproductions_root() / name / "README.md").read_text(encoding="utf-8")
        assert text.startswith("# ")
