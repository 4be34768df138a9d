"""Descriptors and distances of a person search, against the arrays that a run of fgbench keeps."""

import numpy as np
import pandas as pd
import pytest
from reid_folders import MARKET, market, viper

import fgbench
from fgbench.datasets import find
from fgbench.metrics.distances import distances
from fgbench.metrics.person_search import chosen_splits, search_arrays, searched_rows
from fgbench.metrics.search_rules import SearchRules
from fgbench.util.errors import FgbenchError

CELL = "where_to_focus/t3/ours_dm/market_map"
QUERY = [f"query/{name}" for name in MARKET["query"]]
GALLERY = [f"bounding_box_test/{name}" for name in MARKET["bounding_box_test"] if not name.startswith("-1")]
JUNK = [f"bounding_box_test/{name}" for name in MARKET["bounding_box_test"] if name.startswith("-1")]
FEATURES = np.random.default_rng(0).normal(size=(len(QUERY) + len(GALLERY), 5)).astype(np.float32)
NAMED = {"image": QUERY + GALLERY, "features": FEATURES}
TABLE = pd.DataFrame(FEATURES, columns=list("abcde")).assign(image=QUERY + GALLERY)
MATRIX = distances(FEATURES, np.arange(3), np.arange(3, 9), "cosine")
BY_NAME = {"distances": MATRIX, "query": QUERY, "gallery": GALLERY}
PERSONS = {
    "query_ids": [1, 1, 3], "query_cameras": [1, 2, 4], "gallery_ids": [0, 1, 1, 1, 3, 3],
    "gallery_cameras": [1, 1, 2, 3, 1, 4],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _persons(tmp_path, monkeypatch):
    market(tmp_path / "Market-1501-v15.09.15")
    viper(tmp_path / "VIPeR")
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))


def test_every_form_gives_the_arrays_of_a_run(tmp_path):
    index, rules = find("market1501").index(), SearchRules(metric="cosine")
    expected = search_arrays(FEATURES, index, index.splits, rules, seed=0)
    order = np.random.default_rng(1).permutation(9)
    forms = {
        "features": NAMED,
        "shuffled, with junk": {
            "image": [NAMED["image"][k] for k in order] + JUNK,
            "features": np.vstack([FEATURES[order], np.ones((2, 5))]),
        },
        "table": TABLE,
        "distances by name": BY_NAME,
        "distances by person": {"distances": MATRIX, **PERSONS},
        "columns in another order": {
            "distances": MATRIX[:, ::-1], **PERSONS, "gallery_ids": PERSONS["gallery_ids"][::-1],
            "gallery_cameras": PERSONS["gallery_cameras"][::-1],
        },
    }  # fmt: skip
    for name, form in forms.items():
        verdict = fgbench.judge(form, cell=CELL, results=tmp_path / "runs")
        kept = fgbench.outputs(tmp_path / "runs", verdict.records[0].run_id)
        assert list(kept) == list(expected), name
        for array, values in expected.items():
            np.testing.assert_array_equal(kept[array], values, err_msg=f"{name}: {array}")


def test_each_file_of_a_data_set_with_several_splits_is_one_split():
    index, rules = find("viper").index(), SearchRules(metric="cosine", splits=10)
    files = []
    for seed in range(3):
        rows = searched_rows(chosen_splits(index, rules, seed))
        files.append({"image": [index.files[row] for row in rows], "features": np.eye(len(rows))[:, :5] + 0.1})
    verdict = fgbench.judge(files, cell="where_to_focus/t3/ours_dm/viper_r1")
    assert [record.split for record in verdict.records] == ["1a, 1b", "2a, 2b", "3a, 3b"]
    with pytest.raises(FgbenchError, match="not among the query and gallery images of split 1"):
        fgbench.judge(files[1], cell="where_to_focus/t3/ours_dm/viper_r1")
    with pytest.raises(FgbenchError, match="distances answer one direction, split 1 has 2"):
        fgbench.judge(BY_NAME, cell="where_to_focus/t3/ours_dm/viper_r1")


FAULTS = {
    "missing": (TABLE.iloc[1:], f"1 of 9 images missing: '{QUERY[0]}'"),
    "double": (pd.concat([TABLE, TABLE.iloc[:1]]), f"1 image given more than once: '{QUERY[0]}'"),
    "unknown": (TABLE.replace(QUERY[0], "no.jpg"), "1 image not in market1501: 'no.jpg'"),
    "training image": (TABLE.replace(QUERY[0], MARKET["bounding_box_train"][0]), "1 image not among the query and"),
    "ids": (TABLE.assign(id=range(9)).drop(columns="image"), "the images of market1501 have no ids"),
    "labels": (pd.DataFrame({"image": QUERY, "label": 1}), "it has no descriptors"),
    "features that are not finite": (TABLE.assign(a=np.nan), "features of 9 images not finite: '.*' and 6 more"),
    "features of another length": (NAMED | {"features": FEATURES[:3]}, "not one row for each image"),
    "array without names": (FEATURES, "without names answers no search cell"),
    "query alone": ({"distances": MATRIX, "query": QUERY}, "but no gallery"),
    "no names": ({"distances": MATRIX}, "but no query_ids"),
    "query missing": (BY_NAME | {"query": QUERY[1:]}, "1 of 3 query images missing"),
    "gallery double": (BY_NAME | {"gallery": [*GALLERY[1:], GALLERY[1]]}, "1 gallery image given more than once"),
    "another shape": (BY_NAME | {"distances": MATRIX.T}, r"distances has the shape \(6, 3\), not 3 query by 6 gallery"),
    "distances that are not finite": (BY_NAME | {"distances": MATRIX * np.inf}, "distances? not finite"),
    "another person": (
        {"distances": MATRIX, **PERSONS, "query_ids": [1, 1, 4]},
        "another number of query images than in the data set: 'person 3, camera 4: 0 instead of 1', 'person 4, ",
    ),
    "real persons": ({"distances": MATRIX, **PERSONS, "query_ids": [1.0, 1, 3]}, "are not whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(source, message):
    with pytest.raises(FgbenchError, match=message):
        fgbench.judge(source, cell=CELL)
