"""The heads of recipes are what `python -m tests.written.recipe_heads` writes."""

import re
import tomllib

import pytest
from documents import ROOT
from written import recipe_heads as heads

from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError

FILES = heads.files()
RECIPES = load_recipes()
OF_METHODS = {recipe.method: key for key, recipe in reversed(RECIPES.items()) if recipe.settings.data == "cub"}
CHECKED = [*OF_METHODS.values(), "bcnn/fc_cnn_m@cars", "where_to_focus/bcnn_dm@market1501"]
"""Recipes whose estimates are computed again: the first of each method, and two of other data. All take a minute."""


@pytest.mark.parametrize("key", CHECKED)
def test_the_head_of_a_recipe_is_what_the_program_writes(key):
    text = (ROOT / "reproductions" / f"{key.split('/')[0]}/{key.split('@')[1]}.toml").read_text(encoding="utf-8")
    assert heads.head(RECIPES[key]) in text


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_has_one_head_with_its_command(file):
    text = file.read_text(encoding="utf-8")
    found = {}
    for recipe in heads.recipes_of(file):
        (cost,) = re.findall(rf"^# {heads.command(recipe)}\n(# [^\n]+\n)", text, re.MULTILINE)
        found[recipe.name.partition("/")[2]] = f"# {heads.command(recipe)}\n{cost}"
    assert len(heads.HEAD.findall(text)) == len(found)
    assert heads.with_heads(text, found) == text


def test_every_recipe_is_in_one_file():
    keys = [recipe.key for file in FILES for recipe in heads.recipes_of(file)]
    assert sorted(keys) == sorted(RECIPES)


def test_a_head_has_the_command_and_the_cost_in_both_precisions():
    command, cost = heads.head(RECIPES["bcnn/bcnn_mm@cars"]).splitlines()
    assert command == "# fgbench run bcnn/bcnn_mm --data cars --profile paper"
    assert cost.startswith("# Estimate (one seed, H100 at half of its peaks): ")
    assert "(32-true)" in cost
    assert "(bf16-mixed)" in cost


def test_without_training_there_is_one_precision():
    assert "bf16" not in heads.head(RECIPES["bcnn/fv_sift@cub"])


def test_a_run_that_needs_more_memory_than_the_gpu_has_is_named():
    assert "GiB, does not fit (32-true); 0." in heads.head(RECIPES["bcnn/bcnn_dd_pytorch@cub"])


def test_what_cannot_be_estimated_is_said(monkeypatch):
    def fail(*_):
        raise FgbenchError("its operations cannot be counted")

    monkeypatch.setattr(heads, "official_cost", fail)
    assert heads.head(RECIPES["bcnn/fv_sift@cub"]).endswith("\n# Not estimated: its operations cannot be counted.\n")
    monkeypatch.setattr(heads, "official_cost", lambda *_: None)
    assert heads.head(RECIPES["bcnn/fv_sift@cub"]).endswith("\n# Not estimated: the number of images is not known.\n")


def test_heads_are_replaced_and_other_comments_stay():
    text = '# File.\ndata = "a"\n\n\n# Remark.\n[recipes.one]\nmethod = "m"\n\n[recipes.one.paper]\nx = 1\n'
    old = {name: f"# fgbench run p/{name}\n# Estimate old.\n" for name in ("one", "two")}
    new = {name: f"# fgbench run p/{name}\n# Not estimated: new.\n" for name in ("one", "two")}
    once = heads.with_heads(text, old)
    assert once.endswith(f"x = 1\n\n{old['two']}")
    assert f"# Remark.\n{old['one']}[recipes.one]\n" in once
    twice = heads.with_heads(once, new)
    assert twice == once.replace("Estimate old.", "Not estimated: new.")
    assert tomllib.loads(twice) == tomllib.loads(text)
