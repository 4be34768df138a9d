"""Steps that fgbench computes in another way than a source: in recipes, records and READMEs."""

import mini

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipes import load_recipes

RECIPES = load_recipes()


def test_a_recipe_has_the_differences_of_the_recipe_that_it_is_like():
    assert {"networks", "attention_strides", "rotation"} <= RECIPES["tasn/tasn_r50@cub"].differs.keys()
    for name in ("tasn_r50_code", "tasn_r50_336", "tasn_vgg19"):
        assert RECIPES[f"tasn/{name}@cub"].differs == RECIPES["tasn/tasn_r50@cub"].differs


def test_a_run_has_each_difference_as_a_remark():
    run = mini.quick_run("tasn/tasn_r50_336@cub")
    remarks = {d.field: d for d in run.deviations if d.field.startswith("differs.")}
    assert remarks.keys() == {f"differs.{name}" for name in run.recipe.differs}
    assert not any(remark.changes_experiment for remark in remarks.values())
    rotation = remarks["differs.rotation"]
    assert "white (255)" in rotation.recipe
    assert "corners are black" in rotation.run


def test_readmes_have_each_difference_as_a_row_of_a_table():
    found = 0
    for recipe in RECIPES.values():
        text = (reproductions_root() / recipe.paper / "README.md").read_text(encoding="utf-8")
        for name, step in recipe.differs.items():
            assert f"| {name.replace('_', ' ')} | {step.source} | {step.here} |" in text, (recipe.key, name)
            found += 1
    assert found
