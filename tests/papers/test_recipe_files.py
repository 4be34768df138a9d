"""Files of recipes that take over those of another file."""

from pathlib import Path

import pytest

from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError


def write_recipes(root: Path, text: str, name: str = "aircraft") -> None:
    (root / f"bcnn/{name}.toml").write_text(text)


def test_a_file_takes_over_the_recipes_of_the_file_that_it_is_like(root):
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n')
    recipes = load_recipes(root)
    base = {name: recipe for name, recipe in recipes.items() if name.startswith("bcnn/") and name.endswith("@cub")}
    taken_over = {name: recipe for name, recipe in recipes.items() if name.endswith("@aircraft")}
    assert {name.replace("@cub", "@aircraft") for name in base} == set(taken_over)
    assert len(taken_over) > 3
    for key, recipe in taken_over.items():
        model = base[key.replace("@aircraft", "@cub")]
        assert recipe.settings == model.settings.model_copy(update={"data": "aircraft"})
        assert (recipe.method, recipe.origins, recipe.profiles, recipe.title) == (
            model.method, model.origins, model.profiles, model.title
        )  # fmt: skip
        assert recipe.resolve("paper").data == "aircraft"
        assert recipe.only_paper or recipe.resolve("quick").data == "synthetic_birds"


def test_a_file_with_like_adds_and_replaces_recipes(root):
    text = """
    data = "aircraft"
    like = "cub"
    [recipes.own]
    title = "Ours"
    like = "bcnn_dm"
    [recipes.own.paper]
    options.pyramid = 2
    [recipes.fv_sift]
    method = "fv_sift"
    like = "fc_cnn_d"
    """
    before = load_recipes(root)
    write_recipes(root, text)
    recipes = load_recipes(root)
    added, model = recipes["bcnn/own@aircraft"], recipes["bcnn/bcnn_dm@cub"]
    assert added.title == "Ours"
    assert added.method == "bcnn"
    assert added.settings.options == {**model.settings.options, "pyramid": 2}
    assert added.settings.stages == model.settings.stages
    assert recipes["bcnn/fv_sift@aircraft"].settings.backbones == recipes["bcnn/fc_cnn_d@cub"].settings.backbones
    assert "bcnn/own@cub" not in recipes
    assert {name: recipes[name] for name in before} == before


def test_a_file_with_only_takes_over_the_named_recipes_and_has_its_own(root):
    text = """
    data = "aircraft"
    like = "cub"
    only = ["bcnn_mm"]
    [recipes.own]
    like = "bcnn_dm"
    """
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n')
    whole = load_recipes(root)
    write_recipes(root, text)
    recipes = {key: recipe for key, recipe in load_recipes(root).items() if key.endswith("@aircraft")}
    assert set(recipes) == {"bcnn/bcnn_mm@aircraft", "bcnn/own@aircraft"}
    assert recipes["bcnn/bcnn_mm@aircraft"] == whole["bcnn/bcnn_mm@aircraft"]
    assert recipes["bcnn/own@aircraft"].settings == whole["bcnn/bcnn_dm@aircraft"].settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('like = "cubs"', r"aircraft.toml: it cannot be like 'cubs'; did you mean 'cub'"),
        ('like = "aircraft"', r"aircraft.toml: it cannot be like 'aircraft'"),
        ('like = "paper"', r"aircraft.toml: it cannot be like 'paper'"),
        ('like = "../bcnn/cub"', r"cannot be like '../bcnn/cub'"),
        ('like = "cub"\n[defaults.ours]\nmirror = false', r"a file with 'like' has no \[defaults\]"),
        ('like = "cub"\n[profiles.quick]\nset.mirror = false', r"a file with 'like' has no \[defaults\]"),
        ('like = "cub"\nonly = ["bcnn_d"]', r"aircraft.toml: cub has no recipe 'bcnn_d'; did you mean 'bcnn_d"),
        ('only = ["bcnn_dd"]', "aircraft.toml: only a file with 'like' has 'only'"),
        ("[pipelines.replaced]\na = 'b'", "aircraft.toml: only a file with 'like' has 'pipelines'"),
        ('like = "cub"\n[pipelines]\nnot_in = ["bcnn_d"]', "cub has no recipe 'bcnn_d'; did you mean 'bcnn_d"),
        ("like = 'cub'\n[pipelines.replaced]\nsquare = 'b'", "no recipe of cub has the pipeline 'square'"),
        ('like = "cub"\n[recipes.own]\nlike = "bcnn_d"', "cannot be like 'bcnn_d'; did you mean 'bcnn_d"),
    ],
)
def test_a_mistake_in_a_file_with_like_names_the_file(root, text, message):
    write_recipes(root, f'data = "aircraft"\n{text}\n')
    with pytest.raises(FgbenchError, match=message):
        load_recipes(root)


