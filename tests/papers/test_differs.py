"""Steps that fgbench computes in another way than the official code: in recipes, records and READMEs."""

import mini

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipe_files import Difference
from fgbench.papers.recipes import load_recipes
from fgbench.records.deviations import code_deviations
from fgbench.runs.planning import plan

RECIPES = load_recipes()
ROTATION = Difference(code="corners are white", here="corners are black")


def test_a_recipe_has_the_differences_of_the_recipe_that_it_is_like():
    described = RECIPES["tasn/tasn_r50@cub"].differs
    assert {"networks", "attention_strides", "rotation"} <= described.keys()
    assert RECIPES["tasn/tasn_r50_336@cub"].differs == described
    other = RECIPES["tasn/tasn_vgg19@cub"].differs
    assert other.keys() == described.keys()
    assert [name for name in other if other[name] != described[name]] == ["networks"]
    assert RECIPES["tasn/tasn_r50@cars"].differs == described


def test_a_run_has_each_difference_as_a_remark_except_under_quick():
    recipe = mini.recipe("bcnn_dd").model_copy(update={"differs": {"rotation": ROTATION}})
    recipe = recipe.model_copy(update={"profiles": recipe.profiles | {"frozen": recipe.profiles["quick"]}})
    (remark,) = code_deviations(recipe)
    assert (remark.field, remark.recipe, remark.run) == ("differs.rotation", ROTATION.code, ROTATION.here)
    assert (remark.origin, remark.changes_experiment) == ("code", False)
    runs = {profile: plan([recipe], profile, [0]).runs[0] for profile in ("frozen", "quick")}
    assert [d for d in runs["frozen"].deviations if d.field.startswith("differs")] == [remark]
    assert not [d for d in runs["quick"].deviations if d.field.startswith("differs")]


def test_readmes_have_each_difference_as_a_row_of_a_table():
    found = 0
    for recipe in RECIPES.values():
        text = (reproductions_root() / recipe.paper / "README.md").read_text(encoding="utf-8")
        for name, step in recipe.differs.items():
            assert f" | {step.code} | {step.here} |" in text, (recipe.key, name)
            found += 1
    assert found
