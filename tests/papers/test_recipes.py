import shutil
from pathlib import Path

import pytest
from small_recipes import one_stage, small_recipe

from fgbench.methods import methods
from fgbench.papers.printed import load_papers, reproductions_root
from fgbench.papers.recipes import PROFILES, flatten, load_recipes
from fgbench.util.errors import FgbenchError, MissingError


@pytest.fixture
def root(tmp_path):
    """The repository's papers, with recipes for CUB-200-2011 alone."""
    root = shutil.copytree(reproductions_root(), tmp_path / "reproductions")
    for path in root.glob("*/*.toml"):
        if path.stem not in {"paper", "cub"}:
            path.unlink()
    return root


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
            if profile == "frozen" and not recipe.profiles["frozen"]:
                with pytest.raises(MissingError, match="does not define the profile frozen"):
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
    assert sift.origins["options.step"] == "code"
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
    assert second.classifier_lr_scale == second.classifier_decay_scale == 1
    first, second = haomood.settings.stages.values()
    assert (first.lr * first.classifier_lr_scale, first.batch_size, first.epochs) == (1.0, 64, 55)
    assert (first.weight_decay, first.momentum) == (1e-8, 0.9)
    assert (second.optimizer, second.lr, second.batch_size, second.epochs) == ("sgd", 0.01, 64, 25)
    assert (second.weight_decay, second.momentum) == (1e-5, 0.9)
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


def test_every_cell_that_names_a_recipe_has_it():
    recipes = load_recipes()
    cells = [c for p in load_papers().values() for c in p.cells() if c.recipe and c.data in {"cub", "aircraft", "cars"}]
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
        ("options.pca = 80", "options.words = 80", "'options.words' is given under 'paper' and under 'code'"),
        ("center_crop(448) | flip", "centre_crop(448) | flip", "did you mean 'center_crop'"),
        ('like = "fc_cnn_d"', 'like = "fc_cn_d"', "did you mean 'fc_cnn_d'"),
        ('like = "fc_cnn_d"', 'like = "fc_cnn_m"', "cannot be like"),
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
        assert recipe.resolve("quick").data == "synthetic_birds"


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('like = "cubs"', r"aircraft.toml: it cannot be like 'cubs'; did you mean 'cub'"),
        ('like = "aircraft"', r"aircraft.toml: it cannot be like 'aircraft'"),
        ('like = "paper"', r"aircraft.toml: it cannot be like 'paper'"),
        ('like = "../bcnn/cub"', r"cannot be like '../bcnn/cub'"),
        ('like = "cub"\n[defaults.ours]\nmirror = false', r"a file with 'like' has no \[defaults\]"),
        ('like = "cub"\n[profiles.quick]\nset.mirror = false', r"a file with 'like' has no \[defaults\]"),
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


def test_a_file_cannot_be_like_a_file_with_like(root):
    write_recipes(root, 'data = "aircraft"\nlike = "cub"\n')
    write_recipes(root, 'data = "cars"\nlike = "aircraft"\n', "cars")
    with pytest.raises(FgbenchError, match=r"cars.toml: aircraft is itself like cub"):
        load_recipes(root)


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