def test_changes_of_a_file_with_like_apply_to_all_recipes(root):
    model = load_recipes(root)
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n[changes.ours]\nsvm.c = 7.0\n')
    for name, recipe in load_recipes(root).items():
        if name.endswith("@aircraft"):
            same = model[name.replace("aircraft", "cub")]
            assert recipe.settings.svm == same.settings.svm.model_copy(update={"c": 7.0})
            assert recipe.origins["svm.c"] == "ours"
            assert recipe.settings.options == same.settings.options
            assert recipe.profiles == same.profiles
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n[changes]\nmethod = "bcnn"\n')
    with pytest.raises(FgbenchError, match=r"aircraft.toml: \[changes\] has no 'method', only values by origin"):
        load_recipes(root)


def test_a_file_cannot_be_like_a_file_with_like(root):
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n')
    write_recipes(root, 'data = "cars"\nlike = "aircraft"\n', "cars")
    with pytest.raises(FgbenchError, match=r"cars.toml: aircraft is itself like cub"):
        load_recipes(root)


def test_parts_of_pipelines_are_replaced_and_have_the_paper_as_origin(root):
    text = """
    data = "aircraft"
    like = "cub"
    [pipelines]
    not_in = ["bcnn_dm"]
    [pipelines.replaced]
    "resize_short(448, bilinear) | center_crop(448)" = "resize(448, bilinear)"
    """
    write_recipes(root, text)
    recipes = load_recipes(root)
    found = {
        name: recipes[f"bcnn/{name}@aircraft"] for name in ("bcnn_dd", "bcnn_dd_box_keep_aspect_no_ft", "fc_cnn_d")
    }
    pipelines = {name: recipe.settings.test_pipeline for name, recipe in found.items()}
    assert pipelines == {
        "bcnn_dd": "resize(448, bilinear)",
        "bcnn_dd_box_keep_aspect_no_ft": "crop_box | resize(448, bilinear)",
        "fc_cnn_d": "resize_short(224, bicubic) | center_crop(224)",
    }
    assert {name: recipe.origins["test_pipeline"] for name, recipe in found.items()} == {
        "bcnn_dd": "paper", "bcnn_dd_box_keep_aspect_no_ft": "paper", "fc_cnn_d": "code"
    }  # fmt: skip
    assert found["bcnn_dd"].settings.train_pipeline == "resize(448, bilinear) | flip"
    assert {name: recipe.places["test_pipeline"] for name, recipe in found.items()} == {
        "bcnn_dd": "aircraft.pipelines",
        "bcnn_dd_box_keep_aspect_no_ft": "aircraft.pipelines",
        "fc_cnn_d": "cub.fc_cnn_d_no_ft",
    }
    assert "resize_short" in recipes["bcnn/bcnn_dd@cub"].settings.test_pipeline


def test_a_recipe_knows_where_each_value_is_written(root):
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n[changes.ours]\nsvm.c = 7.0\n')
    recipes = load_recipes(root)
    places = recipes["bcnn/bcnn_dm@aircraft"].places
    assert places["svm.c"] == "aircraft.changes"
    assert places["mirror"] == "cub.defaults"
    assert places["backbones"] == "cub.bcnn_dm"
    assert places["stages.classifier.epochs"] == "cub.bcnn_dd"
    assert recipes["bcnn/bcnn_dm@cub"].places["svm.c"] == "cub.defaults"


def test_a_recipe_for_paper_alone_has_no_other_profile(root):
    recipes = load_recipes(root)
    alone = recipes["bcnn/bcnn_dd_no_ft@cub"]
    assert alone.resolve("paper").stages == {}
    with pytest.raises(FgbenchError, match="does not define the profile quick") as error:
        alone.resolve("quick")
    assert error.value.hint == "use the profile paper"
    assert recipes["bcnn/bcnn_dd@cub"].resolve("quick").stages
