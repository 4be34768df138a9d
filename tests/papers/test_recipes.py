from pathlib import Path

import pytest
from small_recipes import one_stage, small_recipe

from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import PROFILES, flatten, load_recipes
from fgbench.util.errors import FgbenchError, MissingError


def replace_text(root: Path, old: str, new: str) -> None:
    """Replace a passage of the recipes for CUB-200-2011."""
    path = root / "bcnn/cub.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_recipe_resolves_under_every_profile_with_options_its_method_knows():
    recipes = load_recipes()
    assert {"bcnn/fc_cnn_d@cub", "bcnn/fv_cnn_m@cub", "bcnn/fv_sift@cub", "bcnn/bcnn_dm@cub"} <= set(recipes)
    for recipe in recipes.values():
        for profile in PROFILES:
            if profile != "paper" and not recipe.profiles.get(profile):
                assert recipe.only_paper or profile == "frozen"
                with pytest.raises(MissingError, match=f"does not define the profile {profile}"):
                    recipe.resolve(profile)
                continue
            settings = recipe.resolve(profile)
            methods[recipe.method].Options.model_validate(settings.options)
            synthetic = "synthetic_pedestrians" if settings.ranking else "synthetic_birds"
            assert settings.data == (synthetic if profile == "quick" else recipe.key.partition("@")[2])


def test_every_value_has_an_origin():
    for recipe in load_recipes().values():
        values = flatten(recipe.settings.model_dump(exclude_defaults=True, exclude={"data"}))
        assert set(values) <= set(recipe.origins)
        assert set(recipe.origins.values()) <= {"paper", "code", "ours"}


def test_values_and_origins_agree_with_the_papers():
    recipes = load_recipes()
    sift = recipes["bcnn/fv_sift@cub"]
    assert sift.settings.options == {"words": 256, "pca": 80, "bin_size": 8, "step": 4, "samples_per_word": 1000}
    assert sift.origins["options.words"] == "paper"
    assert sift.origins["options.step"] == "paper"
    assert sift.origins["options.samples_per_word"] == "code"
    bcnn = recipes["bcnn/bcnn_mm@cub"].settings
    assert bcnn.stages["classifier"].lr * bcnn.stages["classifier"].classifier_lr_scale == 1.0
    assert (bcnn.stages["finetune"].batch_size, bcnn.stages["finetune"].momentum) == (64, 0.9)
    assert recipes["bcnn/bcnn_dm@cub"].settings.stages["finetune"].momentum == 0.3
    assert bcnn.svm.c == 1
    assert bcnn.mirror


def finetuning(name: str) -> tuple[int, float, str, str]:
    """Return batch and momentum of step 2 of a B-CNN recipe, and their origins."""
    recipe = load_recipes()[f"bcnn/{name}@cub"]
    stage, origins = recipe.settings.stages["finetune"], recipe.origins
    return (
        stage.batch_size, stage.momentum, origins["stages.finetune.batch_size"], origins["stages.finetune.momentum"]
    )  # fmt: skip


def test_batch_1_is_the_stated_batch_of_d_m_and_a_variant_of_the_others():
    for name in ("bcnn_dm", "bcnn_dm_box"):
        assert finetuning(name) == (1, 0.3, "code", "code")
    for name in ("bcnn_mm", "bcnn_mm_box"):
        assert finetuning(name) == (64, 0.9, "code", "code")
    for name in ("bcnn_dd", "bcnn_dd_box", "bcnn_spp_dm", "cbp_ts_dd", "cbp_rm_dd"):
        assert finetuning(name) == (64, 0.9, "ours", "ours")
    recipes = load_recipes()
    for name in ("bcnn_dd", "bcnn_spp_dm", "cbp_ts_dd"):
        assert finetuning(f"{name}_batch_1") == (1, 0.3, "ours", "ours")
        main, variant = recipes[f"bcnn/{name}@cub"], recipes[f"bcnn/{name}_batch_1@cub"]
        assert variant.variant
        assert not main.variant
        differences = flatten(main.settings.model_dump()).items() ^ flatten(variant.settings.model_dump()).items()
        assert {name for name, _ in differences} == {"stages.finetune.batch_size", "stages.finetune.momentum"}


