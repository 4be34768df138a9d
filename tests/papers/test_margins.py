"""Margins that are derived from re-implementations."""

import math
import tomllib

import pytest
from pydantic import ValidationError

from fgbench.papers.margins import DerivedMargin, difficulty
from fgbench.papers.printed import load_papers, reproductions_root

FILE = reproductions_root() / "bcnn" / "paper.toml"


def margin(differences, *, share=0.8, left_out=(), printed=84.0):
    """Return a margin from re-implementations with these differences; those of `left_out` do not count."""
    rows = [{"name": "a", "printed": printed, "measured": printed + d, "source": "b"} for d in differences]
    rows += [{"name": "a", "printed": 84.0, "measured": 84.0 + d, "source": "b", "left_out": "an issue report"}
             for d in left_out]  # fmt: skip
    fields = {"data": "cub", "metric": "accuracy", "share": share, "reference": 84.0, "derived": "today"}
    return DerivedMargin.model_validate(fields | {"reimplementations": rows})


def test_the_margin_of_the_papers_is_the_nineteenth_of_their_23_differences():
    with FILE.open("rb") as file:
        table = tomllib.load(file)["margins"]["accuracy"]
    rows = [row for row in table["reimplementations"] if not row.get("left_out")]
    spread = {p: math.sqrt(p * (100 - p)) for p in {row["printed"] for row in rows} | {84.0, 18.8, 91.3}}
    differences = sorted(abs(r["measured"] - r["printed"]) * spread[84.0] / spread[r["printed"]] for r in rows)
    assert len(differences) == 23
    cells = {f"{paper.id}/{cell.id}": cell for paper in load_papers().values() for cell in paper.cells()}
    for name, value, text in (
        ("bcnn/t1/bcnn_dd/birds", 84.0, "0.77"),
        ("bcnn/t1/fv_sift/birds_no_ft", 18.8, "0.82"),
        ("bcnn/t1/bcnn_dm/cars", 91.3, "0.59"),
    ):
        exact = differences[18] * spread[value] / spread[84.0]
        assert exact <= cells[name].margin < exact + 0.01
        assert f"{cells[name].margin}" == text
        # The text of the README.
        assert f"{text} at {value} %" in " ".join((FILE.parent / "README.md").read_text(encoding="utf-8").split())


def test_the_whole_list_of_hawkeye_is_there_and_nothing_is_left_out_for_its_difference():
    rows = load_papers()["bcnn"].margins["accuracy"].reimplementations
    hawkeye = [row for row in rows if row.name.startswith("Hawkeye, ")]
    assert len(hawkeye) == 16
    assert sum(abs(row.measured - row.printed) < 0.5 for row in hawkeye) == 6
    assert {row.left_out for row in hawkeye} == {"", "another input size"}
    assert max(hawkeye, key=lambda row: abs(row.measured - row.printed)).left_out == ""


@pytest.mark.parametrize(
    ("count", "share", "position"), [(10, 0.8, 8), (11, 0.8, 9), (23, 0.8, 19), (15, 0.8, 12), (10, 1.0, 10)]
)
def test_the_half_width_is_the_order_statistic_that_holds_the_share(count, share, position):
    differences = [(k + 1) / 10 * (-1) ** k for k in range(count)]
    half_width = margin(differences, share=share, left_out=(15.0,)).half_width
    assert half_width == pytest.approx(position / 10)
    assert sum(abs(d) <= half_width + 1e-9 for d in differences) >= share * count
    assert sum(abs(d) < half_width - 1e-9 for d in differences) < share * count


def test_one_odd_experiment_has_no_large_effect():
    plain = [k / 10 for k in range(1, 11)]
    assert margin([*plain[:-1], 15.0]).half_width == pytest.approx(margin(plain).half_width)


def test_differences_and_margins_follow_the_difficulty():
    rule = margin([0.17] * 10)
    assert rule.at(84.0) == 0.17
    assert rule.at(50.0) == math.ceil(17 * 50 / difficulty(84.0)) / 100
    assert rule.at(16.0) == rule.at(84.0) > rule.at(97.0) > 0
    # The same difference near 100 % is a larger one at 84 %.
    easy = margin([0.17] * 10, printed=97.0)
    assert easy.half_width == pytest.approx(0.17 * difficulty(84.0) / difficulty(97.0))
    assert easy.at(97.0) == 0.17


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ([0.1] * 9, "a margin is derived from at least 10 re-implementations, not 9"),
        ([0.0] * 8 + [0.1] * 2, "80% of the re-implementations equal the printed numbers: the margin is 0"),
    ],
)
def test_a_list_that_gives_no_margin_is_an_error(differences, message):
    with pytest.raises(ValidationError, match=message):
        margin(differences, left_out=(1.0,))


def test_only_accuracies_have_a_derived_margin():
    for paper in load_papers().values():
        for cell in paper.cells():
            assert (cell.margin_from == "bcnn/accuracy") == (cell.metric == "accuracy")
