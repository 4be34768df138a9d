import shutil
from pathlib import Path

import pytest

from fgbench.backbones import split_stream
from fgbench.methods import methods
from fgbench.papers.printed import load_papers, reproductions_root
from fgbench.papers.recipes import PROFILES, Profile, load_recipes
from fgbench.records import deviations
from fgbench.runs import planning as runs
from fgbench.runs.streams import resolve_stream
from fgbench.util.errors import FgbenchError, MissingError


@pytest.fixture
def root(tmp_path):
    """The repository's papers, with recipes for CUB-200-2011 alone."""
    root = shutil.copytree(reproductions_root(), tmp_path / "reproductions")
    for path in root.glob("*/*.toml"):
        if path.stem not in {"paper", "cub"}:
            path.unlink()
    return root


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
            if profile == "frozen" and not recipe.profiles["frozen"]:
                with pytest.raises(MissingError, match="does not define the profile frozen"):
                    recipe.resolve(profile)
                continue
            settings = recipe.resolve(profile)
            methods[recipe.method].Options.model_validate(settings.options)
            drawn = "synthetic_pedestrians" if settings.ranking else "synthetic_birds"
            assert settings.data == (drawn if profile == "quick" else recipe.key.partition("@")[2])


def test_every_value_has_an_origin():
    from fgbench.papers.recipes import flatten

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


def test_every_row_that_is_ours_to_run_has_its_recipe():
    recipes = load_recipes()
    cells = [c for p in load_papers().values() for c in p.cells() if c.recipe and c.data in {"cub", "aircraft", "cars"}]
    assert len(cells) > 80
    assert [c.id for c in cells if f"{c.recipe}@{c.data}" not in recipes] == []
    assert not any(recipes[f"{c.recipe}@{c.data}"].variant for c in cells)