def test_the_two_trainings_in_pytorch_have_the_published_values_and_cells_of_their_own():
    recipes = load_recipes()
    authors, haomood = (
        recipes[f"bcnn/{name}@cub"] for name in ("bcnn_dd_pytorch", "bcnn_dd_haomood_best_on_test")
    )  # fmt: skip
    first, second = authors.settings.stages.values()
    assert (first.optimizer, first.lr * first.classifier_lr_scale, first.weight_decay) == ("sgd", 1.0, 1e-8)
    assert (first.epochs, first.batch_size) == (25, 256)
    assert (second.optimizer, second.lr, second.momentum, second.weight_decay) == ("adam", 1e-4, 0.99, 1e-5)
    assert (second.epochs, second.batch_size, second.lr_drops) == (45, 128, (26,))
    assert (second.classifier_lr_scale, second.classifier_decay_scale) == (100, 1)
    assert first.augment
    first, second = haomood.settings.stages.values()
    assert (first.lr * first.classifier_lr_scale, first.batch_size, first.epochs) == (1.0, 64, 55)
    assert (first.weight_decay, first.momentum) == (1e-8, 0.9)
    assert (second.optimizer, second.lr, second.batch_size, second.epochs) == ("sgd", 0.01, 64, 25)
    assert (second.weight_decay, second.momentum) == (1e-5, 0.9)
    assert second.classifier_lr_scale == second.classifier_decay_scale == 1
    assert "best epoch on test" in haomood.title
    for recipe in (authors, haomood):
        assert recipe.settings.classifier == "softmax"
        assert recipe.settings.weights[0] == "vgg16.torchvision"
        assert not recipe.settings.mirror
        assert list(recipe.resolve("frozen").stages) == ["classifier"]
    cells = {(c.recipe, c.data): c.value for c in load_papers()["bcnn"].cells() if c.id.startswith("pytorch/")}
    assert cells == {
        ("bcnn/bcnn_dd_pytorch", "cub"): 84.1,
        ("bcnn/bcnn_dd_pytorch", "aircraft"): 87.5,
        ("bcnn/bcnn_dd_pytorch", "cars"): 90.5,
        ("bcnn/bcnn_dd_haomood_best_on_test", "cub"): 84.17,
    }


def test_version_1_is_a_reading_whose_values_are_all_ours():
    recipe = load_recipes()["bcnn/bcnn_v1@cub"]
    assert set(recipe.origins.values()) == {"ours"}
    settings = recipe.resolve("paper")
    assert settings.options["normalization"] == "sqrt"
    assert Pipeline.parse(settings.test_pipeline).output_size == 448
    assert (list(settings.stages), settings.mirror) == (["finetune"], False)
    row = {c.id: c.recipe for c in load_papers()["bcnn"].cells() if c.id.startswith("v1/")}
    assert row == {"v1/bcnn/birds": recipe.name, "v1/bcnn/fps": recipe.name}
    others = [key for key, other in load_recipes().items() if other.settings.options.get("normalization") == "sqrt"]
    assert all(key.startswith("bcnn/bcnn_v1@") for key in others)


def test_nabirds_has_the_recipes_of_its_printed_number_and_of_the_other_best_pair():
    recipes = load_recipes()
    assert [key for key in recipes if key.endswith("@nabirds")] == ["bcnn/bcnn_dd@nabirds", "bcnn/bcnn_dm@nabirds"]
    (cell,) = [c for p in load_papers().values() for c in p.cells() if c.data == "nabirds"]
    assert (cell.id, cell.value, f"{cell.recipe}@nabirds") == ("updated/best/nabirds", 79.4, "bcnn/bcnn_dm@nabirds")
    for name in ("bcnn_dd", "bcnn_dm"):
        model = recipes[f"bcnn/{name}@cub"]
        assert recipes[f"bcnn/{name}@nabirds"].settings == model.settings.model_copy(update={"data": "nabirds"})
        assert recipes[f"bcnn/{name}@nabirds"].resolve("quick") == model.resolve("quick")


