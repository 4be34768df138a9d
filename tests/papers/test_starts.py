"""Recipes that start from the trained network of another recipe: what fits, and what is refused."""

import shutil

import pytest

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipes import PROFILES, load_recipes
from fgbench.papers.starts import check_shared_stages
from fgbench.util.errors import FgbenchError

STARTED = {
    "bcnn/fv_cnn_d": "bcnn/fc_cnn_d",
    "bcnn/fv_cnn_m": "bcnn/fc_cnn_m",
    "bcnn/fv_cnn_d_box": "bcnn/fc_cnn_d_box",
    "bcnn/fv_cnn_m_box": "bcnn/fc_cnn_m_box",
    **dict.fromkeys(
        (f"keypoint_fcn/{name}" for name in ("keypoint_baseline", "fc7_model", "compact_bilinear", "part_nets")),
        "keypoint_fcn/localizer",
    ),
}
"""Recipe -> the recipe from whose network it starts, as the papers say."""


def test_every_recipe_that_starts_from_another_has_its_stages_and_trains_the_others():
    recipes = load_recipes()
    assert {recipe.name: recipe.start.name for recipe in recipes.values() if recipe.start} == STARTED
    for recipe in recipes.values():
        for profile in PROFILES:
            if recipe.start and (profile == "paper" or recipe.profiles.get(profile)):
                settings, start = recipe.resolve(profile), recipe.start.resolve(profile)
                if settings.starts_from:
                    check_shared_stages(recipe.key, settings, recipe.start.key, start, profile)
                    own = recipe.own_settings(settings, profile).stages
                    assert {*own, *start.stages} == set(settings.stages)
                    assert not set(own) & set(start.stages)
    model = recipes["keypoint_fcn/fc7_model@cub"]
    assert [*model.own_settings(model.settings, "paper").stages] == ["classify", "finetune"]


def recipes_with(tmp_path, old, new, count=1):
    """Return the recipes after a change of the text of bcnn/cub.toml."""
    shutil.copytree(reproductions_root(), tmp_path / "papers")
    path = tmp_path / "papers/bcnn/cub.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")
    return load_recipes(tmp_path / "papers")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"bcnn/fc_cnn_d"',
            '"bcnn/fc_cnn_e"',
            "cannot start from 'bcnn/fc_cnn_e': no such recipe; did you mean 'bcnn/fc_",
        ),
        ('"bcnn/fc_cnn_d"', '"tasn/none"', "cannot start from 'tasn/none': no such recipe"),
        ('"bcnn/fc_cnn_d"', '"bcnn/fv_cnn_d"', "recipes start from each other: bcnn/fv_cnn_d@"),
        (
            '"bcnn/fc_cnn_d"',
            '"where_to_focus/bcnn_dm"',
            "which has no recipe for .*, only for cuhk03, market1501, viper",
        ),
        (
            "[recipes.fc_cnn_d.paper]\n",
            '[recipes.fc_cnn_d.paper]\nstarts_from = "bcnn/fv_cnn_d"\n',
            "start from each other",
        ),
    ],
)
def test_an_unknown_recipe_another_data_set_or_a_circle_is_refused(tmp_path, old, new, message):
    with pytest.raises(FgbenchError, match=message):
        recipes_with(tmp_path, old, new)


def test_a_profile_may_only_end_the_start_from_another_recipe():
    recipe = load_recipes()["bcnn/fv_cnn_d@cub"]

    def under(value):
        last = recipe.profiles["quick"][-1]
        changed = last.model_copy(update={"set": {**last.set, "starts_from": value}})
        return recipe.model_copy(update={"profiles": {**recipe.profiles, "quick": (changed,)}}).resolve("quick")

    assert under("").starts_from == ""
    with pytest.raises(FgbenchError, match="profile quick of bcnn/fv_cnn_d@cub starts from another recipe") as caught:
        under("bcnn/fc_cnn_m")
    assert caught.value.hint == 'set starts_from to "bcnn/fc_cnn_d" or "" in the profile'


def test_shared_stages_must_be_equal_and_come_first():
    recipe = load_recipes()["keypoint_fcn/fc7_model@cub"]
    settings, start = recipe.settings, recipe.start.settings

    def message(**changes):
        changed = settings.model_copy(update=changes)
        with pytest.raises(FgbenchError) as caught:
            check_shared_stages("a/b@cub", changed, "a/c@cub", start, "paper")
        return str(caught.value.args[0])

    stages = settings.stages
    longer = stages["localize"].model_copy(update={"epochs": 41})
    later = stages["localize"].model_copy(update={"step": 9})
    assert message(stages={**stages, "localize": longer}) == (
        "a/b@cub starts from a/c@cub, but under paper its stage 'localize' has epochs = 41, not 40"
    )
    assert message(stages={**stages, "localize": later}).endswith("its stage 'localize' is not stage 2")
    without = {name: stage for name, stage in stages.items() if name != "score"}
    assert message(stages=without).endswith("it has no stage 'score'")
    assert message(precision="bf16-mixed").endswith("its precision is 'bf16-mixed', not '32-true'")
    assert "its train_pipeline is 'flip'" in message(train_pipeline="flip")
    assert "its data is 'cars'" in message(data="cars")
