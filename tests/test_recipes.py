import shutil
from pathlib import Path

import pytest

from fgbench.errors import FgbenchError
from fgbench.methods import methods
from fgbench.papers import load_papers, reproductions_root
from fgbench.recipes import PROFILES, load_recipes


@pytest.fixture
def root(tmp_path):
    return shutil.copytree(reproductions_root(), tmp_path / "reproductions")


def edit(root: Path, old: str, new: str) -> None:
    path = root / "bcnn/cub.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_recipe_resolves_under_every_profile_with_options_its_method_knows():
    recipes = load_recipes()
    assert {"bcnn/fc_cnn_d@cub", "bcnn/fv_cnn_m@cub", "bcnn/fv_sift@cub", "bcnn/bcnn_dm@cub"} <= set(recipes)
    for recipe in recipes.values():
        for profile in PROFILES:
            settings = recipe.resolve(profile)
            methods[recipe.method].Options.model_validate(settings.options)
            assert settings.data == ("synthetic_birds" if profile == "quick" else recipe.key.partition("@")[2])


def test_every_value_has_an_origin():
    from fgbench.recipes import flatten

    for recipe in load_recipes().values():
        given = flatten(recipe.settings.model_dump(exclude_defaults=True, exclude={"data"}))
        assert set(given) <= set(recipe.origins)
        assert set(recipe.origins.values()) <= {"paper", "code", "ours"}


def test_papers_and_code_say_what_papers_md_confirms():
    recipes = load_recipes()
    sift = recipes["bcnn/fv_sift@cub"]
    assert sift.settings.options == {"words": 256, "pca": 80, "bin_size": 8, "step": 4, "samples_per_word": 1000}
    assert sift.origins["options.words"] == "paper"
    assert sift.origins["options.step"] == "code"
    bcnn = recipes["bcnn/bcnn_mm@cub"].settings
    assert bcnn.stages["classifier"].lr * bcnn.stages["classifier"].classifier_lr_scale == 1.0
    assert (bcnn.stages["finetune"].batch_size, bcnn.stages["finetune"].momentum) == (64, 0.9)
    assert recipes["bcnn/bcnn_dm@cub"].settings.stages["finetune"].momentum == 0.3
    assert bcnn.svm.c == 1
    assert bcnn.mirror


def test_recipes_that_cells_name_and_that_exist_are_on_their_data():
    recipes = load_recipes()
    named = {f"{c.recipe}@{c.data}" for p in load_papers().values() for c in p.cells() if c.recipe}
    assert set(recipes) <= named


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("options.words = 256", "optoins.words = 256", "unknown key 'optoins'; did you mean 'options'"),
        ("svm.loss =", "svm.los =", "unknown key 'svm.los'; did you mean 'loss'"),
        ("[recipes.fv_sift.paper]", "[recipes.fv_sift.papr]", "did you mean 'paper'"),
        ("epochs = 25", 'epochs = "many"', "stages.finetune.epochs"),
        ("epochs = 25", "epochs = 0", "greater than 0"),
        ("mirror = true ", "# ", "'mirror': missing"),
        ("options.pca = 80", "options.words = 80", "'options.words' is given both as paper's and as code's"),
        ("center_crop(448) | flip", "centre_crop(448) | flip", "did you mean 'center_crop'"),
        ('like = "fc_cnn_d"', 'like = "fc_cn_d"', "did you mean 'fc_cnn_d'"),
        ('like = "fc_cnn_d"', 'like = "fc_cnn_m"', "cannot be like"),
        ("[defaults.paper]", "[defaults.paper", "cub.toml"),
    ],
)
def test_mistakes_name_the_file_and_the_nearest_word(root, old, new, says):
    edit(root, old, new)
    with pytest.raises(FgbenchError, match=says) as caught:
        load_recipes(root)
    assert "cub.toml" in str(caught.value)


def test_unknown_profile():
    with pytest.raises(FgbenchError, match="did you mean 'quick'"):
        load_recipes()["bcnn/fv_sift@cub"].resolve("quik")
