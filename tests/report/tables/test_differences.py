import numpy as np
import pytest
from made_records import Kept, deviation, of_right, untrained
from recompressed_runs import KEY, settings_at
from scipy.stats import binomtest

from fgbench.papers.recipes import load_recipes
from fgbench.report.formatting import NONE
from fgbench.report.tables.differences import DIFFERENCES, difference_frame, difference_sheet
from fgbench.statistics import holm

RECIPES = load_recipes()
N = 400


def run(recipe, right, seed=0, **fields):
    """Return a run whose values depend on its seed if its recipe has stages of training."""
    record, arrays = of_right(np.arange(N) % 100 < right, recipe, seed, title=recipe.partition("@")[0], **fields)
    noise = np.random.default_rng(seed).uniform(0, 0.1, arrays["scores"].shape)  # no two seeds are copies
    return record, arrays | {"scores": arrays["scores"] + noise}


def fixed(name, right, **settings):
    """Return a run without random numbers, with some other settings."""
    key = f"bcnn/{name}@cub"
    return run(key, right, settings=untrained(key).settings.model_dump(mode="json") | settings)


def table(*pairs):
    kept = Kept(*pairs)
    return difference_frame(kept.records, kept, RECIPES)


def test_each_run_is_held_against_the_next_best_image_by_image():
    right = {"fc_cnn_m": 71, "bcnn_dd": 73, "bcnn_mm": 70, "fc_cnn_d": 30}
    frame = table(*(fixed(name, percent) for name, percent in right.items()))
    assert frame.better.tolist() == [f"bcnn/{name}, paper" for name in ("bcnn_dd", "fc_cnn_m", "bcnn_mm")]
    assert frame.worse.tolist() == [f"bcnn/{name}, paper" for name in ("fc_cnn_m", "bcnn_mm", "fc_cnn_d")]
    assert frame.difference.tolist() == pytest.approx([2, 1, 40])
    # All images that one side alone has right are the better one's: McNemar's exact test on 4 per point.
    plain = [binomtest(0, 4 * points).pvalue for points in (2, 1, 40)]
    assert frame.p.tolist() == pytest.approx(holm(plain))
    assert (frame.low < frame.difference).all()
    assert (frame.high > frame.difference).all()
    assert frame.samples.tolist() == [N] * 3


def test_seeds_are_one_side_and_controls_and_other_protocols_are_none():
    frame = table(
        *(run("bcnn/bcnn_dd@cub", 80 + seed, seed) for seed in range(3)),
        run("bcnn/fv_cnn_d@cub", 60),
        run("bcnn/fv_cnn_d@cub", 5, protocol={"control": "shuffled training labels"}),
        run("bcnn/fv_cnn_d@cub", 6, deviations=[deviation("control").model_dump()]),
        run("bcnn/fv_sift@cub", 50, protocol={"train_images": 10}),
    )
    assert len(frame) == 1
    assert frame.better[0] == "bcnn/bcnn_dd, paper, 3 seeds"
    assert frame.difference[0] == pytest.approx(21)
    assert len(frame.better_runs[0].split(", ")) == 3


def test_another_network_than_the_recipe_s_is_held_against_itself_alone():
    def on(recipe, right, *streams):
        record, arrays = run(f"bcnn/{recipe}@cub", right)
        settings = {**record.settings, "backbones": streams}
        return record.model_copy(update={"settings": settings, "run_id": f"{right:016x}"}), arrays

    small, pooled = "squeezenet1_1:features", "vgg16:pool"
    frame = table(
        run("bcnn/bcnn_dd@cub", 84), on("bcnn_dd", 82, small, small), run("bcnn/fv_cnn_d@cub", 71),
        on("fv_cnn_d", 62, small), on("fc_cnn_d", 50, pooled), run("bcnn/fv_sift@cub", 18),
    )  # fmt: skip
    assert [round(difference) for difference in frame.difference] == [13, 21, 32, 20]


