import pytest

from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError

VARIANTS = {recipe.name for recipe in load_recipes().values() if recipe.variant}


def names(data, *words):
    return [recipe.name for recipe in choose_recipes(data, words)]


def test_without_a_name_all_recipes_run_except_variants():
    found = names("cub")
    assert {name.partition("/")[0] for name in found} == {"bcnn", "keypoint_fcn", "tasn", "where_to_focus"}
    assert not VARIANTS & set(found)


def test_a_pattern_and_a_paper_stand_for_recipes_without_variants():
    assert names("cub", "bcnn/*") == names("cub", "bcnn") == [name for name in names("cub") if name.startswith("bcnn/")]
    assert names("cub", "bcnn/cbp_??_dd") == ["bcnn/cbp_ts_dd"]


def test_a_cell_stands_for_its_recipe_and_each_recipe_runs_once():
    assert names("cub", "bcnn/t1/bcnn_dd/birds", "bcnn/bcnn_dd") == ["bcnn/bcnn_dd"]


def test_a_variant_runs_by_its_name():
    variant = next(name for name in sorted(VARIANTS) if name.startswith("bcnn/"))
    assert names("cub", variant) == [variant]


@pytest.mark.parametrize(
    ("data", "word", "message"),
    [
        ("cub", "bcnn/bcnn_d", "no recipe 'bcnn/bcnn_d' for cub; did you mean"),
        ("cub", "bcnn/zzz*", "no recipe 'bcnn/zzz\\*' for cub"),
        ("cub", "bcnn/t1/bcnn_dd/cars", "the cell bcnn/t1/bcnn_dd/cars is about cars, not cub\n  add --data cars"),
        ("cubs", "bcnn/bcnn_dd", "no recipe for the data set 'cubs'"),
    ],
)
def test_what_stands_for_nothing_is_refused(data, word, message):
    with pytest.raises(FgbenchError, match=message):
        choose_recipes(data, [word])
