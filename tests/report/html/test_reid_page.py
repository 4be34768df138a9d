import numpy as np
import pytest
from made_records import made
from report_pages import Parsed
from scipy import stats

from fgbench.records.record import by_identity
from fgbench.report.html.reid_page import COLUMNS, reid_pages


def reid_run(seed, first, recipe="where_to_focus/spatial_lstm_dm@viper", **fields):
    rates = {"cmc@1": first, "cmc@5": first + 20, "cmc@50": 99.0, "map/step": first / 2, "map/trapezoid": first / 2 - 1,
             "minp": 9.0}  # fmt: skip
    values = {name: {"value": rate, "unit": "%", "n": 10} for name, rate in rates.items()}
    protocol = {"metrics": [["same camera", "removed"]], **fields.pop("protocol", {})}
    return made(recipe, seed, values=values, data="viper", protocol=protocol, **fields)


def tables(*records, pictures=None):
    (page,) = reid_pages(by_identity(records), pictures or {})
    return page.context["tables"]


def test_without_re_identification_there_is_no_page():
    assert reid_pages([], {}) == []


def test_the_curve_has_every_rank_of_every_run_and_their_mean():
    (table,) = tables(reid_run(0, 50.0), reid_run(1, 60.0), reid_run(0, 30.0, "where_to_focus/bcnn_dm@viper"))
    cmc, precisions = table.charts
    assert cmc.rows == (
        ("B-CNN [D,M]", 1, 30, 30, 30), ("B-CNN [D,M]", 5, 50, 50, 50), ("B-CNN [D,M]", 50, 99, 99, 99),
        ("Where to Focus [D,M]", 1, 55, 50, 60), ("Where to Focus [D,M]", 5, 75, 70, 80),
        ("Where to Focus [D,M]", 50, 99, 99, 99),
    )  # fmt: skip
    assert len(cmc.spec["datasets"]["rows0"]) == 9
    (steps,) = [row for row in precisions.rows if row[:2] == ("Where to Focus [D,M]", "mAP by steps")]
    half = stats.t.ppf(0.975, 1) * np.std([25, 30], ddof=1) / 2**0.5
    assert steps[2:] == pytest.approx((27.5, max(0, 27.5 - half), 27.5 + half), abs=1e-3)
    assert ("B-CNN [D,M]", "mINP", 9, 9, 9) in precisions.rows
    assert len(precisions.rows) == 6


def test_the_table_has_mean_and_interval_of_every_definition():
    (table,) = tables(reid_run(0, 50.0), reid_run(1, 60.0))
    (row,) = table.rows
    values = dict(zip(COLUMNS, row.values, strict=True))
    assert [values[name][0] for name in ("cmc@1", "map/step", "cmc@10")] == [55, 27.5, None]
    assert values["cmc@1"][1].ends == (0.0, 100.0)
    assert values["cmc@1"][1].about == values["map/step"][1].about != values["cmc@10"][1].about
    assert table.rules == (("same camera", "removed"),)


def test_a_mean_counts_each_split_once():
    drawn = [("1", 50.0), ("1", 54.0), ("2", 60.0)]
    runs = [reid_run(seed, first, split=split) for seed, (split, first) in enumerate(drawn)]
    (table,) = tables(*runs)
    mean, shown = table.rows[0].values[0]
    assert (mean, shown.about) == (56.0, "95 % over 2 splits")


def test_each_protocol_has_a_table():
    other = reid_run(0, 90.0, protocol={"metrics": [["same camera", "kept"]]})
    by_protocol = tables(reid_run(0, 50.0), other)
    assert [len(table.rows) for table in by_protocol] == [1, 1]
    assert {table.rules[0][1] for table in by_protocol} == {"removed", "kept"}
    assert [len(table.charts[0].rows) for table in by_protocol] == [3, 3]


def test_galleries_and_rules_are_on_the_page(tmp_path):
    from fgbench.report.html.render import render

    record = reid_run(0, 50.0)
    render({}, {}, [], [record], tmp_path, {record.run_id: {"searches": b"x", "attention": b"y"}})
    parsed = Parsed((tmp_path / "reid.html").read_text())
    assert (parsed.wrong, parsed.stack) == ([], [])
    assert [a["alt"] for tag, a in parsed.tags if tag == "img"] == ["queries and the first images of the gallery"]
    assert "same camera removed" in parsed.text
    assert "50.0" in parsed.text
    method = Parsed((tmp_path / "method-spatial_lstm.html").read_text())
    assert [a["alt"] for tag, a in method.tags if tag == "img"] == ["attention, eight test images"]
    assert "reid.html" in [a.get("href") for _, a in method.tags]