def test_every_cell_that_names_a_recipe_has_it():
    recipes = load_recipes()
    with_recipes = {"cub", "aircraft", "cars", "nabirds"}
    cells = [c for p in load_papers().values() for c in p.cells() if c.recipe and c.data in with_recipes]
    assert len(cells) > 80
    assert [c.id for c in cells if f"{c.recipe}@{c.data}" not in recipes] == []
    assert not any(recipes[f"{c.recipe}@{c.data}"].variant for c in cells)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("options.words = 256", "optoins.words = 256", "unknown key 'optoins'; did you mean 'options'"),
        ("svm.loss =", "svm.los =", "unknown key 'svm.los'; did you mean 'loss'"),
        ("[recipes.fv_sift.paper]", "[recipes.fv_sift.papr]", "did you mean 'paper'"),
        ("epochs = 25", 'epochs = "many"', "stages.finetune.epochs"),
        ("epochs = 25", "epochs = 0", "greater than 0"),
        ("mirror = true ", "# ", "'mirror': missing"),
        ("options.samples_per_word", "options.words", "'options.words' is given under 'paper' and under 'code'"),
        ("center_crop(448) | flip", "centre_crop(448) | flip", "did you mean 'center_crop'"),
        ('like = "fc_cnn_d"', 'like = "fc_cn_d"', "did you mean 'fc_cnn_d'"),
        ('[M]"\nlike = "fc_cnn_d"', '[M]"\nlike = "fc_cnn_m"', "cannot be like"),
        ("[defaults.paper]", "[defaults.paper", "cub.toml"),
    ],
)
def test_a_mistake_names_the_file_and_the_nearest_known_word(root, old, new, message):
    replace_text(root, old, new)
    with pytest.raises(FgbenchError, match=message) as caught:
        load_recipes(root)
    assert "cub.toml" in str(caught.value)


def test_unknown_profile():
    with pytest.raises(FgbenchError, match="did you mean 'quick'"):
        load_recipes()["bcnn/fv_sift@cub"].resolve("quik")


def test_recipes_of_person_data_sets_differ_only_in_splits_and_galleries():
    recipes = load_recipes()
    by_data = {data: recipes[f"where_to_focus/spatial_lstm_dm@{data}"] for data in ("market1501", "viper", "cuhk03")}
    rules = {data: recipe.settings.ranking for data, recipe in by_data.items()}
    assert [(rule.splits, rule.gallery, rule.directions) for rule in rules.values()] == [
        (1, "all", "both"), (10, "all", "both"), (20, "single_shot", "both"),
    ]  # fmt: skip
    assert len({recipe.settings.model_copy(update={"ranking": None, "data": ""}).model_dump_json()
                for recipe in by_data.values()}) == 1  # fmt: skip
    assert len({recipe.resolve("quick").model_dump_json() for recipe in by_data.values()}) == 1
    assert not any(recipe.resolve("frozen").stages for recipe in by_data.values())


def test_the_decay_of_where_to_focus_is_the_gradient_of_its_printed_penalty():
    gamma = 1e-5
    recipes = [r for r in load_recipes().values() if r.name == "where_to_focus/spatial_lstm_dm"]
    assert len(recipes) == 6
    for recipe in recipes:
        # The gradient of gamma * theta^2 is 2 * gamma * theta; an optimizer adds weight_decay * theta.
        assert {stage.weight_decay for stage in recipe.settings.stages.values()} == {2 * gamma}
        assert {recipe.origins[f"stages.{name}.weight_decay"] for name in recipe.settings.stages} == {"paper"}


@pytest.mark.parametrize(
    ("streams", "replaced", "result"),
    [
        (("vgg16:relu5_3", "vgg16:relu5_3"), None, ("tiny_d:conv", "tiny_d:conv")),
        (("vgg16:relu5_3#a", "vgg16:relu5_3#b"), None, ("tiny_d:conv#a", "tiny_d:conv#b")),
        (("vgg16:relu5_3", "vggm:relu5#head"), None, ("tiny_d:conv", "tiny_m:conv#head")),
        (("vgg16:relu7#x", "vgg16:relu7"), None, ("vgg16:relu7#x", "vgg16:relu7")),
        (
            ("vgg16:relu5_3", "vgg16:relu5_3#b"),
            {"vgg16:relu5_3": "tiny_d:conv", "vgg16:relu5_3#b": "tiny_m:conv#c"},
            ("tiny_d:conv", "tiny_m:conv#c"),
        ),
    ],
)
def test_a_replaced_stream_keeps_its_label(streams, replaced, result):
    assert small_recipe(streams, replaced=replaced).resolve("quick").backbones == result


def test_stages_are_ordered_by_step():
    late, early = (one_stage(**fields)["stages"]["only"] for fields in ({"step": 2}, {"optimizer": "adam"}))
    both = {"stages": {"late": late, "early": early}}
    ordered = small_recipe(changes=both).resolve("quick").ordered_stages
    assert [(name, stage.optimizer) for name, stage in ordered] == [("early", "adam"), ("late", "sgd")]
    with pytest.raises(FgbenchError, match="optimizer"):
        small_recipe(changes=one_stage(optimizer="rmsprop")).resolve("quick")
