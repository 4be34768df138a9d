"""Claims on speeds are judged on the device of the paper, and shown as a ratio on others."""

import pytest
from bench_file import frames

from fgbench.judge.claims import ClaimResult
from fgbench.judge.run_pairs import ClaimState
from fgbench.judge.speed_claims import with_speed_claims
from fgbench.papers.printed import load_papers
from fgbench.speed.bench_rows import FramesRow

(CLAIM,) = [claim for claim in load_papers()["bcnn"].claims if claim.id == "d_net_slower"]
K40 = "NVIDIA Tesla K40c"


def row(recipe, fps, device="Some CPU", **fields):
    quartiles = {"frames_per_s": fps, "frames_per_s_low": 0.9 * fps, "frames_per_s_high": 1.1 * fps}
    return FramesRow.model_validate(
        frames(recipe.rpartition("/")[2], recipe=recipe, device=device, **{**quartiles, **fields})["extra_info"]
    )


def result(*rows):
    (found,) = with_speed_claims([ClaimResult(CLAIM, ClaimState.NOT_RUN, "")], rows)
    return found


def test_a_ratio_on_another_device_is_shown():
    found = result(row("bcnn/bcnn_mm", 40.0), row("bcnn/bcnn_dd@cub", 8.0))
    assert found.state == ClaimState.NOT_COMPARABLE
    assert found.text == "on Some CPU, bcnn_mm is 5.0 times as fast as bcnn_dd@cub (40 and 8 frames/s)"


@pytest.mark.parametrize(
    ("slow", "state"),
    [(18.0, ClaimState.HOLDS), (120.0, ClaimState.UNDECIDED), (300.0, ClaimState.CONTRADICTED)],
)
def test_the_order_is_judged_on_the_device_of_the_paper(slow, state):
    others = row("bcnn/bcnn_mm", 1.0), row("bcnn/bcnn_dd", 2.0)
    found = result(*others, row("bcnn/bcnn_mm", 124.0, K40), row("bcnn/bcnn_dd", slow, K40))
    assert found.state == state
    assert found.text.startswith(f"on {K40}, ")


@pytest.mark.parametrize("fields", [{"steady": False}, {"decode": True}, {"dtype": "bf16"}, {"compiled": "default"}])
def test_other_measurements_do_not_count(fields):
    found = result(row("bcnn/bcnn_mm", 40.0), row("bcnn/bcnn_dd", 8.0, **fields))
    assert found.state == ClaimState.NOT_RUN
    assert "fgbench speed bcnn/bcnn_mm bcnn/bcnn_dd --data cub" in found.text


def test_the_fastest_measurement_of_each_recipe_counts():
    rows = [row("bcnn/bcnn_mm", fps) for fps in (20.0, 40.0, 30.0)] + [row("bcnn/bcnn_dd", fps) for fps in (4.0, 5.0)]
    assert "is 8.0 times as fast as" in result(*rows).text


def test_speeds_of_two_devices_are_not_compared():
    assert result(row("bcnn/bcnn_mm", 40.0), row("bcnn/bcnn_dd", 8.0, K40)).state == ClaimState.NOT_RUN