@pytest.mark.parametrize(
    ("old", "new", "says"),
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
def test_mistakes_name_the_file_and_the_nearest_word(root, old, new, says):
    edit(root, old, new)
    with pytest.raises(FgbenchError, match=says) as caught:
        load_recipes(root)
    assert "cub.toml" in str(caught.value)


def test_unknown_profile():
    with pytest.raises(FgbenchError, match="did you mean 'quick'"):
        load_recipes()["bcnn/fv_sift@cub"].resolve("quik")


def other(root: Path, text: str, name: str = "aircraft") -> None:
    (root / f"bcnn/{name}.toml").write_text(text)


def test_a_file_may_be_like_another_for_other_data(root):
    other(root, 'data = "aircraft"\nlike = "cub"\n')
    recipes = load_recipes(root)
    theirs = {name: recipe for name, recipe in recipes.items() if name.startswith("bcnn/") and name.endswith("@cub")}
    ours = {name: recipe for name, recipe in recipes.items() if name.endswith("@aircraft")}
    assert {name.replace("@cub", "@aircraft") for name in theirs} == set(ours)
    assert len(ours) > 3
    for key, recipe in ours.items():
        model = theirs[key.replace("@aircraft", "@cub")]
        assert recipe.settings == model.settings.model_copy(update={"data": "aircraft"})
        assert (recipe.method, recipe.origins, recipe.profiles, recipe.title) == (
            model.method, model.origins, model.profiles, model.title
        )  # fmt: skip
        assert recipe.resolve("paper").data == "aircraft"
        assert recipe.resolve("quick").data == "synthetic_birds"


def test_it_may_add_recipes_and_replace_them(root):
    added = """
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
    other(root, added)
    recipes = load_recipes(root)
    own, model = recipes["bcnn/own@aircraft"], recipes["bcnn/bcnn_dm@cub"]
    assert own.title == "Ours"
    assert own.method == "bcnn"
    assert own.settings.options == {**model.settings.options, "pyramid": 2}
    assert own.settings.stages == model.settings.stages
    assert recipes["bcnn/fv_sift@aircraft"].settings.backbones == recipes["bcnn/fc_cnn_d@cub"].settings.backbones
    assert "bcnn/own@cub" not in recipes
    assert {name: recipes[name] for name in before} == before


@pytest.mark.parametrize(
    ("text", "says"),
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
def test_a_file_that_cannot_be_like_another_is_named(root, text, says):
    other(root, f'data = "aircraft"\n{text}\n')
    with pytest.raises(FgbenchError, match=says):
        load_recipes(root)


def test_a_file_that_is_like_another_may_change_values_of_all_recipes(root):
    model = load_recipes(root)
    other(root, 'data = "aircraft"\nlike = "cub"\n[changes.ours]\nsvm.c = 7.0\n')
    for name, recipe in load_recipes(root).items():
        if name.endswith("@aircraft"):
            same = model[name.replace("aircraft", "cub")]
            assert recipe.settings.svm == same.settings.svm.model_copy(update={"c": 7.0})
            assert recipe.origins["svm.c"] == "ours"
            assert recipe.settings.options == same.settings.options
            assert recipe.profiles == same.profiles
    other(root, 'data = "aircraft"\nlike = "cub"\n[changes]\nmethod = "bcnn"\n')
    with pytest.raises(FgbenchError, match=r"aircraft.toml: \[changes\] has no 'method', only values by origin"):
        load_recipes(root)


def test_the_data_sets_of_persons_differ_in_their_splits_and_galleries_alone():
    recipes = load_recipes()
    found = {data: recipes[f"where_to_focus/spatial_lstm_dm@{data}"] for data in ("market1501", "viper", "cuhk03")}
    rules = {data: recipe.settings.ranking for data, recipe in found.items()}
    assert [(each.splits, each.gallery, each.directions) for each in rules.values()] == [
        (1, "all", "both"), (10, "all", "both"), (20, "single_shot", "both"),
    ]  # fmt: skip
    assert len({recipe.settings.model_copy(update={"ranking": None, "data": ""}).model_dump_json()
                for recipe in found.values()}) == 1  # fmt: skip
    assert len({recipe.resolve("quick").model_dump_json() for recipe in found.values()}) == 1
    assert not any(recipe.resolve("frozen").stages for recipe in found.values())


def test_a_file_is_not_like_one_that_is_like_another(root):
    other(root, 'data = "aircraft"\nlike = "cub"\n')
    other(root, 'data = "cars"\nlike = "aircraft"\n', "cars")
    with pytest.raises(FgbenchError, match=r"cars.toml: aircraft is itself like cub"):
        load_recipes(root)


def made(streams=("vgg16:relu5_3", "vgg16:relu5_3#head"), method="bcnn", train=(), set_=None, exchanged=None):
    """A recipe on the small networks."""
    found = load_recipes()["bcnn/bcnn_dm@cub"]
    profile = Profile(
        set={"data": "synthetic_birds", **(set_ or {})},
        streams=exchanged or {"vgg16:relu5_3": "tiny_d:conv", "vggm:relu5": "tiny_m:conv"},
    )
    settings = found.settings.model_copy(update={"backbones": streams})
    return found.model_copy(
        update={"settings": settings, "method": method, "train": train, "profiles": {"quick": (profile,)}}
    )


@pytest.mark.parametrize(
    ("streams", "exchanged", "result"),
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
def test_streams_keep_their_labels_when_a_profile_exchanges_them(streams, exchanged, result):
    assert made(streams, exchanged=exchanged).resolve("quick").backbones == result


def test_labelled_streams_have_weights_of_their_own_and_another_network_keeps_them_apart():
    assert split_stream("tiny_d:conv#head") == ("tiny_d", "conv")
    one, other = (resolve_stream(f"tiny_d:conv{label}", ()) for label in ("", "#head"))
    assert (one.sha256, one.network) == (other.sha256, "tiny_d")
    changed = runs._changed(made().resolve("quick"), runs.Changes(backbone="tiny_m:conv"))
    assert changed.backbones == ("tiny_m:conv", "tiny_m:conv#head")


def test_another_network_takes_the_files_that_the_recipe_prefers_where_it_names_some_of_it():
    settings = load_recipes()["bcnn/bcnn_spp_dm@cub"].settings
    same, other = (
        runs._changed(settings, runs.Changes(backbone=stream)) for stream in ("vgg16:relu5_3", "squeezenet1_1:features")
    )
    assert same.weights == settings.weights != ()
    assert other.weights == ()


def stage(**fields):
    base = {"step": 1, "train": ["classifier"], "epochs": 1, "batch_size": 8, "lr": 0.1, "momentum": 0.9,
            "weight_decay": 0.0}  # fmt: skip
    return {"stages": {"only": {**base, **fields}}}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"train": ["clasifier"]}, "stage 'only': train has no 'clasifier'; did you mean 'classifier'"),
        ({"train": ["classifier", "recurrence"]}, "train has no 'recurrence'"),
        ({"losses": ["cross_entropi"]}, "stage 'only': losses has no 'cross_entropi'; did you mean 'cross_entropy'"),
        ({"losses": ["cross_entropy", "part"]}, "losses has no 'part'"),
    ],
)
def test_a_stage_that_names_what_the_method_has_not_is_refused_before_anything_is_done(fields, says, monkeypatch):
    recipe = made(set_=stage(**fields))
    monkeypatch.setattr(runs, "_index", None)
    with pytest.raises(FgbenchError, match=says) as caught:
        runs.plan([recipe], "quick", [0])
    assert recipe.key in str(caught.value)


def test_a_method_that_needs_parts_must_be_let_see_them(monkeypatch):
    monkeypatch.setattr(methods["bcnn"], "NEEDS", ("parts",))
    settings = made().resolve("quick")
    with pytest.raises(FgbenchError, match="bcnn is trained with parts, which the recipe withholds") as caught:
        runs._check(made(), settings)
    assert caught.value.hint == 'add "parts" to its train'
    runs._check(made(train=("parts",)), settings)


def test_stages_of_the_repositorys_recipes_pass():
    for recipe in load_recipes().values():
        for profile in PROFILES:
            if recipe.profiles.get(profile) or profile == "paper":
                runs._check(recipe, recipe.resolve(profile))


def test_precision_is_a_setting_that_only_rounds():
    recipe = made(set_=stage())
    settings = runs._changed(recipe.resolve("quick"), runs.Changes(precision="bf16-mixed"))
    assert settings.precision == "bf16-mixed"
    found = {d.field: d.changes_experiment for d in deviations.setting_deviations(recipe, settings)}
    assert found["precision"] is False
    assert found["backbones"] is True
    assert "precision" not in {d.field for d in deviations.setting_deviations(recipe, recipe.resolve("quick"))}
    with pytest.raises(FgbenchError, match="precision"):
        made(set_={"precision": "16-true"}).resolve("quick")


def test_stages_are_done_in_the_order_of_their_steps():
    both = {"stages": {"late": stage(step=2)["stages"]["only"], "early": stage(optimizer="adam")["stages"]["only"]}}
    ordered = made(set_=both).resolve("quick").ordered_stages
    assert [(name, each.optimizer) for name, each in ordered] == [("early", "adam"), ("late", "sgd")]
    with pytest.raises(FgbenchError, match="optimizer"):
        made(set_=stage(optimizer="rmsprop")).resolve("quick")


def test_a_recipe_without_the_profile_is_blocked_and_stops_no_other():
    found = load_recipes()
    planned = runs.plan([found["tasn/tasn_r50@cub"]], "frozen", [0])
    assert planned.runs == ()
    assert "does not define the profile frozen" in planned.blocked["tasn/tasn_r50@cub"].reason