def test_runs_of_recipes_and_profiles_that_are_no_more_are_compared_all_the_same():
    kept = Kept(run("bcnn/bcnn_dd@cub", 84, profile="frozen"), run("bcnn/fv_cnn_d@cub", 71, profile="frozen"))
    without = {key: recipe.model_copy(update={"profiles": {}}) for key, recipe in RECIPES.items()}
    for recipes in (RECIPES, without, {}):
        assert difference_frame(kept.records, kept, recipes).difference.tolist() == pytest.approx([13])


def test_no_two_runs_have_one_name_and_each_p_says_of_which_test_it_is():
    small = fixed("bcnn_dd", 60, test_pipeline="resize_short(224) | center_crop(224)")
    seeds = [run("bcnn/fv_sift@cub", 30 + seed, seed) for seed in range(3)]
    frame = table(fixed("bcnn_dd", 84), small, *seeds)
    ids = frame.better_runs.tolist()
    assert frame.better.tolist() == [f"bcnn/bcnn_dd, paper ({each})" for each in ids]
    assert frame.worse.tolist() == [frame.better[1], "bcnn/fv_sift, paper, 3 seeds"]
    sheet = difference_sheet(frame)
    assert [row[4].note for row in sheet.rows] == ["a", "b"]
    assert sheet.notes == (
        ("a", "McNemar's exact test"),
        ("b", "t test over images and seeds"),
    )


def test_what_cannot_be_compared_says_why_and_hides_no_other():
    other = run("bcnn/fv_sift@cub", 50)
    other[1]["ids"] = other[1]["ids"] + N
    frame = table(fixed("bcnn_dd", 84), fixed("fc_cnn_d", 71), other)
    assert frame.p.notna().tolist() == [True, False]
    assert "not measured on the same images" in frame.test[1]
    rows = [[entry.text for entry in row] for row in difference_sheet(frame).rows]
    assert rows[0][2] == "+13.00"
    assert "not measured on the same images" in rows[1][2]
    assert rows[1][3:] == [NONE, NONE]


def test_too_few_seeds_have_a_difference_without_a_test_and_do_not_count_in_the_adjustment():
    frame = table(fixed("bcnn_dd", 84), run("bcnn/fv_cnn_d@cub", 71), fixed("fc_cnn_d", 70), fixed("fc_cnn_m", 30))
    assert frame.difference.tolist() == pytest.approx([13, 1, 40])
    assert frame.p.isna().tolist() == frame.low.isna().tolist() == [True, True, False]
    assert frame.p[2] == pytest.approx(binomtest(0, 4 * 40).pvalue)
    needs = "a test needs at least 3 seeds of bcnn/fv_cnn_d"
    assert frame.test.tolist()[:2] == [needs] * 2
    sheet = difference_sheet(frame)
    assert [[cell.text for cell in row[2:]] for row in sheet.rows[:1]] == [["+13.00", NONE, NONE]]
    assert dict(sheet.notes)[sheet.rows[0][4].note] == needs


def test_of_one_run_there_is_no_difference():
    for frame in (table(run("bcnn/bcnn_dd@cub", 84)), table()):
        assert frame.empty
        assert list(frame.columns) == list(DIFFERENCES)
        assert difference_sheet(frame).rows == ()


def test_copies_of_one_run_as_several_seeds_are_not_compared():
    whole = run("bcnn/bcnn_dd@cub", 84)
    copies = [(run("bcnn/bcnn_dd@cub", 84, seed)[0], whole[1]) for seed in range(3)]
    frame = table(*copies, run("bcnn/fv_cnn_d@cub", 71))
    assert frame.p.isna().all()
    assert "cannot be right: most test samples have the same output" in frame.test[0]


def test_a_repeated_run_counts_once_and_recompressed_runs_do_not():
    settings = {quality: settings_at(quality, stages={}) for quality in (None, 50)}
    better, repeated = (
        run(KEY, right, settings=settings[None], provenance={"source": code, "finished": code})
        for right, code in ((80, "2025"), (79, "2026"))
    )
    frame = table(better, repeated, run(KEY, 78, settings=settings[50]), fixed("fc_cnn_d", 60))
    assert len(frame) == 1
    assert (frame.better_runs[0], frame.difference[0]) == (repeated[0].run_id, pytest.approx(19))
