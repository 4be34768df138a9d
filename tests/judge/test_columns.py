from made_records import RECIPES, deviation, made, of_accuracy

from fgbench.judge.columns import judge_papers, one_protocol_per_column
from fgbench.judge.protocol_diff import hash_without, may_share_column, protocol_difference
from fgbench.judge.verdict import Outcome
from fgbench.papers.printed import load_papers
from fgbench.util.hashing import hash_value

PAPERS = load_papers()
BCNN = {"bcnn": PAPERS["bcnn"]}
TABLE1 = {"keypoint_fcn": PAPERS["keypoint_fcn"]}


def verdicts(records, papers=BCNN):
    (found,) = judge_papers(papers, records, {}, RECIPES).values()
    return {v.cell.id: v for v in found}


def test_a_column_shows_numbers_of_one_protocol():
    found = verdicts([of_accuracy(84.0), of_accuracy(74.0, recipe="bcnn/fv_cnn_d@cub")])
    assert found["t1/bcnn_dd/birds"].mean == 84.0
    assert found["t1/fv_cnn_d/birds"].mean == 74.0


def test_two_protocols_never_share_a_column():
    synthetic = {"data": "synthetic_birds", "classes": 20}
    records = [
        of_accuracy(84.0),
        of_accuracy(84.0, 1),
        of_accuracy(99.0, recipe="bcnn/fv_cnn_d@cub", synthetic=True, protocol=synthetic),
        of_accuracy(98.0, recipe="bcnn/fc_cnn_d@cub", protocol={"images": "recompressed"}),
    ]
    found = verdicts(records)
    assert found["t1/bcnn_dd/birds"].mean == 84.0
    for name, rows in (
        ("fv_cnn_d", (("data", ("cub", "synthetic_birds")), ("classes", ("200", "20")))),
        ("fc_cnn_d", (("images", ("i", "recompressed")),)),
    ):
        verdict = found[f"t1/{name}/birds"]
        assert verdict.outcome == Outcome.NOT_COMPARABLE
        assert verdict.mean is verdict.spread is verdict.sampling is verdict.decision is None
        assert verdict.protocols.rows == rows
        assert "another protocol than the column" in verdict.reason
        assert len(verdict.records) == 1
    shown = [v.records[0] for v in found.values() if v.mean is not None]
    assert all(may_share_column(a, b) for a in shown for b in shown)


def test_the_closest_protocol_leads_a_column_then_the_most_frequent():
    def birds(*records):
        return {v.cell.id.split("/")[1] for v in verdicts(records).values() if v.mean is not None}

    frozen = {"protocol": {"classes": 20}, "deviations": [deviation("data.classes")]}
    many = [of_accuracy(90.0, recipe=f"bcnn/{name}@cub", **frozen) for name in ("fv_cnn_d", "fc_cnn_d", "bcnn_mm")]
    assert birds(*many) == {"fv_cnn_d", "fc_cnn_d", "bcnn_mm"}
    assert birds(*many, of_accuracy(84.0)) == {"bcnn_dd"}
    two = [of_accuracy(80.0, recipe=f"bcnn/{name}@cub", protocol={"images": "x"}) for name in ("fv_cnn_d", "fc_cnn_d")]
    assert birds(*two, of_accuracy(84.0, protocol={"images": "a"})) == {"fv_cnn_d", "fc_cnn_d"}
    assert birds(*two, of_accuracy(84.0, protocol={"images": "z"})) == {"fv_cnn_d", "fc_cnn_d"}


def test_a_column_of_two_equally_good_protocols_has_no_number():
    one, two = of_accuracy(84.0), of_accuracy(75.0, recipe="bcnn/fv_cnn_d@cub", protocol={"images": "others"})
    found = verdicts([one, two])
    for name, rows in (("bcnn_dd", ("others", "i")), ("fv_cnn_d", ("i", "others"))):
        verdict = found[f"t1/{name}/birds"]
        assert (verdict.outcome, verdict.mean) == (Outcome.NOT_COMPARABLE, None)
        assert verdict.protocols.rows == (("images", rows),)
        assert "none is closer to the printed conditions" in verdict.reason
    more = verdicts([one, two, of_accuracy(84.1, 1)])
    assert (more["t1/bcnn_dd/birds"].mean, more["t1/fv_cnn_d/birds"].mean) == (84.05, None)


def test_each_column_and_table_has_its_own_protocol():
    boxes = {"train_sees": ["boxes"], "test_sees": ["boxes"], "images": "others"}
    found = verdicts([of_accuracy(84.0), of_accuracy(84.8, recipe="bcnn/bcnn_dd_box@cub", protocol=boxes)])
    assert found["t1/bcnn_dd/birds"].mean == 84.0
    assert found["t1/bcnn_dd/birds_box"].mean == 84.8


def test_rows_may_differ_in_their_annotations_only():
    own = made("keypoint_fcn/fc7_ft@cub", values={"accuracy": {"value": 70.0, "unit": "%", "n": 5794}})
    seen = of_accuracy(74.0, recipe="keypoint_fcn/fc7_model@cub", protocol={"train_sees": ["parts"]})
    other = of_accuracy(74.0, recipe="keypoint_fcn/fc7_model@cub", protocol={"train_sees": ["parts"], "images": "x"})
    assert may_share_column(own, seen)
    assert not may_share_column(own, other)
    assert sum(v.mean is not None for v in verdicts([own, seen], TABLE1).values()) == 2
    assert sum(v.mean is not None for v in verdicts([own, other], TABLE1).values()) == 0


def test_a_different_hash_is_a_different_protocol():
    """Another version of fgbench may add fields to the protocol."""
    one, two = of_accuracy(84.0), of_accuracy(84.0, 1, protocol_hash="another")
    assert not may_share_column(one, two)
    between = protocol_difference([[one], [two]])
    assert between.rows == (("hash", (one.protocol_hash, "another")),)


def test_a_difference_lists_each_field():
    one = of_accuracy(84.0, protocol={"metrics": [["accuracy", "top-1"], ["ties", "mean"]], "train_sees": ["boxes"]})
    two = of_accuracy(84.0, 1, protocol={"metrics": [["accuracy", "top-5"]]})
    three = of_accuracy(85.0, 2, title="Third", profile="frozen", protocol={"metrics": [["accuracy", "top-1"]]})
    between = protocol_difference([[one], [two], [three]])
    assert between.rows == (
        ("train_sees", ("boxes", "none", "none")),
        ("definition of accuracy", ("top-1", "top-5", "top-1")),
        ("definition of ties", ("mean", "not given", "not given")),
    )
    assert between.heads[2] == f"{three.protocol_hash}: 1 run, Third (frozen)"
    assert str(between).startswith("train_sees: boxes or none; definition of accuracy: top-1 or top-5")


def test_a_hash_without_some_fields():
    one, two = of_accuracy(84.0), of_accuracy(84.0, protocol={"train_sees": ["parts"]})
    assert hash_without(one, ["train_sees"]) == hash_without(two, ["train_sees"])
    assert hash_without(one, ["test_sees"]) != hash_without(two, ["test_sees"])
    assert hash_without(one, []) == one.protocol_hash == hash_value(one.protocol)


def test_judging_columns_twice_changes_nothing():
    records = [of_accuracy(84.0), of_accuracy(98.0, recipe="bcnn/fc_cnn_d@cub", protocol={"images": "x"})]
    found = judge_papers(BCNN, records, {}, RECIPES)["bcnn"]
    assert one_protocol_per_column(found) == found
